"""cardvault audit."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.places.site import BIN
from vault import Actor, Expiry, Pan

from .shell import Shell


def test_an_anchor_finds_an_older_database(shell: Shell) -> None:
    """What audit anchor printed is held against the trail later."""
    shell.seal()
    with (
        closing(sqlite3.connect("instance/vault.db")) as now,
        closing(sqlite3.connect("older.db")) as older,
    ):
        now.backup(older)
    shell.seal()
    (shell.folder / "anchor").write_text(shell("audit", "anchor").out)
    verify = ("audit", "verify", "--anchor", "anchor")
    assert shell(*verify).code == 0
    shell.edit("UPDATE audit_entry SET mac = x'00' WHERE seq = 2")
    assert "audit entry 2 " in shell(*verify).out
    ran = shell(*verify, VAULT_DATABASE_URL="sqlite:///older.db")
    assert (ran.code, "an older database" in ran.out) == (1, True)


@pytest.mark.parametrize(
    "kept", ["", "[]", "{}", '{"entries": 1, "mac": "x", "vault": "y"}']
)
def test_what_is_no_anchor_is_refused(shell: Shell, kept: str) -> None:
    """Exit 2 names the file."""
    (shell.folder / "anchor").write_text(kept)
    ran = shell("audit", "verify", "--anchor", "anchor")
    assert (ran.code, "anchor is" in ran.err) == (2, True)


def test_another_trail_at_the_anchored_place_is_found(shell: Shell) -> None:
    """The same length, but not the same entries."""
    anchor = json.loads(shell("audit", "anchor").out)
    (shell.folder / "anchor").write_text(json.dumps({**anchor, "mac": "00"}))
    ran = shell("audit", "verify", "--anchor", "anchor")
    assert (ran.code, "another one than was anchored" in ran.out) == (1, True)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE audit_entry SET actor = 'x' WHERE seq = 2", "audit entry 2"),
        ("UPDATE audit_entry SET detail = '{}' WHERE seq = 3", "audit entry 3"),
        ("DELETE FROM audit_entry WHERE seq = 1", "audit entry 1"),
        ("DELETE FROM audit_entry WHERE seq = 3", "audit entry 3"),
        (
            "DELETE FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)",
            "audit entry",
        ),
        ("UPDATE audit_entry SET seq = 99 WHERE seq = 2", "audit entry 2"),
        ("UPDATE audit_head SET seq = 2", "audit head"),
        ("DELETE FROM audit_head", "audit head"),
        ("UPDATE audit_head SET sealed_chain_key = x'00'", "audit head"),
    ],
)
def test_every_edit_of_the_trail_is_found(
    shell: Shell, statement: str, place: str
) -> None:
    """Edited, cut at either end or inside, moved: the first bad place is named."""
    shell.seal(2)
    shell.edit(statement)
    ran = shell("audit", "verify")
    assert ran.code == 1
    assert ran.out.startswith(place)
    assert place in shell("verify").out


def test_the_trail_is_listed_a_line_an_entry(shell: Shell) -> None:
    """Number, time, who, from where, what, how it ended; its viewing is noted."""
    token = shell.seal()[0]
    lines = shell("audit", "list").out.splitlines()
    assert re.match(r"1\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00\t", lines[0])
    assert "audit.viewed" in lines[-1]
    of_card = shell("audit", "list", "--token", token).out.splitlines()
    assert [line.split("\t")[4] for line in of_card] == [
        "card.registered",
        "audit.viewed",
    ]


def test_who_looked_at_a_card_is_in_the_trail(shell: Shell) -> None:
    """Each viewing leaves its entry (PCI DSS 10.2.1.3)."""
    (token,) = shell.seal()
    shell("audit", "list", "--token", token)
    shown = shell("audit", "list", "--token", token).out
    assert shown.count("audit.viewed") == 2


def test_no_verb_removes_or_rewrites_an_entry(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triggers that refuse it stand in nobody's way, and the trail only grows: with
    twelve months or twelve years of it, nothing makes it shorter (AUD-04)."""
    shell.seal(3)
    # The commands refuse a database that has triggers; these are ours.
    monkeypatch.setattr("vault.store.triggers._QUERIES", {"sqlite": "SELECT 1 WHERE 0"})
    for act in ("DELETE", "UPDATE"):
        refuse = "BEGIN SELECT RAISE(ABORT, 'kept'); END"
        shell.edit(f"CREATE TRIGGER no_{act} BEFORE {act} ON audit_entry {refuse}")
    vault = shell.vault()
    with vault.engine.begin() as db:
        old = (Pan.parse("4810000000020000"), Expiry(2020, 1))
        vault.tokenize_many(db, [old], Actor("t", "x"))
    vault.engine.dispose()
    lengths = [entries(shell)]
    for words in (
        ("purge", "--expired-for", "90"),
        ("rotate",),
        ("root", "rotate"),
        ("root", "rotate", "--finalize"),
    ):
        assert shell(*words).code == 0, words
        lengths.append(entries(shell))
    for name in ("web.key", "root.key"):
        Path(f"instance/{name}.new").rename(f"instance/{name}")
    assert shell("web-key", "rotate").code == 0
    Path("instance/web.key.new").rename("instance/web.key")
    assert shell("audit", "verify").code == 0
    lengths.append(entries(shell))
    assert lengths == sorted(set(lengths))


def entries(shell: Shell) -> int:
    """How many entries the trail has."""
    with closing(sqlite3.connect(shell.folder / "instance" / "vault.db")) as db:
        count: int = db.execute("SELECT count(*) FROM audit_entry").fetchone()[0]
    return count


def test_the_times_are_the_pages(shell: Shell) -> None:
    """Japan's, with the zone beside them."""
    token = shell.seal()[0]
    shell.edit(f"UPDATE audit_entry SET at = 1795402800 WHERE subject = '{token}'")
    line = shell("audit", "list", "--token", token).out.splitlines()[0]
    assert line.split("\t")[1] == "2026-11-23T12:00:00+09:00"


@pytest.mark.parametrize("words", [("audit", "list"), ("report", "rotation")])
def test_a_reader_of_a_listing_may_go_away(
    shell: Shell, words: tuple[str, ...]
) -> None:
    """As in ``cardvault audit list | head -1``: exit 0, and nothing is said."""
    shell.seal(2)
    assert shell("rotate").code == 0
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [BIN / "cardvault", *words],
        cwd=shell.folder,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_listing_without_entries_says_so(shell: Shell) -> None:
    """A kind that is misspelt is no proof that nothing happened; a script that asks for
    what is new hears nothing."""
    words = ("--event", "login.lokced")
    shown = shell("audit", "list", *words)
    assert (shown.code, shown.out) == (0, "")
    assert "warning: the trail has no such entry" in shown.err
    assert shell("audit", "list", "--since", "99", *words).err == ""
