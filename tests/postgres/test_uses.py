"""The root key's use and the anchors on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from tests.places.site import Place
from vault.ops.anchor import parse_anchors
from vault.store.database import connect

pytestmark = pytest.mark.postgres


@pytest.fixture
def place(databases: tuple[str, str], tmp_path: Path) -> Place:
    """A place whose two databases are on PostgreSQL."""
    site, vault = databases
    more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
    return Place(tmp_path, more=more).make()


def test_another_writer_keeps_nobody_from_verifying(place: Place) -> None:
    """The trail's head is held by a transaction that never ends: it is waited for a
    moment, then verified all the same, with a warning."""
    engine = connect(place.environ()["VAULT_DATABASE_URL"])
    with engine.begin() as db:
        db.execute(text("SELECT * FROM audit_head FOR UPDATE"))
        done = place.ops("verify")
        refused = place.run("cardvault", "root", "check-shares", given="no share\n\n")
    engine.dispose()
    assert (done.returncode, done.stdout[:14]) == (0, "0 cards opened")
    assert "no entry of this use of the root key: " in done.stderr
    assert "lock timeout" in done.stderr
    assert refused.returncode == 5


def test_a_rotation_gives_its_anchor_away(place: Place) -> None:
    """And it is held against the trail, by audit verify and by the next rotation."""
    kept = place.folder / "anchors"
    done = place.ops("rotate", "--json", AUDIT_ANCHOR_COMMAND=f"cat >> {kept}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(parse_anchors(kept.read_text())) == 1
    assert place.ops("audit", "verify", "--anchor", str(kept)).returncode == 0
    again = place.ops("rotate", "--anchor", str(kept))
    assert (again.returncode, "1 anchor held" in again.stderr) == (0, True)
