"""A listing whose reader sleeps holds nothing, and has told of itself (LCK-06)."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pyrage
import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.forked import Piped, typist
from tests.places.filled_vault import copy
from tests.places.filled_vault import fill as fill_vault
from tests.places.site import BIN, Place
from tests.places.vault import FakeClock, VaultPlace
from vault import Expiry, Token
from vault.ops.purge import Purge
from vault.store.database import connect
from vault.store.sqlite import checkpoint

pytestmark = pytest.mark.faults

MANY = 2_000
# As small as a pipe may be: full after some forty lines.
PIPE_BYTES = 4096
PATIENCE_SECONDS = 120

# Two minutes before which a login was seen, so that it is not over.
SEEN_SECONDS = 120
LISTINGS = {
    "operators list": (["flask", "--app", "wsgi", "operators", "list"], None),
    "sessions list": (["flask", "--app", "wsgi", "sessions", "list"], None),
    "cards list": (["flask", "--app", "wsgi", "cards", "list"], "customers.listed"),
    "cards list --csv": (
        ["flask", "--app", "wsgi", "cards", "list", "--csv"],
        "customers.listed",
    ),
    "reconcile": (["flask", "--app", "wsgi", "cards", "reconcile"], None),
    "audit list": (["cardvault", "audit", "list"], "audit.viewed"),
}


def fill(folder: Path, customers: int = MANY, name: str = "A") -> None:
    """Many customers, whose cards are missing, and as many operators, logins and
    entries in the trail, all made by hand: a listing checks none of them."""
    with closing(sqlite3.connect(folder / "site.db")) as db, db:
        db.executemany(
            "INSERT INTO operator (login_id, name, password_hash, used_at, created_at,"
            " password_epoch, must_change, first_password_until, failures,"
            " locked_until, first_lock_at, second_lock_at, code_sent_at,"
            " last_login_at, last_login_origin, failures_since, shared_until,"
            " shared_reason, shared_approver, disabled_at)"
            " VALUES (?, 'A', '-', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, '', 0, 0, '', '', 0)",
            [(f"o{number}",) for number in range(MANY)],
        )
        seen = int(time.time()) - SEEN_SECONDS
        db.executemany(
            "INSERT INTO login (id, operator_id, password_epoch, step, address, sends,"
            " origin, created_at, seen_at, challenge, proved_at, previous_at,"
            " previous_origin, failures_before)"
            " VALUES (?, ?, 1, 'in', '', 0, '192.0.2.1', ?, ?, '', 0, 0, '', 0)",
            [(f"l{number}", number + 2, seen, seen) for number in range(MANY)],
        )
        columns = "public_id, name, name_folded, phone, phone_digits, token, brand"
        columns += ", prefix, last4, length, expiry, rev, created_at, updated_at"
        db.executemany(
            f"INSERT INTO customer ({columns}, created_by) VALUES"
            " (?, ?, 'a', '090-0000-0000', '09000000000', ?, 'visa',"
            " '48', '0000', 16, 203001, 1, 1, 1, 'taro')",
            [(f"p{number}", name, f"t{number}") for number in range(customers)],
        )
    with closing(sqlite3.connect(folder / "vault.db")) as db, db:
        db.executemany(
            "INSERT INTO audit_entry VALUES"
            " (?, 1, 'taro', 'event', 'success', 'command', 'x', '{}', x'00')",
            [(1000 + number,) for number in range(MANY)],
        )


def start(place: Place, words: list[str], unread: str = "stdout", **more: str) -> Piped:
    """Begin a listing, and come back when the reader of its stdout or stderr has been
    asleep for long enough that it can't go on."""
    run = typist().pipe(
        *words,
        folder=place.folder,
        environ=place.environ(**more),
        pipe_bytes=PIPE_BYTES,
        quiet={"stdout", "stderr"} - {unread},
    )
    pipe = run.stdout if unread == "stdout" else run.stderr
    until(lambda: _is_full(pipe.fileno()) or run.poll() is not None)
    assert run.poll() is None
    return run


