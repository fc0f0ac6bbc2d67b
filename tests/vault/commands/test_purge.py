"""cardvault purge."""

from __future__ import annotations

import json

import pytest

from vault import Actor, Expiry, Pan, Token
from vault.commands import purge as command
from vault.commands.progress import Stop
from vault.store.database import reading

from .shell import Shell


@pytest.fixture
def due(shell: Shell) -> list[Token]:
    """Two cards that expired long ago, beside one that is good."""
    shell.seal()
    vault, pan, by = shell.vault(), Pan.parse("4810000000020000"), Actor("t", "x")
    with vault.engine.begin() as db:
        made = vault.tokenize_many(db, [(pan, Expiry(2020, 1))] * 2, by)
    vault.engine.dispose()
    return made


def test_a_dry_run_lists_them_and_leaves_every_byte(
    shell: Shell, due: list[Token]
) -> None:
    """Token, mask and expiry on stdout; how many, and the next step, beside it."""
    before = shell.files()
    ran = shell("purge", "--expired-for", "90", "--dry-run")
    assert (ran.code, shell.files()) == (0, before)
    assert ran.out == "".join(f"{t}  48**-****-****-0000  01/2020\n" for t in due)
    assert ran.err == (
        "would purge 2 cards; nothing was changed\n"
        "next  cardvault purge --expired-for 90\n"
    )
    told = json.loads(shell("purge", "--expired-for", "90", "--dry-run", "--json").out)
    assert (told["cards"], told["expired_for"], told["damaged"]) == (2, 90, [])
    assert [card["token"] for card in told["would_purge"]] == due


def test_it_needs_no_root_key_and_verify_is_clean_after_it(
    shell: Shell, due: list[Token]
) -> None:
    """What was listed is gone, the rest is there, the trail says so of each."""
    ran = shell("purge", "--expired-for", "90", VAULT_ROOT_KEY="")
    assert (ran.code, ran.out, ran.err) == (0, "purged 2 cards\n", "")
    assert shell("verify").out.startswith("1 card opened")
    assert "card.purged" in shell("audit", "list", "--token", due[1]).out
    told = json.loads(shell("purge", "--expired-for", "90", "--json").out)
    assert told == {
        "finished": True,
        "cards": 0,
        "damaged": [],
        "gone_from_files": True,
    }


def test_a_damaged_row_is_named_and_left_alone(shell: Shell, due: list[Token]) -> None:
    """Exit 1, all else done, on a dry run too."""
    shell.edit(f"UPDATE card SET last4 = '9999' WHERE token = '{due[0]}'")
    dry = shell("purge", "--expired-for", "90", "--dry-run")
    assert (dry.code, dry.out.count("card_")) == (1, 1)
    ran = shell("purge", "--expired-for", "90")
    assert (ran.code, ran.out) == (1, "purged 1 card\n")
    assert ran.err.startswith(f"{due[0]}  is not as it was written (MAC), left alone\n")
    assert "cardvault verify" in ran.err


@pytest.mark.usefixtures("due")
@pytest.mark.parametrize("days", ["-1", "x", "36501"])
def test_bad_days_are_exit_2(shell: Shell, days: str) -> None:
    """And so is leaving them out; nothing is deleted."""
    assert shell("purge", f"--expired-for={days}").code == 2
    assert shell("purge").code == 2
    assert shell("verify").out.startswith("3 cards opened")


@pytest.mark.usefixtures("due")
def test_a_stop_asked_for_ends_at_a_batch(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 says how to go on, and the same command does."""
    monkeypatch.setattr("vault.ops.purge.BATCH", 1)
    entered = Stop.__enter__

    def at_once(self: Stop) -> Stop:
        entered(self)
        self._note(2, None)
        return self

    with monkeypatch.context() as here:
        here.setattr(Stop, "__enter__", at_once)
        ran = shell("purge", "--expired-for", "90")
    assert (ran.code, ran.out) == (3, "purged 1 card\n")
    assert "go on with the same command" in ran.err
    assert shell("purge", "--expired-for", "90").out == "purged 1 card\n"


def test_a_reader_that_keeps_the_log_is_told(
    shell: Shell, due: list[Token], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was deleted is still in a file: exit 1, and when to run it again."""
    monkeypatch.setattr(command, "CHECKPOINT_SECONDS", 0.1)
    vault = shell.vault()
    with reading(vault.engine) as db:
        vault.missing(db, due)
        ran = shell("purge", "--expired-for", "90")
    assert (ran.code, ran.out) == (1, "purged 2 cards\n")
    assert "a reader or a full disk was in the way" in ran.err
    again = shell("purge", "--expired-for", "90")
    assert (again.code, again.out) == (0, "purged 0 cards\n")
