"""A clock that is far from the trail is said where one looks."""

from __future__ import annotations

import json

import pytest

from vault.clock import DAY_SECONDS, system_clock

from .shell import Shell


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (-365, "the clock is 365 days behind the trail's newest entry"),
        (365, "the clock is 365 days ahead of the trail's newest entry"),
        (-0.5, "the clock is 0 days behind the trail's newest entry"),
        (3, ""),
    ],
)
def test_status_warns_of_a_clock_far_from_the_trail(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, days: float, said: str
) -> None:
    """Behind at once, ahead when no site is quiet for so long; and of an age below
    nothing, which was shown without a word."""
    shell.seal()
    now = system_clock() + int(days * DAY_SECONDS)
    monkeypatch.setattr("vault.commands.vaults.system_clock", lambda: now)
    told = json.loads(shell("status", "--json").out)
    assert (said in told["warnings"]) is bool(said)
    young = "data key 1 is younger than the clock allows"
    assert (young in told["warnings"]) is (days < 0)
    assert (told["data_keys"][0]["age"] < 0) is (days < 0)
    if not said:
        assert told["warnings"] == []
