"""The history a page shows, whatever stands in the trail's table (INP-04)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update

from tests.places.vault import NOON, VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault
from vault.store.schema import AUDIT_ENTRY, PURGED
from vault.web.vault import purge_subject

Register = Callable[..., Token]
AMEX = "378282246310005"


def plant(place: VaultPlace, token: str, detail: object, **changes: object) -> None:
    """An entry about ``token`` that the vault never wrote."""
    values: dict[str, Any] = {
        "seq": 1000,
        "at": NOON,
        "actor": "mallory",
        "event": "customer.updated",
        "outcome": "success",
        "origin": "",
        "subject": token,
        "detail": detail,
        "mac": b"",
    }
    with place.engine.begin() as db:
        db.execute(insert(AUDIT_ENTRY), {**values, **changes})


def told(vault: Vault, token: Token) -> list[str]:
    """The events of a card's history."""
    with vault.engine.connect() as db:
        return [entry.event for entry in vault.history(db, token)]


def test_a_card_said_to_have_replaced_itself_ends_the_walk(
    place: VaultPlace, vault: Vault, register: Register
) -> None:
    """Alone and in a ring of two."""
    one, two = register(), register()
    plant(place, one, f'{{"instead_of": "{one}"}}', event="card.replaced")
    assert told(vault, one) == ["card.replaced", "card.registered"]
    plant(place, two, f'{{"instead_of": "{one}"}}', seq=1001)
    with place.engine.begin() as db:
        db.execute(
            update(AUDIT_ENTRY)
            .where(AUDIT_ENTRY.c.seq == 1000)
            .values(detail=f'{{"instead_of": "{two}"}}')
        )
    assert len(told(vault, one)) == 4


@pytest.mark.parametrize(
    "detail",
    [
        *("", "{", "[]", "null", "7", "[" * 100_000, '"a"', b"\xff\xfe", b"{", 7),
        *('{"before": "\\ud800"}', '{"x": [{"\\udfff": 1}]}'),
    ],
)
def test_what_is_no_entry_is_left_out(
    place: VaultPlace, vault: Vault, register: Register, detail: object
) -> None:
    """The others are shown, and the page comes."""
    token = register()
    with place.engine.begin() as db:
        db.connection.driver_connection.execute(  # type: ignore[union-attr]
            "INSERT INTO audit_entry VALUES (1000, ?, 'a', 'customer.updated', 's', "
            "'', ?, ?, x'')",
            (NOON, token, detail),
        )
    assert told(vault, token) == ["card.registered"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("detail", "CAST(x'7bff7d' AS TEXT)"),
        ("actor", "CAST(x'ff' AS TEXT)"),
        ("actor", "x'ff'"),
        ("event", "x'00'"),
        ("at", "'yesterday'"),
        ("at", "-1"),
        ("at", "9223372036854775807"),
        ("at", "1.5"),
    ],
)
def test_a_column_of_another_kind_is_left_out(
    place: VaultPlace, vault: Vault, register: Register, column: str, value: str
) -> None:
    """SQLite keeps anything anywhere, bytes that are no text in a text too."""
    token = register()
    plant(place, token, "{}")
    with place.engine.begin() as db:
        db.exec_driver_sql(
            f"UPDATE audit_entry SET {column} = {value} WHERE seq = 1000"
        )
    assert told(vault, token) == ["card.registered"]


@pytest.mark.parametrize("earlier", ["[]", "{}", "7", "true", "null", '""'])
def test_what_is_no_token_leads_nowhere(
    place: VaultPlace, vault: Vault, register: Register, earlier: str
) -> None:
    """The entry is shown, and the walk ends."""
    token = register()
    plant(place, token, f'{{"instead_of": {earlier}}}')
    assert told(vault, token) == ["customer.updated", "card.registered"]


@pytest.mark.parametrize("cards", ['{"cards": 7}', '{"cards": null}', "{}", "["])
def test_a_purge_that_names_no_cards_is_none(
    place: VaultPlace, vault: Vault, register: Register, cards: str
) -> None:
    """Neither for the history nor for the list, which asks why a card is gone."""
    token = register()
    with place.engine.begin() as db:
        db.execute(insert(PURGED).values(token=token, at=NOON, mac=b""))
    plant(place, purge_subject(NOON), cards)
    plant(place, token, "{", seq=1001)
    assert told(vault, token) == ["card.registered"]
    with vault.engine.connect() as db:
        assert vault.missing(db, ["card_x", token]) == {"card_x": "missing"}


def test_a_replaced_cards_history_goes_on(
    vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """What the walk is for."""
    old = register()
    with vault.engine.begin() as db:
        new = vault.replace(db, old, Pan.parse(AMEX), Expiry(2031, 2), operator_actor)
    assert told(vault, new) == ["card.replaced", "card.registered"]
