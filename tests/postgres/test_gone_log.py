"""What the log says while PostgreSQL is away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.actors.operator_http import Desk
from tests.places.postgres_cluster import Cluster
from tests.places.site import Place

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

REQUESTS = 6


def test_each_request_is_one_line_while_postgresql_is_away(
    tmp_path: Path, databases: tuple[str, str], server: Cluster
) -> None:
    """Killed under connections that were in use, and away: never a traceback, and the
    incident on the page."""
    site, vault = databases
    more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault, "LOG_FORMAT": "json"}
    place = Place(tmp_path, more=more).make()
    with place.serving("--workers", "1", anew=True):
        desk = Desk(place)
        door = desk.filled("/login", login_id="taro", password="wrong password 1")
        assert desk.ask("/login", door).status == 422
        server.stop()
        try:
            pages = [desk.ask("/login", door) for _ in range(REQUESTS)]
        finally:
            server.start()
    assert {page.status for page in pages} == {503}
    said = (tmp_path / "gunicorn.log").read_text().splitlines()
    lines = [json.loads(line) for line in said]
    away = [line for line in lines if line["kind"] == "database.away"]
    assert len(away) == REQUESTS
    assert all(
        line["incident"] in page.text for line, page in zip(away, pages, strict=True)
    )
    assert [line for line in lines if "traceback" in line] == []
    # The login of the tests is a superuser, which the site tells of at its start.
    started = [line for line in lines if "breaks into the site" in line["message"]]
    lines = [line for line in lines if line not in started]
    others = [line for line in lines if line["kind"] not in ("database.away", "server")]
    assert {line["kind"] for line in others} <= {"login.failed", "request.slow"}
