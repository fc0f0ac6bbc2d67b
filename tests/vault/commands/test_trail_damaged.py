"""A column of the trail holds what nobody wrote: a command says so and ends."""

from __future__ import annotations

import sqlite3

import pytest

from .shell import Shell

WRONG = ("'x'", "NULL", "x'00ff'", "CAST(x'ff41' AS TEXT)")
WRITING = (
    ("rotate",),
    ("root", "rotate"),
    ("duplicates",),
    ("audit", "list"),
)


def _damage(shell: Shell, change: str) -> None:
    db = sqlite3.connect(shell.folder / "instance" / "vault.db", isolation_level=None)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
    db.execute("PRAGMA writable_schema = RESET")
    db.execute(change)
    db.close()


@pytest.mark.parametrize("verb", [("status",), *WRITING])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_head_of_another_type_is_named(
    shell: Shell, wrong: str, verb: tuple[str, ...]
) -> None:
    """Its number is neither shown, nor looked for, nor counted on from."""
    _damage(shell, f"UPDATE audit_head SET seq = {wrong}")
    ran = shell(*verb)
    assert ran.code == 1
    assert "audit head: is not as it was written" in ran.err
    assert "cardvault audit verify" in ran.err


def test_status_names_a_missing_head(shell: Shell) -> None:
    """It does not say that the database doesn't answer."""
    _damage(shell, "DELETE FROM audit_head")
    ran = shell("status")
    assert ran.code == 1
    assert "audit head: is missing" in ran.err


@pytest.mark.parametrize("verb", WRITING)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_last_entry_without_a_time_is_named(
    shell: Shell, wrong: str, verb: tuple[str, ...]
) -> None:
    """Nothing is added after it, because the clock can't be compared with it."""
    last = "(SELECT max(seq) FROM audit_entry)"
    _damage(shell, f"UPDATE audit_entry SET at = {wrong} WHERE seq = {last}")
    ran = shell(*verb)
    assert ran.code == 1
    assert "audit entry 1: is not as it was written" in ran.err
