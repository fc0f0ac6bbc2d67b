"""Revisions 0002 and 0006 of the site's database, with data in it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from app.cards.models import Customer, Ticket
from app.migrations import HISTORY
from tests.places.vault import NOON
from vault.store.database import connect

from .revisions import names_are_folded_and_indexed


def test_the_tables_hold_customers_and_go_again(tmp_path: Path) -> None:
    """Up from 0001 the models fit; down again both tables are gone with their rows,
    and up once more they are empty."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine, "0001")
    HISTORY.upgrade(engine, "0002")
    with Session(engine) as site:
        site.add(_customer())
        site.add(Ticket(digest="d", login_id="l", public_id="p", created_at=NOON))
        site.commit()
        assert site.query(Customer).one().masked == "48**-****-****-0000"

    HISTORY.downgrade(engine, "0001")
    assert not {"customer", "form_ticket"} & set(inspect(engine).get_table_names())

    HISTORY.upgrade(engine, "0002")
    with Session(engine) as site:
        assert site.query(Customer).count() == 0
    engine.dispose()


def test_names_are_folded_and_indexed(tmp_path: Path) -> None:
    """By revision 0006, with more customers than it reads at a time."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    names_are_folded_and_indexed(engine)
    engine.dispose()


def _customer() -> Customer:
    return Customer(
        public_id="p",
        name="A",
        name_folded="a",
        phone="090-0000-0000",
        phone_digits="09000000000",
        token="card_x",
        brand="visa",
        prefix="48",
        last4="0000",
        length=16,
        expiry=203001,
        created_at=NOON,
        updated_at=NOON,
        created_by="taro",
    )
