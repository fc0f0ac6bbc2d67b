"""Every use of the root key leaves an entry in the trail."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .shell import PASSPHRASE, Shell


@pytest.mark.parametrize("words", [("verify",), ("duplicates",), ("audit", "verify")])
def test_reading_with_the_root_key_leaves_an_entry(
    shell: Shell, words: tuple[str, ...]
) -> None:
    """It says for what, and then what came of it; nothing else changes."""
    before, length = shell.but_the_trail(), len(shell.trail())
    assert shell(*words).code == 0
    used = ("root.used", "success", {"command": " ".join(words)})
    first, (event, outcome, counts) = shell.trail()[length:]
    assert (first, event, outcome) == (used, "check.done", "success")
    assert not any(counts[name] for name in counts if name not in ("entries", "opened"))
    assert shell.but_the_trail() == before


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 2",
        "UPDATE audit_head SET seq = x'ff'",
        "UPDATE audit_head SET sealed_chain_key = x'00'",
        "UPDATE audit_head SET sealed_chain_key = 'text'",
        "UPDATE audit_entry SET at = 'soon' WHERE seq = (SELECT seq FROM audit_head)",
        "DROP TABLE audit_head",
    ],
)
@pytest.mark.parametrize("words", [("verify",), ("audit", "verify")])
def test_a_trail_that_takes_no_entry_keeps_nobody_from_verifying(
    shell: Shell, words: tuple[str, ...], edit: str
) -> None:
    """It warns, and goes on to say what is wrong."""
    shell.seal()
    shell.edit(edit)
    length = len(shell.trail())
    ran = shell(*words)
    assert "warning: the trail has no entry of this use of the root key: " in ran.err
    assert ran.code == (3 if edit.startswith("DROP") else 1)
    assert len(shell.trail()) == length


def test_another_writer_keeps_nobody_from_verifying(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction of the site's is no reason not to look."""
    shell.seal()
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect("instance/vault.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        ran = shell("verify")
        db.execute("ROLLBACK")
    assert (ran.code, ran.out[:13]) == (0, "1 card opened")
    assert "use of the root key: database is locked\n" in ran.err


def test_what_opens_every_card_is_not_done_without_its_entry(shell: Shell) -> None:
    """duplicates compares nothing that the trail doesn't tell of."""
    shell.seal(2)
    shell.edit("DELETE FROM audit_head")
    ran = shell("duplicates")
    assert (ran.code, ran.out) == (1, "")
    assert "audit head: is missing" in ran.err


def test_a_wrong_passphrase_leaves_an_entry(empty: Shell) -> None:
    """The passphrase itself is nowhere in it."""
    secret = empty.folder / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    given = {"VAULT_ROOT_PASSPHRASE_FILE": str(secret)}
    assert empty("init", **given).code == 0
    secret.write_text("battery staple horse")
    assert empty("root", "passphrase", given="x\n", **given).code == 5
    event, outcome, detail = empty.trail()[-1]
    assert (event, outcome, detail["command"]) == ("root.refused", "failure", "root")
    assert "the passphrase does not open the root key" in detail["why"]
    assert "staple" not in str(empty.trail())


@pytest.mark.parametrize(
    "edit", ["DELETE FROM audit_head", "DROP TABLE audit_head", "DELETE FROM vault"]
)
def test_a_refusal_that_cannot_be_written_is_the_same_refusal(
    shell: Shell, edit: str
) -> None:
    """Exit 5 and one error, as with a whole trail."""
    shell("init", "--no-passphrase", **beside("other"))
    foreign = {"VAULT_ROOT_KEY": "other/root.key"}
    whole = shell("root", "passphrase", given=PASSPHRASE + "\n", **foreign)
    shell.edit(edit)
    ran = shell("root", "passphrase", given=PASSPHRASE + "\n", **foreign)
    assert (ran.code, ran.out, ran.err) == (5, "", whole.err)


def test_a_refusal_makes_no_database(shell: Shell) -> None:
    """Where there is none yet, nothing is left there."""
    shell("init", "--no-passphrase", **beside("other"))
    ran = shell(
        "root",
        "passphrase",
        given=PASSPHRASE + "\n",
        VAULT_ROOT_KEY="other/root.key",
        VAULT_DATABASE_URL="sqlite:///nowhere.db",
    )
    assert ran.code == 5
    assert not Path("nowhere.db").exists()


def test_a_refusal_goes_into_no_other_vaults_trail(shell: Shell) -> None:
    """The settings name a database of another vault: it stays as it is."""
    shell("init", "--no-passphrase", **beside("other"))
    before = shell.trail()
    ran = shell(
        "root",
        "passphrase",
        given=PASSPHRASE + "\n",
        VAULT_WEB_KEY="other/web.key",
    )
    assert (ran.code, shell.trail()) == (5, before)


def beside(folder: str) -> dict[str, str]:
    """The settings of another place in ``folder``, which is made."""
    Path(folder).mkdir()
    return {
        "VAULT_WEB_KEY": f"{folder}/web.key",
        "VAULT_ROOT_KEY": f"{folder}/root.key",
        "VAULT_DATABASE_URL": f"sqlite:///{folder}/vault.db",
    }


def test_what_was_found_is_in_the_trail(shell: Shell) -> None:
    """A failure with its counts, of each check that can find something; no file's name
    and no token."""
    token, _ = shell.seal(2)
    (shell.folder / "numbers.txt").write_text("4012888888881881")
    assert shell("pan-scan", "numbers.txt").code == 1
    assert shell("duplicates").code == 1
    shell.edit(f"UPDATE card SET prefix = '99' WHERE token = '{token}'")
    assert shell("verify").code == 1
    shell.edit("UPDATE audit_entry SET actor = 'x' WHERE seq = 2")
    assert shell("audit", "verify").code == 1
    done = [entry[1:] for entry in shell.trail() if entry[0] == "check.done"]
    assert done == [
        ("failure", {"places": 1, "found": 1, "not_looked_into": 0}),
        ("failure", {"numbers": 1, "found": 2, "left_out": 0}),
        ("failure", {"opened": 2, "found": 1}),
        ("failure", {"found": 1}),
    ]


def test_a_scan_away_from_any_vault_records_nothing(shell: Shell) -> None:
    """It needs no key, and makes no file."""
    (shell.folder / "clean.txt").write_text("nothing")
    ran = shell("pan-scan", "clean.txt", VAULT_DATABASE_URL="sqlite:///none.db")
    assert (ran.code, ran.err) == (0, "0 numbers found\n")
    assert not (shell.folder / "none.db").exists()
