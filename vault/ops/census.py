"""Counts cards, keys and quarantined rows; needs no root key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ..crypto import OPS_SUITE
from ..store.schema import (
    CARD,
    DATA_KEY,
    QUARANTINE,
    ROTATION,
    ROTATION_RANGE,
    VAULT,
)
from ..trail import read_head
from ..web.vault import Vault

WARN_SEALS = 2**28
MAC_BYTES = 32
MOST_NAMED = 20
YEAR_SECONDS = 365 * 24 * 3600
WARN_SECONDS = YEAR_SECONDS - 30 * 24 * 3600


@dataclass(frozen=True)
class KeyCount:
    """One data key: ``cards`` sealed under it now, ``seals`` ever made with it,
    ``age`` in seconds; ``state`` is "damaged" when its row was edited."""

    id: int
    generation: int
    state: str
    cards: int
    seals: int
    age: int


@dataclass(frozen=True)
class Census:
    """The vault's counts at one moment.  ``unmarked`` names rows that lack a root's MAC
    and should have one."""

    vault_id: str
    root_id: str
    next_root_id: str | None
    generation: int
    cards: int
    keys: tuple[KeyCount, ...]
    quarantined: int
    audit_seq: int
    unmarked: tuple[str, ...]

    @property
    def generations(self) -> dict[int, int]:
        """How many cards each generation has, without those that have none."""
        counts: dict[int, int] = {}
        for key in self.keys:
            if key.cards:
                counts[key.generation] = counts.get(key.generation, 0) + key.cards
        return counts

    @property
    def older_cards(self) -> int:
        """How many cards belong to an older generation than the vault's."""
        return self.cards - self.generations.get(self.generation, 0)

    def old_keys(self) -> list[KeyCount]:
        """Data keys with cards, a year old now or within 30 days (PCI DSS 3.7.4)."""
        return [key for key in self.keys if key.cards and key.age >= WARN_SECONDS]

    def warnings(self) -> list[str]:
        """What is getting old or worn, a line each (NIST SP 800-38D, 800-57)."""
        lines = list(self.unmarked)
        for key in self.keys:
            if key.state == "destroyed":
                continue
            if key.state == "damaged":
                lines.append(f"data key {key.id} is not as it was written")
            if key.seals >= WARN_SEALS:
                lines.append(f"data key {key.id} has sealed {key.seals:,} times")
        lines += [
            f"data key {key.id} is {key.age // 86400} days old"
            for key in self.old_keys()
        ]
        return lines


def take_census(vault: Vault, db: Connection) -> Census:
    """Count cards and keys in ``db``'s transaction.  The MACs of the vault's own row
    and of the data keys are checked; those of the cards are not.

    Raises IntegrityFault when the vault's own row was edited.
    """
    state = vault.state(db)
    by_key = select(CARD.c.data_key_id, func.count()).group_by(CARD.c.data_key_id)
    cards: dict[int, int] = {row[0]: row[1] for row in db.execute(by_key)}
    keys = [
        KeyCount(
            id=row.id,
            generation=row.generation,
            state=row.state if vault.is_whole(row) else "damaged",
            cards=cards.get(row.id, 0),
            seals=row.seals,
            age=vault.clock() - row.created_at,
        )
        for row in db.execute(select(DATA_KEY).order_by(DATA_KEY.c.id))
    ]
    return Census(
        vault_id=state.vault_id,
        root_id=state.root_id,
        next_root_id=state.next_root_id,
        generation=state.generation,
        cards=sum(cards.values()),
        keys=tuple(keys),
        quarantined=db.execute(
            select(func.count()).select_from(QUARANTINE)
        ).scalar_one(),
        audit_seq=read_head(db).seq,
        unmarked=tuple(_unmarked(vault, db, state)),
    )


def _unmarked(vault: Vault, db: Connection, state: Row[Any]) -> Iterator[str]:
    """The names of rows that lack a root's MAC and should have one.  Only the root can
    tell whether a MAC that is there is right."""
    what = "not made by this vault's root; see: cardvault verify"
    if state.root_id not in vault.web_key.made_by:
        yield f"{vault.web_key.source or 'the web key'}: {what}"
    for table in (VAULT, ROTATION, ROTATION_RANGE, QUARANTINE):
        mark = func.length(table.c.ops_mac) == MAC_BYTES
        for row in db.execute(select(table).where(~mark).limit(MOST_NAMED)):
            yield f"{table.name.replace('_', ' ')} {row[0]}: {what}"
    sealing = select(ROTATION.c.id, DATA_KEY.c.suite).join(
        DATA_KEY, DATA_KEY.c.id == ROTATION.c.data_key_id
    )
    running = sealing.where(ROTATION.c.state == "running")
    for number, suite in db.execute(running.where(DATA_KEY.c.suite != OPS_SUITE)):
        yield f"rotation {number} seals under a key wrapped as {suite!r}: {what}"


def census_text(census: dict[int, int]) -> str:
    """Cards by generation, as the JSON text that a rotation's row holds."""
    return json.dumps({str(number): cards for number, cards in census.items()})
