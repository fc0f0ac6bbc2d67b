"""What may be asked for changes nothing (WEB-03)."""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import inspect, text

from tests.actors.operator_client import Desk

# A request is seen, and some requests are entered in the trail.
MOVING = {"login", "audit_entry", "audit_head"}
# What a form would send, in an address.
QUERY = "act=delete&confirmed=y&rev=1&customer_name=B&factor=totp&email=a@b.example"


def kept(app: Flask) -> dict[str, list[Any]]:
    """Every row of both databases but those that MOVING names."""
    rows: dict[str, list[Any]] = {}
    for engine in (app.extensions["site_engine"], app.extensions["vault"].engine):
        names = set(inspect(engine).get_table_names()) - MOVING
        with engine.connect() as db:
            for name in names:
                rows[name] = list(db.execute(text(f"SELECT * FROM {name}")).all())
    return rows


def test_asking_for_a_page_changes_nothing(desk: Desk, app: Flask) -> None:
    """Every address there is, by GET and HEAD, a form's fields in its query."""
    public_id = desk.register()
    before = kept(app)
    assert before["customer"]
    assert before["card"]
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) & {"GET", "HEAD"}:
            path = rule.rule.replace("<public_id>", public_id)
            answer = desk.client.open(f"{path}?{QUERY}", method=method, buffered=True)
            assert answer.status_code in (200, 303, 404), path
    assert kept(app) == before
