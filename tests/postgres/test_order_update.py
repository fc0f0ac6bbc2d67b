"""An update by a file and every other act on its customer do not wait for each other
in turn (LCK-01), and neither undoes the other's work unseen.

The first is stopped before each of its statements in turn, as in test_order.
"""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cards.models import Customer
from tests.actors.operator_client import Desk

from .acts import CUSTOMER_ACTS, command_act, customer_act
from .meeting import Act, Here, meet

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

NUMBER = "5555555555554444"
HEADING = "public_id,card_number,exp_month,exp_year,customer_name"
# Of an update: all rows taken in, or one left alone.  Of an act: it is done, the
# conflict's page, and the page of a customer who is gone.
TAKEN, LEFT_ALONE = 0, 1
ANSWERED = {0, 303, 404, 409}
# Of the thirty or so statements of an update every third, each act at another.
STRIDE = 3


def update_act(here: Here, *public_ids: str) -> Act:
    """What ``cards update`` does with a row for each of these customers."""
    number = next(here.numbers)
    name = "".join(chr(ord("か") + int(digit)) for digit in str(number))
    path = here.folder / f"answer-{number}.csv"
    rows = (f"{public_id},{NUMBER},2,2031,{name}" for public_id in public_ids)
    path.write_text("\n".join([HEADING, *rows, ""]))
    return lambda: here.command("cards", "update", str(path))


def cards_are_whole(here: Here, desk: Desk, public_id: str) -> None:
    """The customer, if they are still there, has one card, with their expiry."""
    with Session(here.site) as site:
        query = select(Customer).where(Customer.public_id == public_id)
        customer = site.scalar(query)
        if customer is None:
            return
        with here.vault.engine.connect() as db:
            held = here.vault.expiries(db, [customer.token])
    assert held == {customer.token: customer.expiry}
    assert desk.open(f"/cards/{public_id}/edit").status_code == 200


@pytest.mark.parametrize("name", CUSTOMER_ACTS)
def test_an_update_meets_an_act_on_its_customer(here: Here, name: str) -> None:
    """Both are answered, and the customer has one whole card."""
    desk, at = here.desks[0], CUSTOMER_ACTS.index(name) % STRIDE
    while True:
        public_id = desk.register()
        act = customer_act(here, desk, name, public_id)
        answers = meet(here, update_act(here, public_id), act, at)
        if answers is None:
            break
        assert answers[0] in (TAKEN, LEFT_ALONE), at
        assert answers[1] in ANSWERED, (at, answers)
        cards_are_whole(here, desk, public_id)
        at += STRIDE
    assert at > STRIDE


@pytest.mark.parametrize("name", ["number", "delete"])
def test_an_act_on_a_customer_meets_an_update(here: Here, name: str) -> None:
    """The act is stopped in its second transaction too."""
    desk, at = here.desks[0], 0
    while True:
        public_id = desk.register()
        act = customer_act(here, desk, name, public_id)
        answers = meet(here, act, update_act(here, public_id), at)
        if answers is None:
            break
        assert answers[0] in ANSWERED, (at, answers)
        assert answers[1] in (TAKEN, LEFT_ALONE), (at, answers)
        cards_are_whole(here, desk, public_id)
        at += 1
    assert at > 2


@pytest.mark.parametrize("other", ["purge", "rotate", "import", "update"])
def test_an_update_meets_a_command(here: Here, other: str) -> None:
    """Each ends well; two updates of two customers in other order, too."""
    desk, at = here.desks[0], 0
    while True:
        ids = desk.register(), desk.register()
        first = update_act(here, *ids)
        second = (
            update_act(here, *reversed(ids))
            if other == "update"
            else command_act(here, other)
        )
        answers = meet(here, first, second, at)
        if answers is None:
            break
        assert answers[0] in (TAKEN, LEFT_ALONE), (at, answers)
        assert answers[1] in (TAKEN, LEFT_ALONE), (at, answers)
        at += STRIDE
    assert at > STRIDE
