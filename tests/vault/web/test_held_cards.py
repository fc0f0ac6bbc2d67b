"""Changing and deleting many cards at once."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from tests.places.vault import EXPIRY, VISA, VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault
from vault.errors import IntegrityFault
from vault.store.schema import CARD, DATA_KEY
from vault.trail import read_entries
from vault.web.held_cards import Change, HeldCards, delete_many

MASTERCARD = Pan.parse("5555555555554444")
LATER = Expiry(2031, 2)


def seal(vault: Vault, by: Actor, count: int) -> list[Token]:
    """Seal cards that look alike."""
    with vault.engine.begin() as db:
        return vault.tokenize_many(db, count * [(Pan.parse(VISA), EXPIRY)], by, "i")


def change(vault: Vault, by: Actor, *changes: Change) -> list[Token]:
    """Change cards in one transaction."""
    with vault.engine.begin() as db:
        held = HeldCards(vault, db, [one.token for one in changes])
        return held.change(changes, by)


def told(vault: Vault, token: str) -> list[tuple[str, dict[str, object]]]:
    """The trail's events about a card and their details."""
    with vault.engine.connect() as db:
        entries = read_entries(db, subject=token)
        return [(entry.event, entry.detail) for entry in entries]


def test_each_change_is_told_as_one_alone_is(
    place: VaultPlace, vault: Vault, operator_actor: Actor
) -> None:
    """The trail says of each card of a batch what it says of one, and it verifies."""
    one, two, three, other = seal(vault, operator_actor, 4)
    with vault.engine.begin() as db:
        alone = vault.replace(db, other, MASTERCARD, LATER, operator_actor)
        vault.set_expiry(db, other, LATER, operator_actor)
        vault.delete(db, other, operator_actor)
    further = (("customer.updated", {"name_after": "B"}),)
    new, same, left = change(
        vault,
        operator_actor,
        Change(one, new=(MASTERCARD, LATER), further=further),
        Change(two, expiry=LATER),
        Change(three, further=further),
    )
    with vault.engine.begin() as db:
        assert delete_many(vault, db, [one], operator_actor) == 1
        assert delete_many(vault, db, [one], operator_actor) == 0

    (replaced,), (moved, deleted) = told(vault, alone), told(vault, other)
    expected = {**replaced[1], "instead_of": one}
    assert told(vault, new) == [("card.replaced", expected), *further]
    assert (same, told(vault, two)) == (two, [moved])
    assert (left, told(vault, three)) == (three, list(further))
    assert told(vault, one)[0][1]["before"] == f"{Pan.parse(VISA).masked} {EXPIRY}"
    assert deleted[1]["before"] == f"{Pan.parse(VISA).masked} {LATER}"
    assert place.findings() == {}


def test_a_batch_seals_under_one_key(vault: Vault, operator_actor: Actor) -> None:
    """And counts its seals; with nothing new it counts none."""
    tokens = seal(vault, operator_actor, 3)
    changes = [Change(token, new=(MASTERCARD, LATER)) for token in tokens]
    change(vault, operator_actor, *changes)
    change(vault, operator_actor, Change(tokens[0], expiry=LATER))
    with vault.engine.connect() as db:
        assert [key.seals for key in db.execute(select(DATA_KEY))] == [6]


def test_a_card_with_a_problem_can_be_replaced_alone(
    place: VaultPlace, vault: Vault, operator_actor: Actor
) -> None:
    """A damaged or a missing card gets no expiry; a new number takes its place."""
    damaged, missing = seal(vault, operator_actor, 2)
    with vault.engine.begin() as db:
        db.execute(update(CARD).where(CARD.c.token == damaged).values(last4="1111"))
        vault.delete(db, missing, operator_actor)
    with vault.engine.begin() as db:
        held = HeldCards(vault, db, [damaged, missing])
        assert held.problem(damaged) == "damaged"
        assert held.problem(missing) == "missing"
    for token in (damaged, missing):
        with pytest.raises(IntegrityFault):
            change(vault, operator_actor, Change(token, expiry=LATER))
    news = change(
        vault,
        operator_actor,
        *(Change(token, new=(MASTERCARD, LATER)) for token in (damaged, missing)),
    )
    (first,), (second,) = told(vault, news[0]), told(vault, news[1])
    assert (first[0], first[1]["before"]) == ("card.replaced", "damaged row")
    assert (second[0], second[1]["instead_of"]) == ("card.registered", missing)
    with vault.engine.begin() as db:
        delete_many(vault, db, [damaged], operator_actor)
    assert place.findings() == {}
