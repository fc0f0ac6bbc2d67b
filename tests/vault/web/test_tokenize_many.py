"""Sealing a batch of cards at once."""

from __future__ import annotations

from sqlalchemy import select

from tests.places.vault import EXPIRY, VISA, VaultPlace
from vault import Actor, Pan, Token, Vault
from vault.store.schema import CARD, DATA_KEY
from vault.trail import read_entries

MASTERCARD = "5555555555554444"


def seal(vault: Vault, by: Actor) -> list[Token]:
    """Seal two cards in one batch."""
    cards = [(Pan.parse(digits), EXPIRY) for digits in (VISA, MASTERCARD)]
    with vault.engine.begin() as db:
        return vault.tokenize_many(db, cards, by, "import 1")


def test_a_batch_is_one_key_and_one_entry(vault: Vault, operator_actor: Actor) -> None:
    """Two cards cost one data key, two counted seals and one entry naming both."""
    tokens = seal(vault, operator_actor)
    with vault.engine.connect() as db:
        described = [vault.describe(db, token) for token in tokens]
        key = db.execute(select(DATA_KEY)).one()
        entry = list(read_entries(db, subject="import 1"))[-1]
    assert [card.last4 for card in described] == ["0000", "4444"]
    assert key.seals == 2
    assert entry.detail == {"cards": dict.fromkeys(tokens, 1)}


def test_a_batch_verifies_and_a_lost_row_of_it_is_named(
    place: VaultPlace, vault: Vault, operator_actor: Actor
) -> None:
    """The trail's one entry stands for every card in it."""
    tokens = seal(vault, operator_actor)
    assert place.findings() == {}
    with vault.engine.begin() as db:
        db.execute(CARD.delete().where(CARD.c.token == tokens[0]))
    assert set(place.findings()) == {tokens[0]}


def test_an_empty_batch_leaves_nothing(vault: Vault, operator_actor: Actor) -> None:
    """No key is minted and no entry written."""
    with vault.engine.begin() as db:
        assert vault.tokenize_many(db, [], operator_actor) == []
        assert db.execute(select(DATA_KEY)).all() == []
