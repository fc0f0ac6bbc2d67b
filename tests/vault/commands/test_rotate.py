"""cardvault rotate, report, quarantine."""

from __future__ import annotations

import json
import os

import pytest

from vault import Actor
from vault.commands import progress
from vault.ops.rotation.start import take_up

from .shell import Shell


def test_a_dry_run_leaves_every_byte(shell: Shell) -> None:
    """It says what would happen, twice the same."""
    shell.seal(3)
    before = shell.files()
    ran = shell("rotate", "--dry-run")
    assert (ran.code, shell.files()) == (0, before)
    assert ran.out.startswith("would re-encrypt 3 cards to generation 2\n")
    told = json.loads(shell("rotate", "--dry-run", "--json").out)
    assert (told["cards"], told["generation"], told["resumes"]) == (3, 2, None)


def test_rotate_reports_what_it_did(shell: Shell) -> None:
    """One line for a person, one object for a machine, a page for an assessor."""
    shell.seal(3)
    ran = shell("rotate", "--reason", "yearly", "--max-rate", "1000")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out == (
        "rotation 1: 3 cards re-encrypted to generation 2, 0 newer, 3 read back, "
        "1 key destroyed\nnext       cardvault report rotation 1\n"
    )
    told = json.loads(shell("rotate", "--json").out)
    assert (told["id"], told["census_before"], told["left"]) == (2, {"2": 3}, 0)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "en",
            [
                "Record of key rotation",
                "Reason: yearly",
                "1 -> 2",
                "no card of an older",
            ],
        ),
        (
            "ja",
            [
                "鍵ローテーション実施記録",
                "実施理由: yearly",
                "第1世代 3件",
                "残っていません",
            ],
        ),
    ],
)
def test_the_record_is_one_printable_page(
    shell: Shell, lang: str, words: list[str]
) -> None:
    """Who, why, when, from which generation to which, counts, how, and a place to
    sign; the latest or the one that was asked for."""
    shell.seal(3)
    shell("rotate", "--reason", "yearly")
    page = shell("report", "rotation", "1", "--lang", lang).out
    assert page == shell("report", "rotation", "--lang", lang).out
    assert not [word for word in words if word not in page]
    assert len(page.splitlines()) < 60
    assert json.loads(shell("report", "rotation", "--json").out)["reencrypted"] == 3


def test_a_record_that_is_not_there(shell: Shell) -> None:
    """Exit 2 says which."""
    assert "no card was ever rotated" in shell("report", "rotation").err
    assert shell("report", "rotation", "7").code == 2


def test_quarantine_from_end_to_end(shell: Shell) -> None:
    """A bad row: rotate exits 4, status and the list say what to do, drop gives
    it up with a reason, and the next rotation frees the old keys."""
    good, bad = shell.seal(2)
    assert "no card is quarantined" in shell("quarantine", "list").err
    shell.edit(f"UPDATE card SET mac = x'00' WHERE token = '{bad}'")
    ran = shell("rotate")
    assert ran.code == 4
    assert "cardvault quarantine list" in ran.err
    assert "next        cardvault quarantine list" in shell("status").out
    assert bad in shell("quarantine", "list").out
    assert "隔離" in shell("report", "rotation").out
    assert shell("quarantine", "drop", good, "--reason", "x").code == 1
    assert shell("quarantine", "drop", bad).code == 2
    assert shell("quarantine", "drop", bad, "--reason", "no backup has it").code == 0
    assert "no backup has it" in shell("audit", "list", "--token", bad).out
    told = json.loads(shell("rotate", "--json").out)
    assert (told["quarantined"], told["keys_destroyed"]) == (0, 2)
    assert shell("verify").code == 0


def test_an_unfinished_rotation_is_in_status(shell: Shell) -> None:
    """Who is at it, or nobody, and the command that goes on; exit 6 for a second."""
    shell.seal(2)
    vault = shell.open_vault()
    rotation = take_up(vault, Actor("ops", "command"), "")
    assert "process" in shell("status").out
    ran = shell("rotate")
    assert (ran.code, "is being run by" in ran.err) == (6, True)
    rotation.release()
    assert "not running" in shell("status").out
    assert "next        cardvault rotate" in shell("status").out
    assert "go on with rotation 1" in shell("rotate", "--dry-run").out
    assert shell("rotate").code == 0


def test_a_stop_asked_for_ends_at_a_batch(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 with what is done and how to go on."""
    shell.seal(3)
    entered = progress.Stop.__enter__

    def at_once(self: progress.Stop) -> progress.Stop:
        entered(self)
        self._note(2, None)
        return self

    with monkeypatch.context() as here:
        here.setattr(progress.Stop, "__enter__", at_once)
        ran = shell("rotate", "--batch", "1", "--json")
    assert ran.code == 3
    assert "1 card re-encrypted so far" in ran.err
    assert json.loads(ran.out)["left"] == 2
    assert shell("rotate").code == 0


@pytest.mark.parametrize("words", [("--workers", "2"), ("--join",)])
def test_sqlite_takes_one_writer(shell: Shell, words: tuple[str, ...]) -> None:
    """Several are a usage error that says what to do, and nothing is begun."""
    shell.seal(2)
    before = shell.files()
    for more in ((), ("--dry-run",)):
        ran = shell("rotate", *words, *more)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            f"cardvault: error: {words[0]}: SQLite takes one writer at a time\n"
            "cardvault: hint: leave it out; several processes need a vault on "
            "PostgreSQL\n"
        )
    assert shell.files() == before
    assert shell("rotate", "--workers", "0").code == 2
    assert shell("rotate", "--workers", "1").code == 0


def test_a_running_rotations_record_names_who_is_at_it(shell: Shell) -> None:
    """Until it is finished; then there is nobody to name."""
    shell.seal(2)
    rotation = take_up(shell.open_vault(), Actor("ops", "command"), "")
    told = json.loads(shell("report", "rotation", "--json").out)
    assert [name.partition(" ")[2] for name in told["at_work"]] == [
        f"process {os.getpid()}"
    ]
    assert "実行中のプロセス" in shell("report", "rotation").out
    rotation.release()
    assert "At work now: -" in shell("report", "rotation", "--lang", "en").out
    shell("rotate")
    assert "At work now" not in shell("report", "rotation", "--lang", "en").out
