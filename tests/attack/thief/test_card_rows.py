"""Cards put back, moved and made to look right again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from vault import Expiry, Token
from vault.clock import system_clock
from vault.store.schema import CARD, DATA_KEY, PURGED

from .case import Case, Named, all_of, robbed
from .house import NEXT_KEY, OPERATOR, House
from .thief import Thief

NO_ENTRY = "has no entry in the trail"
OLDER = "an older row was put back"
GONE = "was deleted before"


def earlier_card(thief: Thief, name: str, copy: str = "recent.db") -> Any:
    """A card's row as it was when ``copy`` was made."""
    token = thief.house.tokens()[name]
    return next(row for row in thief.earlier(copy, CARD) if row.token == token)


def put_back(thief: Thief, db: Connection, name: str, copy: str = "recent.db") -> Token:
    """Put that row where it was, with its genuine MAC or one made anew."""
    row = earlier_card(thief, name, copy)
    db.execute(delete(CARD).where(CARD.c.id == row.id))
    db.execute(insert(CARD).values(**thief.signed(CARD, row._mapping)))
    return Token(row.token)


def edit(thief: Thief, token: Token) -> None:
    """Edit a card as the site does, so that its row and its last entry agree."""
    with thief.house.engine() as engine, engine.begin() as db:
        thief.vault(engine).set_expiry(db, token, Expiry(2037, 1), OPERATOR)


def put_an_older_card_back(thief: Thief) -> None:
    """A card with the expiry it had before."""
    with thief.at_work() as db:
        put_back(thief, db, "edited")


def put_an_older_card_back_and_edit_it(thief: Thief) -> None:
    """The same, and then a change that the site enters in the trail."""
    put_an_older_card_back(thief)
    edit(thief, thief.house.tokens()["edited"])


def put_a_deleted_card_back(thief: Thief) -> None:
    """A deleted card with its number."""
    with thief.at_work() as db:
        put_back(thief, db, "deleted")


def put_a_deleted_card_back_and_edit_it(thief: Thief) -> None:
    """The same, and then a change."""
    put_a_deleted_card_back(thief)
    edit(thief, thief.house.tokens()["deleted"])


def let_a_deleted_card_be_born_again(thief: Thief) -> None:
    """The same, with an entry that says it was registered now."""
    put_a_deleted_card_back(thief)
    with thief.at_work() as db:
        thief.tell(db, "card.registered", thief.house.tokens()["deleted"], rev=1)


def let_a_deleted_card_be_imported(thief: Thief) -> None:
    """The same, with an import's entry."""
    put_a_deleted_card_back(thief)
    with thief.at_work() as db:
        thief.tell(db, "card.imported", cards={thief.house.tokens()["deleted"]: 1})


def put_a_purged_card_back(thief: Thief) -> None:
    """A purged card, its mark removed."""
    with thief.at_work() as db:
        token = put_back(thief, db, "purged")
        db.execute(delete(PURGED).where(PURGED.c.token == token))


def put_a_purged_card_back_good_for_long(thief: Thief) -> None:
    """The same, good until 2037 and registered again, so that no purge takes it."""
    put_a_purged_card_back(thief)
    token = thief.house.tokens()["purged"]
    with thief.at_work() as db:
        thief.tell(db, "card.registered", token, rev=1)
    edit(thief, token)


def put_a_card_and_its_destroyed_key_back(thief: Thief) -> None:
    """A card under the key it had before the rotation, and that key."""
    with thief.at_work() as db:
        row = next(row for row in thief.earlier("first.db", DATA_KEY) if row.id == 1)
        thief.write(db, DATA_KEY, row)
        put_back(thief, db, "old", "first.db")


def trade_two_envelopes(thief: Thief) -> None:
    """Two cards with each other's envelopes, all else as it was."""
    with thief.at_work() as db:
        one, two = db.execute(select(CARD).order_by(CARD.c.id)).all()[:2]
        thief.write(db, CARD, one, envelope=two.envelope)
        thief.write(db, CARD, two, envelope=one.envelope)


