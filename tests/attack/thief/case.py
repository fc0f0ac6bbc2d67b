"""One attack, what ops were in the middle of, and which commands name it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from .day import NOT_MADE, Day
from .house import House
from .thief import Thief

QUIET, MIDWAY, PREPARED = "quiet", "midway", "prepared"

Named = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Case:
    """``attack`` is made when ops are at ``moment``; ``named`` has, by a command's
    words, the exit code it must end with and what it must say."""

    attack: Callable[[Thief], None]
    named: Named = field(default_factory=dict)
    moment: str = QUIET


def refused(subject: str, *commands: str, moment: str = QUIET) -> Callable[..., Case]:
    """A case in which ``commands`` refuse ``subject`` as not made by the root."""
    named = dict.fromkeys(commands, (5, f"{subject}: {NOT_MADE}"))
    return lambda attack: Case(attack, named, moment)


def found(**named: str) -> Named:
    """What ``verify`` and others must say while they end with exit 1."""
    return {words.replace("_", " "): (1, text) for words, text in named.items()}


def all_of(*cases: Case) -> pytest.MarkDecorator:
    """The parameters of a test that takes each case in turn, named by its attack."""
    names = [case.attack.__name__ for case in cases]
    return pytest.mark.parametrize("case", cases, ids=names)


def robbed(house: House, case: Case) -> tuple[Thief, Day]:
    """The house after the attack and a day of every command there is."""
    if case.moment == MIDWAY:
        house.stop_midway()
    if case.moment == PREPARED:
        house.must("root", "rotate")
    thief = Thief(house)
    case.attack(thief)
    day = Day(house, thief).live(prepared=case.moment == PREPARED)
    for words, (code, text) in case.named.items():
        day.names(words, code, text)
    return thief, day
