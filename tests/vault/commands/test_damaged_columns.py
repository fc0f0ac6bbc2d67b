"""A column holds what nobody wrote: every command names the row, or goes on beside it,
and none ends in a Python traceback."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert

from tests.lengths import at_length
from vault import Actor, Expiry, Pan
from vault.ops.purge import Purge
from vault.ops.rotation.rotation import Rotation
from vault.ops.rotation.start import take_up
from vault.store.row_macs import SIGNED_TABLES
from vault.store.schema import ROTATION_RANGE
from vault.store.sqlite import checkpoint

from .shell import Ran, Shell

BY = Actor("t", "x")
WRONG = (
    ("'x'", "min"),
    ("NULL", "max"),
    ("x'00ff'", "min"),
    ("CAST(x'ff41' AS TEXT)", "max"),
)
"""What a column holds, and whether in the table's first row or in its last."""
COLUMNS = [
    (table.name, column.name) for table in SIGNED_TABLES for column in table.columns
]
# How many of the ways each column is damaged in, the columns in turn.
WAYS = at_length(1, len(WRONG))
LOOKING = (
    ("status",),
    ("doctor",),
    ("report", "rotation"),
    ("quarantine", "list"),
    ("verify",),
)
VERBS = (*LOOKING, ("rotate", "--dry-run"), ("rotate",), ("quarantine", "list"))
# DESIGN §3, and 1: something was found.
CODES = {0, 1, 2, 3, 4, 5, 6, 7}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves the vault that it filled, for the others to copy."""
    return tmp_path_factory.mktemp("filled") / "instance"


@pytest.fixture
def filled(shell: Shell, kept: Path) -> Shell:
    """A vault with a rotation that is done and one that is half done with a range, a
    quarantined card, and one that was purged."""
    if not kept.exists():
        _fill(shell)
        shutil.copytree(shell.folder / "instance", kept)
    shutil.copytree(kept, shell.folder / "instance", dirs_exist_ok=True)
    return shell


def _fill(shell: Shell) -> None:
    shell.seal(3)
    vault, pan = shell.vault(), Pan.parse("4810000000020000")
    with vault.engine.begin() as db:
        vault.tokenize(db, pan, Expiry(2020, 1), BY)
    for _ in Purge(vault, 90).run(BY):
        pass
    vault.engine.dispose()
    ops = shell.open_vault()
    rotation = take_up(ops, BY, "")
    for _ in (*rotation.reencrypt(10), *rotation.read_back()):
        pass
    rotation.finish(BY)
    shell.seal()
    shell.edit("UPDATE card SET last4 = '9999' WHERE id = 2")
    rotation = take_up(ops, BY, "")
    steps = rotation.reencrypt(2)
    next(steps)
    steps.close()
    _add_range(rotation)
    rotation.release()
    checkpoint(ops.engine)
    ops.engine.dispose()


def _add_range(rotation: Rotation) -> None:
    """SQLite's own rotations have none; the row is as on PostgreSQL."""
    row = {
        "id": 1,
        "rotation_id": rotation.id,
        "last_card": 2,
        "card_cursor": 2,
        "reencrypted": 0,
        "newer": 0,
        "lease": "",
        "lease_at": rotation.vault.clock(),
    }
    with rotation.vault.engine.begin() as db:
        signed = rotation.vault.signer.signed(ROTATION_RANGE, row)
        db.execute(insert(ROTATION_RANGE), signed)


def test_what_is_damaged_below_was_whole(filled: Shell) -> None:
    """Only the card is found that the tests left unreadable, and the rotation ends."""
    found = filled("verify")
    assert (found.code, found.out.count("card_")) == (1, 1)
    assert filled("rotate").code == 4
    assert filled("quarantine", "list").out.count("card_") == 1


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_no_command_ends_in_a_traceback(
    filled: Shell, tmp_path: Path, table: str, column: str
) -> None:
    """The first row or the last, damaged in WAYS of the ways."""
    path, copy = filled.folder / "instance" / "vault.db", tmp_path / "whole.db"
    with closing(sqlite3.connect(path)) as whole, closing(sqlite3.connect(copy)) as to:
        whole.backup(to)
    begin = COLUMNS.index((table, column)) % len(WRONG)
    for wrong, row in (*WRONG, *WRONG)[begin : begin + WAYS]:
        with closing(sqlite3.connect(copy)) as whole, _opened(path) as db:
            whole.backup(db)
            _damage(db, table, column, wrong, row)
        for verb in VERBS:
            _require_plain(filled(*verb), f"{wrong}, {row}: {' '.join(verb)}")


def _opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


def _damage(
    db: sqlite3.Connection, table: str, column: str, wrong: str, row: str
) -> None:
    """Write ``wrong``, as whoever has the file can: no constraint is asked."""
    db.execute("PRAGMA ignore_check_constraints = ON")
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
    db.execute("PRAGMA writable_schema = RESET")
    try:
        db.execute(
            f"UPDATE {table} SET {column} = {wrong} "
            f"WHERE rowid = (SELECT {row}(rowid) FROM {table})"
        )
    except sqlite3.Error:
        # The row's number itself, which SQLite keeps a number.
        assert column in ("id", "card_id")


def _require_plain(ran: Ran, when: str) -> None:
    """A command that fails says why, and how the row is found."""
    assert ran.code in CODES, (when, ran)
    assert "Traceback" not in ran.err, (when, ran.err)
    if ran.code:
        assert ran.err or ran.out, when
