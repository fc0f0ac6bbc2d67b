"""What the pages can't easily show: races that the databases decide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cards import service
from app.cards.forms import CardForm
from app.cards.tickets import Tickets
from app.db import Work
from tests.actors.operator_client import A_CARD, Desk, boxes
from tests.places.vault import NOON, VaultPlace
from vault import Actor
from vault.store.schema import CARD

BY = Actor("taro", "192.0.2.1")


@contextmanager
def writing(desk: Desk) -> Iterator[Work]:
    """A Work that writes; what it did is rolled back."""
    unit = Work(desk.app.extensions["site_engine"], desk.vault)
    unit.write()
    try:
        yield unit
    finally:
        unit.close()


def test_a_change_overtaken_after_loading_is_a_conflict(desk: Desk) -> None:
    """The UPDATE holds the rev it was shown, so the later of two writers loses."""
    public_id = desk.register()
    (loaded,) = desk.customers()
    desk.change(public_id, customer_name="B")
    entered = service.CardChange("C", loaded.phone, None, None)
    with writing(desk) as unit, pytest.raises(service.Conflict):
        service.change(unit, loaded, entered, BY, NOON)


def test_a_deletion_overtaken_after_loading_is_a_conflict(desk: Desk) -> None:
    """So does a deletion, and the card stays."""
    public_id = desk.register()
    (loaded,) = desk.customers()
    desk.change(public_id, customer_name="B")
    with writing(desk) as unit, pytest.raises(service.Conflict):
        service.remove(unit, loaded, BY)
    assert desk.cards() == 1


def test_a_card_without_its_number_is_not_registered(desk: Desk) -> None:
    """A form that was not validated gives no card."""
    with desk.app.test_request_context(method="POST"):
        form = CardForm(
            now=NOON, luhn_exempt=frozenset(), tickets=Tickets(["key"], "login")
        )
        with pytest.raises(ValueError, match="needs a number"):
            _ = form.new_card


def test_a_ticket_is_claimed_once(desk: Desk) -> None:
    """The second claim gets nothing and undoes nothing around it."""
    tickets = Tickets(["key"], "login")
    ticket = tickets.new()
    with Session(desk.app.extensions["site_engine"]) as site:
        assert tickets.claim(site, ticket, "first", NOON)
        site.commit()
        site.expunge_all()

        assert tickets.claim(site, ticket, "second", NOON) is None
        assert tickets.answered(site, ticket) == "first"


def test_tickets_are_kept_for_a_day(desk: Desk) -> None:
    """Longer than any login lasts, and no longer."""
    tickets = Tickets(["key"], "login")
    old, new = tickets.new(), tickets.new()
    with Session(desk.app.extensions["site_engine"]) as site:
        tickets.claim(site, old, "old", NOON)
        tickets.claim(site, new, "new", NOON + 24 * 3600 + 1)
        site.expunge_all()

        assert tickets.answered(site, old) is None
        assert tickets.answered(site, new) == "new"


def test_a_ticket_answers_its_own_login_alone(desk: Desk) -> None:
    """Another login's ticket tells nothing."""
    mine, other = Tickets(["key"], "mine"), Tickets(["key"], "other")
    ticket = mine.new()
    with Session(desk.app.extensions["site_engine"]) as site:
        mine.claim(site, ticket, "x", NOON)

        assert other.answered(site, ticket) is None


@pytest.mark.parametrize("act", ["delete", "replace"])
def test_deleted_ciphertext_is_gone_from_the_files(
    desk: Desk, place: VaultPlace, act: str
) -> None:
    """Of the database and of its log, once the answer is there (PAN-04)."""
    public_id = desk.register(**A_CARD)
    with place.engine.connect() as db:
        envelope = db.execute(select(CARD.c.envelope)).scalar_one()
    assert any(envelope in path.read_bytes() for path in place.folder.glob("vault.db*"))
    if act == "delete":
        desk.delete(public_id)
    else:
        desk.change(public_id, **boxes("5555", "5555", "5555", "4444"))
    assert not [p for p in place.folder.glob("vault.db*") if envelope in p.read_bytes()]
