"""Counts cards, keys and quarantined rows; needs no root key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ..clock import DAY_SECONDS
from ..crypto import OPS_SUITE
from ..store.row_macs import NOT_AS_WRITTEN
from ..store.schema import (
    AUDIT_ENTRY,
    CARD,
    DATA_KEY,
    QUARANTINE,
    ROTATION,
    ROTATION_RANGE,
    VAULT,
)
from ..trail import SKEW_SECONDS, read_head
from ..web.vault import Vault
from .verify import name_of

WARN_SEALS = 2**28
MAC_BYTES = 32
MOST_NAMED = 20
YEAR_SECONDS = 365 * DAY_SECONDS
WARN_SECONDS = YEAR_SECONDS - 30 * DAY_SECONDS
# In a vault in use the trail is never this long without an entry.
QUIET_DAYS = 31


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
    """The vault's counts at one moment.  ``unmarked`` has a line for each row that lacks
    a root's MAC and should have one, and for each row of a rotation that was edited."""

    vault_id: str
    root_id: str
    next_root_id: str | None
    generation: int
    cards: int
    keys: tuple[KeyCount, ...]
    quarantined: int
    audit_seq: int
    unmarked: tuple[str, ...]
    clock: str = ""
    """What is odd about the clock, held against the trail's newest entry."""

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
        lines = [*self.unmarked, *filter(None, [self.clock])]
        for key in self.keys:
            if key.state == "destroyed":
                continue
            if key.age < -SKEW_SECONDS:
                lines.append(f"data key {key.id} is younger than the clock allows")
            if key.state == "damaged":
                lines.append(f"data key {key.id} is not as it was written")
            if key.seals >= WARN_SEALS:
                lines.append(f"data key {key.id} has sealed {key.seals:,} times")
        lines += [
            f"data key {key.id} is {key.age // DAY_SECONDS} days old"
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
    rows = db.execute(select(DATA_KEY).order_by(DATA_KEY.c.id))
    keys = [_count(vault, row, cards.get(row.id, 0)) for row in rows]
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
        clock=_odd_clock(db, vault.clock()),
    )


def _odd_clock(db: Connection, now: int) -> str:
    """Why the clock may be wrong at ``now``, or ""."""
    newest = select(AUDIT_ENTRY.c.at).order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)
    last = db.scalar(newest)
    if not isinstance(last, int):
        return ""
    if now < last - SKEW_SECONDS:
        days = (last - now) // DAY_SECONDS
        return f"the clock is {days} days behind the trail's newest entry"
    if now - last > QUIET_DAYS * DAY_SECONDS:
        days = (now - last) // DAY_SECONDS
        return f"the clock is {days} days ahead of the trail's newest entry"
    return ""


def _count(vault: Vault, key: Row[Any], cards: int) -> KeyCount:
    """A data key's count.  The columns of a damaged row may hold anything; those that
    hold no number count as 0."""
    now = vault.clock()
    created_at = key.created_at if isinstance(key.created_at, int) else now
    return KeyCount(
        id=key.id,
        generation=key.generation if isinstance(key.generation, int) else 0,
        state=key.state if vault.is_whole(key) else "damaged",
        cards=cards,
        seals=key.seals if isinstance(key.seals, int) else 0,
        age=now - created_at,
    )


def _unmarked(vault: Vault, db: Connection, state: Row[Any]) -> Iterator[str]:
    """What ``Census.unmarked`` says.  Only the root can tell whether a MAC of the root
    that is there is right."""
    what = "not made by this vault's root; see: cardvault verify"
    if state.root_id not in vault.web_key.made_by:
        yield f"{vault.web_key.source or 'the web key'}: {what}"
    for table in (VAULT, ROTATION, ROTATION_RANGE, QUARANTINE):
        # A missing one has no length, which is not the same as one of another length.
        other = func.length(table.c.ops_mac).is_distinct_from(MAC_BYTES)
        for row in db.execute(select(table).where(other).limit(MOST_NAMED)):
            yield f"{name_of(table, row)}: {what}"
    sealing = select(ROTATION.c.id, DATA_KEY.c.suite).join(
        DATA_KEY, DATA_KEY.c.id == ROTATION.c.data_key_id
    )
    running = sealing.where(ROTATION.c.state == "running")
    theirs = DATA_KEY.c.suite.is_distinct_from(OPS_SUITE)
    for number, suite in db.execute(running.where(theirs)):
        yield f"rotation {number} seals under a key wrapped as {suite!r}: {what}"
    for table in (ROTATION, ROTATION_RANGE):
        for row in db.execute(select(table).order_by(table.c.id)):
            if not vault.is_signed(table, row):
                yield f"{name_of(table, row)} {NOT_AS_WRITTEN}; see: cardvault verify"


def census_text(census: dict[int, int]) -> str:
    """Cards by generation, as the JSON text that a rotation's row holds."""
    return json.dumps({str(number): cards for number, cards in census.items()})
