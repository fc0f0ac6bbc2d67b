"""No command and no request wait for each other in turn (LCK-01).

The command is stopped before statements of its own in turn, as in test_order; with
AT_LENGTH before twice as many.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth.models import Login, Operator
from app.cards.models import Customer
from tests.places.postgres_cluster import Cluster
from tests.places.vault import FakeClock, VaultPlace

from .acts import (
    COMMANDS,
    CUSTOMER_ACTS,
    OPERATOR_ACTS,
    OPERATOR_COMMANDS,
    REFUSED,
    command_act,
    customer_act,
    operator_act,
    operator_command,
)
from .meeting import SLOW, Here, meet

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

# Every statement of a rotation, some fifty, would take minutes: a pair takes each
# sixteenth of them, every pair at another place.  Of others it takes each fourth.  With
# AT_LENGTH all are taken.
STRIDE = {"rotate": 16}
# The acts that go on in a second transaction, and so can be met there.
LONG_ACTS = ("number", "delete")
DONE, BUSY = {0, 303}, 503
# What an act may answer when a command came first.
LATER = {
    "purge": {409},
    "rotate": set(),
    "web-key rotate": {BUSY, REFUSED},
    "import": set(),
}


def stops(here: Here, first: str, among: int) -> Iterator[int]:
    """The statements of ``first`` to stop before, in the pair number ``among``."""
    stride = STRIDE.get(first, 4)
    return here.stops(among % stride, stride)


@pytest.mark.parametrize("name", CUSTOMER_ACTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_meets_an_act_on_a_customer(
    here: Here, command: str, name: str
) -> None:
    """Both are answered.  A card that was purged meanwhile takes no new expiry; under
    another web key the act is refused, and taken when it is sent again."""
    for at in stops(here, command, CUSTOMER_ACTS.index(name)):
        desk = here.desks[0]
        act = customer_act(here, desk, name, desk.register())
        answers = meet(here, command_act(here, command), act, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        assert answers[0] == 0, at
        assert answers[1] in DONE | LATER[command], (at, answers)
        if answers[1] in (BUSY, REFUSED):
            assert act() in DONE
    assert at > 2


@pytest.mark.parametrize("name", LONG_ACTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_act_on_a_customer_meets_a_command(
    here: Here, name: str, command: str
) -> None:
    """The act is stopped in its second transaction too."""
    for at in stops(here, name, list(COMMANDS).index(command)):
        desk = here.desks[0]
        act = customer_act(here, desk, name, desk.register())
        answers = meet(here, act, command_act(here, command), at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        assert answers[1] == 0, (at, answers)
        assert answers[0] in DONE | LATER[command], (at, answers)
    assert at > 2


MEETINGS = [
    ("purge", "purge"),
    ("purge", "rotate"),
    ("purge", "import"),
    ("purge", "web-key rotate"),
    ("rotate", "purge"),
    ("rotate", "rotate"),
    ("rotate", "import"),
    ("import", "rotate"),
    ("import", "import"),
    ("import", "web-key rotate"),
    ("web-key rotate", "rotate"),
    ("web-key rotate", "web-key rotate"),
]


@pytest.mark.parametrize(("first", "second"), MEETINGS)
def test_two_commands_meet(here: Here, first: str, second: str) -> None:
    """One of them may be told that another is at work, or that its web key is old."""
    desk = here.desks[0]
    for at in stops(here, first, MEETINGS.index((first, second))):
        desk.register()
        one, two = (command_act(here, name) for name in (first, second))
        answers = meet(here, one, two, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        assert 0 in answers, (at, answers)
        assert set(answers) <= {0, 1, REFUSED}, (at, answers)
        if first != second and "web-key rotate" not in (first, second):
            assert answers == (0, 0), at
    assert at > 2


def logins_of(here: Here, login_id: str) -> set[str]:
    """The steps at which the operator's logins are."""
    query = select(Login.step).join(Operator).where(Operator.login_id == login_id)
    with Session(here.site) as site:
        return set(site.scalars(query))


# A login that none of these leaves, whoever comes first.
ENDED = {
    "disable": {"password", "code", "in"},
    "reset-password": {"password", "code", "in"},
    "remove-email": {"in"},
}


@pytest.mark.parametrize("name", OPERATOR_ACTS)
@pytest.mark.parametrize("command", OPERATOR_COMMANDS)
def test_a_command_meets_an_act_on_an_operator(
    here: Here, command: str, name: str
) -> None:
    """Both are answered, and nobody is left in whom the command put out."""
    for at in stops(here, command, OPERATOR_ACTS.index(name)):
        login_id = here.operator()
        act = operator_act(here, name, login_id)
        forget_origins(here)
        answers = meet(here, operator_command(here, command, login_id), act, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        assert answers[0] == 0, at
        assert answers[1] in (303, 422), (at, answers)
        if name != "change" or command != "remove-email":
            assert not logins_of(here, login_id) & ENDED.get(command, set()), at
    assert at > 2


def forget_origins(here: Here) -> None:
    """Nobody is held off for what others did before."""
    with here.site.begin() as db:
        db.execute(text("DELETE FROM origin_failure"))


def pairs_of_commands() -> list[tuple[str, str]]:
    """Every command on an operator with every other and itself."""
    return list(itertools.combinations_with_replacement(OPERATOR_COMMANDS, 2))


@pytest.mark.parametrize(("first", "second"), pairs_of_commands())
def test_two_commands_on_one_operator_meet(here: Here, first: str, second: str) -> None:
    """Both are done; an address that is gone already is said to be."""
    for at in stops(here, first, list(OPERATOR_COMMANDS).index(second)):
        login_id = here.operator()
        one, two = (operator_command(here, name, login_id) for name in (first, second))
        answers = meet(here, one, two, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        twice = first == second == "remove-email"
        assert sorted(answers) == ([0, REFUSED] if twice else [0, 0]), at
    assert at > 2


def test_nothing_was_lost_and_nobody_stood_in_a_ring(
    here: Here, server: Cluster, tmp_path: Path
) -> None:
    """After all of it each customer has a card or its mark, the trail is whole, and the
    server has ended nobody's wait for being one of a ring."""
    keys = here.web_key, here.root_key
    place = VaultPlace(tmp_path, "", *keys, here.vault.engine, FakeClock())
    assert place.findings() == {}
    with Session(here.site) as site:
        tokens = set(site.scalars(select(Customer.token)))
    with here.vault.engine.connect() as db:
        assert set(here.vault.missing(db, tokens).values()) <= {"purged"}
        kept = {card[1] for card in here.vault.page_of_cards(db, 0, 10**6)}
    assert kept <= tokens
    assert "deadlock detected" not in (server.folder / "log").read_text()
