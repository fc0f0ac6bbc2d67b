"""What a test reads behind the pages' backs: the trail and the site's rows."""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import text


def trail(app: Flask) -> list[tuple[str, str, str]]:
    """(event, outcome, actor) of every entry, oldest first."""
    query = text("SELECT event, outcome, actor FROM audit_entry ORDER BY seq")
    with app.extensions["vault"].engine.connect() as db:
        return [(row.event, row.outcome, row.actor) for row in db.execute(query)]


def change(app: Flask, statement: str, **values: Any) -> None:
    """Run a statement on the site's database."""
    with app.extensions["site_engine"].begin() as db:
        db.execute(text(statement), values)


def scalar(app: Flask, query: str) -> Any:
    """The one value a query on the site's database gives."""
    with app.extensions["site_engine"].connect() as db:
        return db.execute(text(query)).scalar_one()
