"""cardvault audit list, for people and for a machine that calls it each minute."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from vault import Actor

from .shell import Shell


def listed(shell: Shell, *words: str) -> list[dict[str, Any]]:
    """What a machine gets."""
    ran = shell("audit", "list", "--json", *words)
    assert ran.code == 0
    return [json.loads(line) for line in ran.out.splitlines()]


def record(shell: Shell, event: str, **detail: object) -> None:
    """Add an entry as the site does."""
    vault = shell.vault()
    with vault.engine.begin() as db:
        vault.record(db, event, Actor("taro", "192.0.2.1"), detail=detail)
    vault.engine.dispose()


def test_json_is_an_object_a_line(shell: Shell) -> None:
    """With every column, and the time in UTC too."""
    record(shell, "login.password", why="x")
    *_, entry, look = listed(shell)
    assert list(entry) == [
        *("time", "seq", "at", "actor", "event", "outcome", "origin", "subject"),
        "detail",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["time"])
    assert (entry["event"], entry["detail"]) == ("login.password", {"why": "x"})
    assert look["event"] == "audit.viewed"
    assert look["seq"] == entry["seq"] + 1


def test_since_goes_on_where_the_last_listing_ended(shell: Shell) -> None:
    """Its own look is its last line, so a call with nothing new shows nothing and adds
    nothing, however often it is made."""
    seen = listed(shell)[-1]["seq"]
    length = len(shell.trail())
    for _ in range(3):
        assert listed(shell, "--since", str(seen)) == []
    assert len(shell.trail()) == length
    record(shell, "login.locked")
    told = listed(shell, "--since", str(seen))
    assert [entry["event"] for entry in told] == ["login.locked", "audit.viewed"]
    assert len(shell.trail()) == length + 2
    assert listed(shell, "--since", str(told[-1]["seq"])) == []


def test_event_shows_only_those_kinds(shell: Shell) -> None:
    """One, or several; with --since and --token too."""
    (token,) = shell.seal()
    record(shell, "login.locked")
    record(shell, "login.password")
    (locked,) = listed(shell, "--event", "login.locked")
    both = listed(shell, "--event", "login.locked", "--event", "login.password")
    assert [entry["event"] for entry in both] == ["login.locked", "login.password"]
    length = len(shell.trail())
    after = ("--since", str(locked["seq"]), "--event", "login.locked")
    assert listed(shell, *after) == []
    assert len(shell.trail()) == length
    about = listed(shell, "--token", token, "--event", "card.registered")
    assert [entry["subject"] for entry in about] == [token]
    assert listed(shell, "--token", token, "--since", str(about[0]["seq"])) != []


def test_what_is_shown_was_recorded_before(shell: Shell) -> None:
    """Also where only one kind is asked for."""
    record(shell, "login.locked")
    length = len(shell.trail())
    assert len(listed(shell, "--event", "login.locked", "--since", "0")) == 1
    assert shell.trail()[length][0] == "audit.viewed"


def test_a_long_detail_is_shortened_for_people_alone(shell: Shell) -> None:
    """With how long it is and how to see it."""
    tokens = [f"card_{number:032}" for number in range(100)]
    record(shell, "login.locked", tokens=tokens)
    ran = shell("audit", "list", "--event", "login.locked")
    (line,) = ran.out.splitlines()
    assert len(line) < 700
    assert line.endswith(" characters, all with --json)")
    (entry,) = listed(shell, "--event", "login.locked")
    assert entry["detail"] == {"tokens": tokens}


@pytest.mark.parametrize(
    "edit",
    [
        "actor = x'ff00'",
        "at = 'soon'",
        "at = 9e99",
        "detail = x'ff'",
        "event = char(10) || char(27) || '[2J'",
        "subject = CAST(x'ed' AS TEXT)",
    ],
)
def test_an_entry_of_any_content_is_one_line_of_json(shell: Shell, edit: str) -> None:
    """Nobody has checked it."""
    record(shell, "login.locked")
    record(shell, "login.password")
    shell.edit(f"UPDATE audit_entry SET {edit} WHERE event = 'login.locked'")
    ran = shell("audit", "list", "--json")
    assert ran.code == 0
    assert all(line.isascii() and line.isprintable() for line in ran.out.splitlines())
    assert [json.loads(line) for line in ran.out.splitlines()]


def test_a_number_that_is_none_is_refused(shell: Shell) -> None:
    """Exit 2."""
    assert shell("audit", "list", "--since", "-1").code == 2
