"""What is shown of rows that nobody has checked."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest
from sqlalchemy import select, update

from vault.store.schema import ROTATION

from .shell import Ran, Shell

FORGED = "5 cards opened, every row and audit entry as written"
# Moves the cursor, goes back to the line's start, begins another line, turns the
# writing round, hides text.
NASTY = f"x\x1b[2K\r{FORGED}\n\u202e\u200b\u2028\x9b"
# The same as an SQL expression: a text in a statement is no place for them.
SQL = "||".join(f"char({ord(c)})" for c in NASTY)


def is_harmless(ran: Ran) -> bool:
    """No character of it does anything but to be seen, and no line is the forger's."""
    for line in (ran.out + ran.err).split("\n"):
        assert line.replace("\t", "").isprintable(), ascii(line)
        assert not line.startswith(FORGED)
    return True


@pytest.fixture
def forged(shell: Shell) -> Shell:
    """A vault whose tables somebody wrote nasty texts into."""
    shell.seal(2)
    shell.edit(f"UPDATE card SET token = {SQL} WHERE id = 2")
    shell.edit(f"UPDATE audit_entry SET actor = {SQL}, origin = {SQL} WHERE seq = 3")
    shell.edit(f"UPDATE audit_entry SET detail = {SQL} WHERE seq = 4")
    return shell


RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify",), 1),
        (("audit", "list"), 0),
        (("audit", "verify"), 1),
        (("duplicates",), 4),
        (("rotate",), 4),
        (("web-key", "rotate"), 1),
        (("status",), 0),
        (("report", "rotation"), 2),
        (("quarantine", "drop", NASTY, "--reason", "x"), 1),
        (
            ("export", "--recipient", RECIPIENT, "--reason", "x", "--out", "cards.age"),
            1,
        ),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else None,
)
def test_no_command_prints_what_a_row_holds_raw(
    forged: Shell, words: tuple[str, ...], code: int
) -> None:
    """Every text is one harmless line, whichever verb meets it."""
    ran = forged(*words)
    assert ran.code == code
    assert is_harmless(ran)


def test_a_quarantined_row_is_shown_harmless(forged: Shell) -> None:
    """In the list, and by purge, which names the row too."""
    forged("rotate")
    forged.edit(f"UPDATE quarantine SET problem = {SQL}")
    listed = forged("quarantine", "list")
    assert (listed.code, listed.out.count("\n")) == (0, 1)
    assert is_harmless(listed)
    forged.edit("UPDATE card SET expiry = 202001")
    assert is_harmless(forged("purge", "--expired-for", "90"))


def test_a_drill_shows_rows_harmless(forged: Shell) -> None:
    """What a backup holds is somebody's too."""
    Path("instance/site.db").touch()
    assert forged("backup", "kept").code == 0
    ran = forged("restore", "kept", "--drill")
    assert (ran.code, is_harmless(ran)) == (1, True)


def test_the_holder_of_a_rotation_is_shown_harmless(shell: Shell) -> None:
    """Its name is the row's, markup of the terminal's included, and whoever has the web
    key can sign the row.  An edited row's holder is not shown at all."""
    shell.seal()
    shell("rotate")
    shell.edit(
        "UPDATE rotation SET state = 'running', lease_at = 4000000000, "
        f"lease = '[red]' || {SQL} || '/x 1 2'"
    )
    ran = shell("status")
    assert (ran.code, "not running" in ran.out) == (0, True)
    assert "rotation 1 is not as it was written (MAC); see: cardvault verify" in ran.out
    vault = shell.vault()
    with vault.engine.begin() as db:
        row = dict(db.execute(select(ROTATION)).one()._mapping)
        db.execute(update(ROTATION), vault.signer.signed(ROTATION, row))
    ran = shell("status")
    assert (ran.code, "[red]x" in ran.out) == (0, True)
    assert is_harmless(ran)
