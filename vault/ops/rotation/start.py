"""Begins a rotation: raises the generation and mints its data key."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ...card.scrub import one_line, scrub
from ...errors import IntegrityFault
from ...store.schema import DATA_KEY, ROTATION, VAULT
from ...trail import Actor
from ...web.vault_database import next_id
from ..census import take_census
from ..open_vault import OpenVault
from . import lease, ranges

MAX_GENERATION = 2**31 - 1
"""What its column can hold."""


def begin(vault: OpenVault, db: Connection, by: Actor, reason: str) -> Row[Any]:
    """Write a new rotation's row, held by this process; the caller has called
    ``lock_numbers``."""
    before = census_text(take_census(vault, db).generations)
    generation = _raise_generation(vault, db, by)
    number, divided = next_id(db, ROTATION), ranges.highest_divided(db)
    row = {
        "id": number,
        "state": "running",
        "actor": by.name,
        "reason": scrub(one_line(reason)),
        "generation": generation,
        "data_key_id": vault.mint_key(db, generation, by, seals=0).id,
        "started_at": vault.clock(),
        "finished_at": None,
        "card_cursor": divided,
        "reencrypted": 0,
        "newer": 0,
        "quarantined": 0,
        "read_back": 0,
        "keys_destroyed": 0,
        "census_before": before,
        "census_after": None,
        "audit_seq": None,
        "lease": lease.own_name(),
        "lease_at": vault.clock(),
    }
    vault.record(
        db,
        "rotation.started",
        by,
        subject=f"rotation {number}",
        detail={"generation": generation, "reason": reason},
    )
    db.execute(insert(ROTATION), vault.signer.signed(ROTATION, row))
    ranges.divide(vault, db, number, divided)
    return db.execute(select(ROTATION).where(ROTATION.c.id == number)).one()


def _raise_generation(vault: OpenVault, db: Connection, by: Actor) -> int:
    """Raise the generation and retire every live key of the older ones; returns it.

    The new generation is above every data key's.  Otherwise somebody could keep cards
    out of the rotation, with an older row of the vault or with a key of a future
    generation.
    """
    state = vault.state(db)
    generation: int = max(state.generation, _highest_of_keys(db)) + 1
    raised = vault.signer.signed(VAULT, {**state._mapping, "generation": generation})
    db.execute(update(VAULT), raised)
    live = select(DATA_KEY).where(DATA_KEY.c.state == "live").order_by(DATA_KEY.c.id)
    for key in db.execute(live.with_for_update(key_share=True)).all():
        if vault.is_whole(key):
            vault.retire_key(db, key, by)
    return generation


def _highest_of_keys(db: Connection) -> int:
    """The highest generation of a data key; raises IntegrityFault naming a key of the
    highest possible one, which whoever has the web key can make."""
    key = db.execute(
        select(DATA_KEY.c.id, DATA_KEY.c.generation)
        .order_by(DATA_KEY.c.generation.desc())
        .limit(1)
    ).first()
    if key is not None and key.generation >= MAX_GENERATION:
        raise IntegrityFault(
            f"data key {key.id}",
            f"is of generation {key.generation}, and there is none above it",
        )
    return key.generation if key is not None else 0


def census_text(census: dict[int, int]) -> str:
    """A census as the JSON text its column holds."""
    return json.dumps({str(number): cards for number, cards in census.items()})