def until(true: Callable[[], bool]) -> None:
    """Wait for what other processes bring about."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < give_up, "it did not come to pass"
        time.sleep(0.01)


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
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
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
    run.stdout.close()
    run.communicate(PATIENCE_SECONDS)
    if event is not None:
        told = entries(tmp_path, event)
        assert len(told) == 1
        header = int(listing.endswith("--csv"))
        assert told[0].get("lines", str(MANY + header)) == str(MANY + header)


class OpsListing(NamedTuple):
    """A command that lists cards: its words, which of its outputs nobody reads, and
    its exit code when all was read; ``spoilt`` when every card has to be so."""

    words: list[str]
    unread: str
    code: int
    spoilt: bool = True


RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
EXPORT = ["export", "--recipient", RECIPIENT, "--reason", "billing", "--out", "new.age"]
PURGE = ["purge", "--expired-for", "0", "--dry-run"]
OPS_LISTINGS = {
    "export": OpsListing(EXPORT, "stderr", 4),
    "verify": OpsListing(["verify"], "stdout", 1),
    "verify --json": OpsListing(["verify", "--json"], "stdout", 1),
    "duplicates": OpsListing(["duplicates"], "stdout", 1, spoilt=False),
    "duplicates of spoilt cards": OpsListing(["duplicates"], "stderr", 4),
    "purge --dry-run": OpsListing(PURGE, "stdout", 0, spoilt=False),
    "purge --dry-run --json": OpsListing([*PURGE, "--json"], "stdout", 0, spoilt=False),
    "purge --dry-run of spoilt cards": OpsListing(PURGE, "stderr", 1),
}
# Each is a line of some sixty signs or more.
CARDS = 200


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place whose cards all expired, to be copied."""
    place = Place(tmp_path_factory.mktemp("expired")).make()
    fill_vault(place, CARDS, Expiry(2020, 1))
    return place


@pytest.mark.parametrize("listing", OPS_LISTINGS)
def test_an_ops_listing_that_nobody_reads_holds_nothing(
    tmp_path: Path, expired: Place, listing: str
) -> None:
    """Neither a lock nor a snapshot; read on, it is whole."""
    place, asked = copy(expired, tmp_path), OPS_LISTINGS[listing]
    if asked.spoilt:
        with closing(sqlite3.connect(tmp_path / "vault.db")) as db, db:
            db.execute("UPDATE card SET expiry = 202002")
    root_key = {"VAULT_ROOT_KEY": f"{tmp_path}/root.key"}
    run = start(place, ["cardvault", *asked.words], asked.unread, **root_key)
    assert is_free(tmp_path / "vault.db")
    out, err = run.communicate(timeout=PATIENCE_SECONDS)
    with closing(sqlite3.connect(tmp_path / "vault.db")) as db:
        tokens = [row[0] for row in db.execute("SELECT token FROM card")]
    said = out or err
    assert (run.returncode, len(tokens)) == (asked.code, CARDS)
    assert [token for token in tokens if token not in said] == []


SHOWING = {
    "export": EXPORT,
    "duplicates": ["duplicates"],
    "rotate": ["rotate"],
    "purge": ["purge", "--expired-for", "0", "--clock-is-right"],
}


@pytest.mark.parametrize("command", SHOWING)
def test_a_command_goes_on_when_its_terminal_is_stopped(
    tmp_path: Path, expired: Place, command: str
) -> None:
    """As by Ctrl-S, before its bar is drawn, and so while it reads a snapshot or has
    a lease: it comes to its result all the same."""
    place = copy(expired, tmp_path)
    reader, terminal = os.openpty()
    termios.tcflow(terminal, termios.TCOOFF)
    printed = tmp_path / "printed"
    with printed.open("w") as out:
        run = subprocess.Popen(
            [str(BIN / "cardvault"), *SHOWING[command]],
            env=place.environ(VAULT_ROOT_KEY=f"{tmp_path}/root.key"),
            cwd=tmp_path,
            stdout=out,
            stderr=terminal,
        )
    try:
        until(lambda: printed.read_text() != "")
        assert is_free(tmp_path / "vault.db")
    finally:
        run.kill()
        run.wait()
        os.close(terminal)
        os.close(reader)


