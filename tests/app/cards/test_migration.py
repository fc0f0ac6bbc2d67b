"""Revisions 0002, 0006 and 0008 of the site's database, with data in it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, inspect, select, text
from sqlalchemy.orm import Session

from app.cards.models import Customer, Ticket
from app.migrations import HISTORY
from tests.places.vault import NOON
from vault.store.database import connect

from .revisions import (
    CUSTOMER,
    marks_come_and_go,
    names_are_folded_and_indexed,
)


def test_the_tables_hold_customers_and_go_again(tmp_path: Path) -> None:
    """Up from 0001 the models fit; down again both tables are gone with their rows,
    and up once more they are empty."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine, "0001")
    HISTORY.upgrade(engine, "0002")
    with Session(engine) as site:
        one = {"id": 1, "public_id": "p", "token": "card_x", "rev": 1}
        site.execute(text(CUSTOMER), one)
        site.add(Ticket(digest="d", login_id="l", public_id="p", created_at=NOON))
        site.commit()
        # The models have columns of later revisions.
        assert site.scalar(select(Customer.last4)) == "0000"

    HISTORY.downgrade(engine, "0001")
    assert not {"customer", "form_ticket"} & set(inspect(engine).get_table_names())

    HISTORY.upgrade(engine, "0002")
    with Session(engine) as site:
        assert site.scalar(select(func.count(Customer.id))) == 0
    engine.dispose()


def test_names_are_folded_and_indexed(tmp_path: Path) -> None:
    """By revision 0006, with more customers than it reads at a time."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    names_are_folded_and_indexed(engine)
    engine.dispose()


def test_marks_of_stopped_cards_come_and_go(tmp_path: Path) -> None:
    """By revision 0008; the customers stay."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    marks_come_and_go(engine)
    engine.dispose()
