"""A listing whose reader sleeps holds nothing, and has told of itself (LCK-06)."""

from __future__ import annotations

import fcntl
import json
import sqlite3
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.site import BIN, Place
from tests.places.vault import FakeClock, VaultPlace
from vault import Token
from vault.ops.purge import Purge
from vault.store.database import checkpoint

pytestmark = pytest.mark.faults

MANY = 2_000
# As small as a pipe may be: full after some forty lines.
PIPE_BYTES = 4096
PATIENCE_SECONDS = 60

LISTINGS = {
    "cards list": (["flask", "--app", "wsgi", "cards", "list"], "customers.listed"),
    "cards list --csv": (
        ["flask", "--app", "wsgi", "cards", "list", "--csv"],
        "customers.listed",
    ),
    "reconcile": (["flask", "--app", "wsgi", "cards", "reconcile"], None),
    "audit list": (["cardvault", "audit", "list"], "audit.viewed"),
}


def fill(folder: Path) -> None:
    """Many customers, whose cards are missing, and as many entries in the trail, all
    made by hand: a listing checks none of them."""
    with closing(sqlite3.connect(folder / "site.db")) as db, db:
        columns = "public_id, name, name_folded, phone, phone_digits, token, brand"
        columns += ", prefix, last4, length, expiry, rev, created_at, updated_at"
        db.executemany(
            f"INSERT INTO customer ({columns}, created_by) VALUES"
            " (?, 'A', 'a', '090-0000-0000', '09000000000', ?, 'visa',"
            " '48', '0000', 16, 203001, 1, 1, 1, 'taro')",
            [(f"p{number}", f"t{number}") for number in range(MANY)],
        )
    with closing(sqlite3.connect(folder / "vault.db")) as db, db:
        db.executemany(
            "INSERT INTO audit_entry VALUES"
            " (?, 1, 'taro', 'event', 'success', 'command', 'x', '{}', x'00')",
            [(1000 + number,) for number in range(MANY)],
        )


def start(place: Place, words: list[str]) -> subprocess.Popen[bytes]:
    """Begin a listing, and come back when its reader has been asleep for long enough
    that it can't go on."""
    run = subprocess.Popen(
        [str(BIN / words[0]), *words[1:]],
        env=place.environ(),
        cwd=place.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pipesize=PIPE_BYTES,
    )
    assert run.stdout is not None
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not _is_full(run.stdout.fileno()):
        assert run.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return run


def _is_full(pipe: int) -> bool:
    """Say whether not one line more fits into a pipe."""
    (held,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return bool(held > PIPE_BYTES - 200)


def entries(folder: Path, event: str) -> list[dict[str, str]]:
    """The details of the trail's entries of a kind."""
    with closing(sqlite3.connect(folder / "vault.db")) as db:
        rows = db.execute("SELECT detail FROM audit_entry WHERE event = ?", (event,))
        return [json.loads(row[0]) for row in rows]


def is_free(path: Path) -> bool:
    """Say whether nobody holds a database: a writer comes in at once, and its log
    can be emptied, which no reader's snapshot stands in the way of."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("CREATE TABLE passing (a)")
        db.execute("DROP TABLE passing")
        db.execute("COMMIT")
        row = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(row[0] == 0)


@pytest.mark.parametrize("listing", LISTINGS)
def test_a_listing_that_nobody_reads_holds_nothing(
    tmp_path: Path, open_at: Callable[[Path], Place], listing: str
) -> None:
    """Neither a lock nor a snapshot; cut off, its entry is there all the same."""
    place = open_at(tmp_path)
    fill(tmp_path)
    words, event = LISTINGS[listing]
    run = start(place, words)
    assert is_free(tmp_path / "site.db")
    assert is_free(tmp_path / "vault.db")
    assert run.stdout is not None
    run.stdout.close()
    run.wait(PATIENCE_SECONDS)
    if event is not None:
        told = entries(tmp_path, event)
        assert len(told) == 1
        header = int(listing.endswith("--csv"))
        assert told[0].get("lines", str(MANY + header)) == str(MANY + header)


def test_the_site_goes_on_beside_an_unread_listing(
    tmp_path: Path, open_at: Callable[[Path], Place], mails: tuple[Mails, int]
) -> None:
    """The list is shown and a card registered; read on, the listing is whole."""
    place = open_at(tmp_path)
    fill(tmp_path)
    with place.serving():
        desk = Desk(place)
        desk.login("taro", mails[0])
        run = start(place, LISTINGS["cards list"][0])
        assert desk.ask("/cards").status == 200
        path = desk.post("/cards", "/cards", customer_name="B", **CARD)
        assert path.endswith("/registered")
        out, _ = run.communicate(timeout=PATIENCE_SECONDS)
        assert (run.returncode, out.count(b"\n")) == (0, MANY)
        csv = desk.get("/cards.csv")
        assert csv.count("\n") == MANY + 2
        assert entries(tmp_path, "cards.exported_masked")[0]["rows"] == str(MANY + 1)


def test_cards_due_for_a_purge_are_listed_without_a_snapshot(
    place: VaultPlace, register: Callable[..., Token], clock: FakeClock
) -> None:
    """While the reader of ``purge --dry-run`` sleeps, the log can be emptied."""
    tokens = [register(), register()]
    clock.advance(10 * 365 * 24 * 3600)
    due = Purge(place.vault(), 0).due()
    assert next(due).token == tokens[0]
    assert checkpoint(place.engine)
    assert [row.token for row in due] == tokens[1:]