NAME = "客" * 100
RECEIVED_BYTES = 4096


def test_the_site_goes_on_beside_a_csv_that_nobody_reads(
    tmp_path: Path, open_at: Callable[[Path], Place], mails: tuple[Mails, int]
) -> None:
    """A browser stops reading ``/cards.csv`` when far more than the sockets hold is
    still to come: nothing is held, and a card is registered; read on, it is whole."""
    place = open_at(tmp_path)
    customers = 2 * most_in_sockets() // len(NAME.encode())
    fill(tmp_path, customers, NAME)
    with place.serving():
        desk = Desk(place)
        desk.login("taro", mails[0])
        with asked_for(desk, "/cards.csv") as browser:
            begun = browser.recv(RECEIVED_BYTES)
            # The site reads on until the sockets are full, and then can't.
            until(lambda: is_free(tmp_path / "site.db"))
            form = desk.filled("/cards", customer_name="B", **CARD)
            assert desk.ask("/cards", form).url.endswith("/registered")
            until(lambda: is_free(tmp_path / "site.db"))
            until(lambda: is_free(tmp_path / "vault.db"))
            rest = b"".join(iter(lambda: browser.recv(2**20), b""))
    assert begun.startswith(b"HTTP/1.1 200")
    assert (begun + rest).count(NAME.encode()) == customers


@contextmanager
def asked_for(desk: Desk, path: str) -> Iterator[socket.socket]:
    """The connection of a browser that asked for a page and has read nothing yet."""
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in desk.jar)
    with socket.socket() as browser:
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
        browser.settimeout(PATIENCE_SECONDS)
        browser.connect(("127.0.0.1", desk.place.port))
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{desk.place.port}"]
        lines += ["Connection: close", f"Cookie: {cookies}", "", ""]
        browser.sendall("\r\n".join(lines).encode())
        yield browser


def most_in_sockets() -> int:
    """The most bytes that may wait in the sender's socket; the reader's is small."""
    limits = Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()
    return int(limits[2])


LOG_BYTES = 4 * 1024**2


def test_what_is_deleted_leaves_the_file_beside_an_unread_listing(
    tmp_path: Path, open_at: Callable[[Path], Place], mails: tuple[Mails, int]
) -> None:
    """The log stays as small as it is without a reader, however much is written, and
    an envelope is gone from both files when its card was deleted."""
    place = open_at(tmp_path)
    fill(tmp_path)
    file, log = tmp_path / "vault.db", tmp_path / "vault.db-wal"
    with place.serving():
        desk = Desk(place)
        desk.login("taro", mails[0])
        path = desk.post("/cards", "/cards", customer_name="B", **CARD)
        with closing(sqlite3.connect(file)) as db:
            ((envelope,),) = db.execute("SELECT envelope FROM card").fetchall()
        assert envelope in file.read_bytes() + log.read_bytes()
        run = start(place, LISTINGS["audit list"][0])
        edit = f"/cards/{path.split('/')[4]}/edit"
        assert desk.post(edit, edit, act="delete", confirmed="y").endswith("/deleted")
        assert envelope not in file.read_bytes() + log.read_bytes()
        engine = connect(f"sqlite:///{file}")
        with engine.begin() as db:
            db.exec_driver_sql("CREATE TABLE written (a)")
        for _ in range(8):
            with engine.begin() as db:
                db.exec_driver_sql(
                    "INSERT INTO written VALUES (randomblob(?))", (LOG_BYTES // 2,)
                )
        engine.dispose()
        assert log.stat().st_size < 2 * LOG_BYTES
        out, _ = run.communicate(timeout=PATIENCE_SECONDS)
    assert (run.returncode, out.count("\n") > MANY) == (0, True)


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
        assert (run.returncode, out.count("\n")) == (0, MANY)
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
