"""doctor and web-key recover on PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.places.postgres_cluster import Cluster
from tests.places.site import Place
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = pytest.mark.postgres

SLOT = "forgotten"


@pytest.fixture
def place(databases: tuple[str, str], tmp_path: Path) -> Place:
    """A place on two empty databases, with one card under a web process's key and one
    under a rotation's."""
    site, vault = databases
    made = Place(tmp_path, more={"DATABASE_URL": site, "VAULT_DATABASE_URL": vault})
    made.make()
    seal(made)
    assert made.ops("rotate").returncode == 0
    seal(made)
    return made


def seal(place: Place) -> None:
    """Seal a card as the site does."""
    engine = connect(place.more["VAULT_DATABASE_URL"])
    vault = Vault(WebKey.read(place.folder / "web.key"), engine, system_clock)
    pan, by = Pan.parse("4810000000020000"), Actor("taro", "192.0.2.1")
    with engine.begin() as db:
        vault.tokenize(db, pan, Expiry(2030, 1), by)
    engine.dispose()


def checks(place: Place, **more: str) -> dict[str, dict[str, Any]]:
    """What doctor finds, the last of each name."""
    return {one["name"]: one for one in all_checks(place, **more)}


def all_checks(place: Place, **more: str) -> list[dict[str, Any]]:
    """What doctor finds."""
    told = json.loads(place.run("cardvault", "doctor", "--json", **more).stdout)
    found: list[dict[str, Any]] = told["checks"]
    return found


def test_a_role_a_slot_and_the_connection_are_looked_at(
    place: Place, server: Cluster
) -> None:
    """The tests' role is a superuser, without TLS; a slot nobody uses keeps the log;
    what the URL's options switch off is named."""
    server.say(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
    try:
        told = checks(place)
    finally:
        server.say(f"SELECT pg_drop_replication_slot('{SLOT}')")
    assert told["vault database"]["state"] == "ok"
    assert told["site database"]["state"] == "ok"
    assert "super" in told["vault role"]["text"]
    said = [one["text"] for one in all_checks(place) if one["name"] == "vault role"]
    assert any("may change and delete entries of the trail" in text for text in said)
    assert SLOT in told["vault replication slots"]["text"]
    assert told["site timeouts"]["state"] == "ok"
    assert told["backup"]["state"] == "unknown"
    assert told["vault TLS"]["state"] == "warning"
    assert "in the clear" in told["vault TLS"]["text"]
    url = make_url(place.more["VAULT_DATABASE_URL"])
    loose = url.update_query_dict({"options": "-c lock_timeout=0"})
    told = checks(place, VAULT_DATABASE_URL=loose.render_as_string(hide_password=False))
    assert "lock_timeout is off" in told["vault timeouts"]["text"]
    assert checks(place)["vault replication slots"]["state"] == "ok"


def test_a_server_that_is_gone_ends_no_other_check(place: Place) -> None:
    """Each database says so, the files are looked at all the same."""
    gone = "postgresql+psycopg://127.0.0.1:1/none"
    told = checks(place, DATABASE_URL=gone, VAULT_DATABASE_URL=gone)
    assert told["vault database"]["state"] == "fault"
    assert told["site database"]["state"] == "fault"
    assert told["web key"]["state"] == "ok"
    assert told["libraries"]["state"] == "ok"


def test_a_web_key_that_was_lost_is_made_anew(place: Place) -> None:
    """Every row is proven, and the site goes on."""
    (place.folder / "web.key").unlink()
    done = place.ops("web-key", "recover")
    assert done.returncode == 0, done.stderr
    assert "2 cards opened and held against it" in done.stdout
    seal(place)
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout
    assert place.ops("rotate").returncode == 0