def name_a_card_after_another(thief: Thief) -> None:
    """Two cards with each other's tokens."""
    with thief.at_work() as db:
        one, two = db.execute(select(CARD).order_by(CARD.c.id)).all()[:2]
        db.execute(update(CARD).where(CARD.c.id == one.id).values(token="aside"))
        thief.write(db, CARD, two, token=one.token)
        thief.write(db, CARD, one, token=two.token)


def move_a_card_to_their_key(thief: Thief) -> None:
    """A card that claims to be under a key of theirs, its envelope as it is."""
    with thief.at_work() as db:
        state = db.execute(select(DATA_KEY.c.generation)).scalars().all()[-1]
        key = thief.own_key(db, state)
        assert key["id"] == NEXT_KEY
        card = db.execute(select(CARD).where(CARD.c.token == thief.token)).one()
        thief.write(db, CARD, card, data_key_id=key["id"])


def mark_a_card_as_purged(thief: Thief) -> None:
    """A purge mark on a card that is there."""
    with thief.at_work() as db:
        row = {"token": thief.token, "at": system_clock(), "ops_mac": None}
        thief.add(db, PURGED, row)


def mark_a_card_as_purged_with_the_root(thief: Thief) -> None:
    """The same, as if the root had been at hand."""
    with thief.at_work() as db:
        row = {"token": thief.token, "at": system_clock(), "ops_mac": bytes(32)}
        thief.add(db, PURGED, row)


def take_the_mark_off_a_purged_card(thief: Thief) -> None:
    """A purged card's mark without the root's."""
    with thief.at_work() as db:
        row = db.execute(select(PURGED)).one()
        thief.write(db, PURGED, row, ops_mac=None, at=row.at - 1)


def met(problem: str) -> Named:
    """What is left out of an export is named by ``verify`` and the rotation too."""
    return {"verify": (1, problem), "export": (4, problem), "rotate": (4, "1 card")}


@all_of(
    Case(put_an_older_card_back, met("is at rev 1, the trail at rev 2")),
    Case(put_an_older_card_back_and_edit_it, met(OLDER)),
    Case(put_a_deleted_card_back, met(NO_ENTRY)),
    Case(put_a_deleted_card_back_and_edit_it, met(OLDER)),
    Case(let_a_deleted_card_be_born_again, met(GONE)),
    Case(let_a_deleted_card_be_imported, met(GONE)),
    Case(put_a_purged_card_back_good_for_long, met(GONE)),
)
def test_a_card_put_back_stays_named(house: House, case: Case) -> None:
    """Whatever is done to make its row and the trail agree, before a rotation and
    after it."""
    _, day = robbed(house, case)
    assert day.last["verify"].code == 1


@all_of(
    Case(put_a_purged_card_back, met(NO_ENTRY)),
    Case(put_a_card_and_its_destroyed_key_back, met("is at rev 1, the trail at rev 3")),
    Case(move_a_card_to_their_key, met("can't be opened")),
    Case(
        trade_two_envelopes,
        {"verify": (1, "can't be opened"), "export": (4, "can't be opened")},
    ),
    Case(
        name_a_card_after_another,
        {"verify": (1, "can't be opened"), "export": (4, "can't be opened")},
    ),
)
def test_a_card_moved_or_put_back_opens_under_no_key(house: House, case: Case) -> None:
    """Neither under another's nor under one that was destroyed."""
    robbed(house, case)


@all_of(
    Case(mark_a_card_as_purged, {"verify": (1, "the trail says nothing")}),
    Case(
        mark_a_card_as_purged_with_the_root,
        {
            "verify": (1, "not made by this vault's root"),
            "root rotate": (5, "not made by this vault's root"),
            "web-key rotate": (5, "not made by this vault's root"),
        },
    ),
)
def test_a_forged_purge_mark_is_named(house: House, case: Case) -> None:
    """With the root's mark or without."""
    robbed(house, case)
