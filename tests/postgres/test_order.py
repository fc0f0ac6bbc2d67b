"""No two requests wait for each other, within a database or across the two (LCK-01).

Each pair of acts on one operator or one customer is tried with the first stopped
before a statement of its own, until the second is answered or waits for it: before each
of them in turn with AT_LENGTH, else before every third, each pair at another place.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.cards.models import Customer
from tests.places.vault import FakeClock, VaultPlace
from vault.trail import read_entries

from .acts import CUSTOMER_ACTS, OPERATOR_ACTS, customer_act, operator_act
from .meeting import SLOW, Here, meet, pairs

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

STRIDE = 3


def offset(acts: tuple[str, ...], *pair: str) -> int:
    """The first statement of a pair of acts to stop before, another for each pair."""
    return sum(map(acts.index, pair)) % STRIDE


# --- On one customer.


TOLD_LATER = {404, 409}


@pytest.mark.parametrize(("first", "second"), pairs(CUSTOMER_ACTS))
def test_two_acts_on_one_customer(here: Here, first: str, second: str) -> None:
    """Both are answered; of two changes one is told that it came too late."""
    for at in here.stops(offset(CUSTOMER_ACTS, first, second), STRIDE):
        one, two = here.desks
        public_id = one.register()
        act = customer_act(here, one, first, public_id)
        other = customer_act(here, two, second, public_id)
        answers = meet(here, act, other, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        apart = {first, second} & {"register", "reconcile"}
        if apart:
            assert set(answers) <= {0, 303}, (at, answers)
        else:
            assert 303 in answers, (at, answers)
            assert set(answers) - {303} <= TOLD_LATER, (at, answers)
            assert answers != (303, 303), at
    assert first == "reconcile" or at > 2


# --- On one operator.


@pytest.mark.parametrize(("first", "second"), pairs(OPERATOR_ACTS))
def test_two_acts_on_one_operator(here: Here, first: str, second: str) -> None:
    """Both are answered with a page of theirs, whoever comes first."""
    for at in here.stops(offset(OPERATOR_ACTS, first, second), STRIDE):
        login_id = here.operator()
        act = operator_act(here, first, login_id)
        other = operator_act(here, second, login_id)
        with here.site.begin() as db:
            # Nobody is held off for what the others did.
            db.execute(text("DELETE FROM origin_failure"))
        answers = meet(here, act, other, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        assert set(answers) <= {303, 422, 429}, (at, answers)
    assert at > 1


def test_all_logins_end_while_one_goes_on(here: Here) -> None:
    """``sessions end --all`` and a code that is right."""

    def end_all() -> int:
        return here.command("sessions", "end", "--all")

    for at in here.stops():
        login_id = here.operator()
        here.visitor(login_id, "in")
        act = operator_act(here, "right code", login_id)
        answers = meet(here, act, end_all, at)
        if answers == SLOW:
            continue
        if answers is None:
            break
        assert answers == (303, 0)
        login_id = here.operator()
        act = operator_act(here, "right code", login_id)
        assert meet(here, end_all, act, at) in (None, SLOW, (0, 303))


def test_nothing_was_lost_meanwhile(here: Here, tmp_path: Path) -> None:
    """After all of it each customer has a card, and the trail is whole; reconcile took
    no change between its two commits for one that was cut off."""
    vault = here.vault
    keys = here.web_key, here.root_key
    place = VaultPlace(tmp_path, "", *keys, vault.engine, FakeClock())
    assert place.findings() == {}
    with vault.engine.connect() as db:
        failed = {one.event for one in read_entries(db) if one.outcome == "failure"}
    assert not {event for event in failed if event.startswith("customer.")}
    with Session(here.site) as site:
        tokens = set(site.scalars(select(Customer.token)))
    with vault.engine.connect() as db:
        assert vault.missing(db, tokens) == {}
        assert {card[1] for card in vault.page_of_cards(db, 0, 10**6)} == tokens
