"""cardvault purge."""

from __future__ import annotations

import calendar
import json
import sqlite3
import time
from contextlib import closing

import pytest

from tests.places.vault import FakeClock
from vault import Actor, Expiry, Pan, Token, Vault, VaultSettings
from vault.clock import DAY_SECONDS, JAPAN_OFFSET, system_clock
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


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock the commands see, at the machine's time until it is turned."""
    turned = FakeClock(system_clock())
    monkeypatch.setattr("vault.commands.vaults.system_clock", turned)
    return turned


class TestClock:
    """A wrong year must not delete every card."""

    def test_a_clock_ahead_of_the_trail_deletes_nothing(
        self, shell: Shell, clock: FakeClock
    ) -> None:
        """More than a day after its newest entry; one second less is right."""
        shell.seal()
        clock.now = _newest(shell) + DAY_SECONDS + 1
        before = shell.files()
        ran = shell("purge", "--expired-for", "0")
        assert (ran.code, ran.out, shell.files()) == (2, "", before)
        assert "the trail's newest entry is of" in ran.err
        assert "1 days before; nothing was deleted" in ran.err
        assert ran.err.endswith("cardvault purge --expired-for 0 --clock-is-right\n")
        clock.now -= 1
        assert shell("purge", "--expired-for", "0").out == "purged 0 cards\n"

    def test_years_ahead_it_keeps_what_is_good(
        self, shell: Shell, clock: FakeClock, due: list[Token]
    ) -> None:
        """Nothing goes until a person says that the clock is right; the trail has
        that they did."""
        clock.advance(10 * 366 * DAY_SECONDS)
        assert shell("purge", "--expired-for", "90").code == 2
        ran = shell("purge", "--expired-for", "90", "--clock-is-right")
        assert (ran.code, ran.out) == (0, f"purged {len(due) + 1} cards\n")
        (detail,) = [d for event, _, d in shell.trail() if event == "card.purged"]
        assert detail["clock_is_right"] is True

    @pytest.mark.usefixtures("due")
    def test_what_was_written_since_does_not_vouch_for_the_clock(
        self, shell: Shell, clock: FakeClock
    ) -> None:
        """A login under the wrong clock: a month without an entry before the last day
        is refused, less is not."""
        began = _newest(shell)
        clock.now = began + 33 * DAY_SECONDS
        vault = Vault.open(VaultSettings(), clock)
        with vault.engine.begin() as db:
            vault.record(db, "login", Actor("taro", "192.0.2.1"))
        vault.engine.dispose()
        ran = shell("purge", "--expired-for", "90")
        assert (ran.code, "but for a day's entries the trail ends at" in ran.err) == (
            2,
            True,
        )
        clock.now = began + 31 * DAY_SECONDS
        assert shell("purge", "--expired-for", "90").code == 0

    def test_a_dry_run_says_it_too(
        self, shell: Shell, clock: FakeClock, due: list[Token]
    ) -> None:
        """It lists, warns, and names no purge as the next step; exit 1."""
        clock.advance(400 * DAY_SECONDS)
        ran = shell("purge", "--expired-for", "90", "--dry-run")
        assert (ran.code, ran.out.count("card_")) == (1, len(due))
        assert "cardvault: warning: the clock says" in ran.err
        assert "next  cardvault purge" not in ran.err
        told = shell("purge", "--expired-for", "90", "--dry-run", "--json").out
        assert json.loads(told)["clock"].startswith("the clock says")
        words = ("purge", "--expired-for", "90", "--dry-run", "--clock-is-right")
        assert (shell(*words).code, shell(*words).err.count("warning")) == (0, 0)

    @pytest.mark.parametrize(
        ("harm", "said"),
        [
            ("UPDATE audit_entry SET at = 'x'", "no newest entry"),
            ("DELETE FROM audit_entry", "no newest entry"),
            ("UPDATE audit_entry SET at = -9000000000000000000", "is of second -9"),
        ],
    )
    def test_a_trail_without_a_time_is_no_proof(
        self, shell: Shell, due: list[Token], harm: str, said: str
    ) -> None:
        """An edited entry, an emptied trail: nothing is deleted."""
        shell.edit(harm)
        ran = shell("purge", "--expired-for", "90")
        assert (ran.code, said in ran.err) == (2, True)
        assert shell("purge", "--expired-for", "90", "--dry-run").out.count(
            "card_"
        ) == len(due)


def _newest(shell: Shell) -> int:
    """The time of the trail's newest entry."""
    with closing(sqlite3.connect(shell.folder / "instance" / "vault.db")) as db:
        ((at,),) = db.execute("SELECT at FROM audit_entry ORDER BY seq DESC LIMIT 1")
    return int(at)


def test_a_look_ahead_lists_what_will_be_due(shell: Shell, clock: FakeClock) -> None:
    """What a purge in so many days deletes, and not a day earlier; it only looks."""
    vault, pan, by = shell.vault(), Pan.parse("4810000000020000"), Actor("t", "x")
    japan = time.gmtime(clock() + JAPAN_OFFSET)
    month = Expiry(japan.tm_year, japan.tm_mon)
    with vault.engine.begin() as db:
        (token,) = vault.tokenize_many(db, [(pan, month)], by)
    vault.engine.dispose()
    months = 12 * japan.tm_year + japan.tm_mon
    over = calendar.timegm((months // 12, months % 12 + 1, 1, 0, 0, 0)) - JAPAN_OFFSET
    left = over - clock()
    days = left // DAY_SECONDS + 1
    words = ("purge", "--expired-for", "0", "--dry-run", "--ahead")
    ran = shell(*words, str(days))
    assert (ran.code, ran.out.split("  ")[0]) == (0, token)
    when = f"{days} day{'s' * (days > 1)}"
    assert ran.err == f"would purge 1 card in {when}; nothing was changed\n"
    assert shell(*words, str(days - 1)).out == ""
    refused = shell("purge", "--expired-for", "0", "--ahead", "7")
    assert (refused.code, "--dry-run" in refused.err) == (2, True)
