"""Begins a rotation (raises the generation, mints its data key), or takes up the one
that was not finished."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, insert, select, update

from ...card.scrub import one_line, scrub
from ...errors import IntegrityFault, LeaseHeld
from ...kill_points import kill_point
from ...store.schema import DATA_KEY, QUARANTINE, ROTATION, ROTATION_RANGE, VAULT
from ...store.triggers import require_no_triggers
from ...trail import Actor
from ...web.vault_database import lock_numbers, next_id
from ..census import census_text, take_census
from ..open_vault import OpenVault
from ..verify import name_of
from . import lease, ranges
from .finish import require_unfinished
from .rotation import Rotation

MAX_GENERATION = 2**31 - 1
"""What its column can hold."""


def take_up(vault: OpenVault, by: Actor, reason: str) -> Rotation:
    """Begin a rotation, or continue the unfinished one; ``Rotation`` says which.

    Raises LeaseHeld when another process runs it, NotMadeByRoot when a row it relies on
    was not made by the root.
    """
    with vault.engine.begin() as db:
        lock_numbers(db)
        row = unfinished(vault, db)
        if row is None:
            rotation = Rotation(vault, _begin(vault, db, by, reason), resumed=False)
        else:
            rotation = Rotation(vault, row, resumed=True)
            _take_over(db, rotation)
        kill_point("begin")
    kill_point("begun")
    return rotation


def _take_over(db: Connection, rotation: Rotation) -> None:
    row = rotation.row
    if not lease.is_over(row["lease"], row["lease_at"], rotation.vault.clock()):
        raise LeaseHeld(
            f"rotation {rotation.id} is being run by {lease.describe(row['lease'])}",
            hint="wait for it, watch it with: cardvault status, "
            "or help it with: cardvault rotate --join",
        )
    rotation.hold(db)


def unfinished(vault: OpenVault, db: Connection) -> Row[Any] | None:
    """The rotation that was begun and not finished, checked; or None.

    Raises NotMadeByRoot when the root didn't begin it, didn't mint its key or didn't
    make another row that a rotation relies on, IntegrityFault when it is the row of a
    rotation that was finished.
    """
    require_made_by_root(vault, db)
    query = select(ROTATION).where(ROTATION.c.state == "running")
    row = db.execute(query.order_by(ROTATION.c.id)).first()
    if row is not None:
        require_unfinished(vault, db, row)
        vault.rotation_cipher(db, row.data_key_id, row.generation)
    return row


def require_made_by_root(vault: OpenVault, db: Connection, *more: Table) -> None:
    """Raise NotMadeByRoot naming the first row that only the root may make and did not
    make, among those a rotation acts upon and in the tables ``more``; or naming a
    trigger in the database.

    A key whose row was merely edited is accepted here; the rotation steps over it.
    """
    require_no_triggers(db)
    vault.state(db)
    for table in (ROTATION, ROTATION_RANGE, QUARANTINE, *more):
        for row in db.execute(select(table)).all():
            vault.signer.check(table, row, name_of(table, row))
    for row in db.execute(select(DATA_KEY)).all():
        if vault.signer.is_sealed(DATA_KEY, row):
            vault.signer.check_ops(DATA_KEY, row, name_of(DATA_KEY, row))


def _begin(vault: OpenVault, db: Connection, by: Actor, reason: str) -> Row[Any]:
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
    generation: int = max(state.generation, _highest_of_keys(vault, db)) + 1
    raised = vault.signer.signed(VAULT, {**state._mapping, "generation": generation})
    db.execute(update(VAULT), raised)
    live = select(DATA_KEY).where(DATA_KEY.c.state == "live").order_by(DATA_KEY.c.id)
    for key in db.execute(live.with_for_update(key_share=True)).all():
        if vault.is_whole(key):
            vault.retire_key(db, key, by)
    return generation


def _highest_of_keys(vault: OpenVault, db: Connection) -> int:
    """The highest generation of a data key; raises IntegrityFault naming a key of the
    highest possible one, which whoever has the web key can make.

    A key whose row was edited is left out: whatever it says, its cards don't open.
    """
    keys = [key for key in db.execute(select(DATA_KEY)).all() if vault.is_whole(key)]
    if not keys:
        return 0
    highest = max(keys, key=lambda key: int(key.generation))
    if highest.generation >= MAX_GENERATION:
        raise IntegrityFault(
            f"data key {highest.id}",
            f"is of generation {highest.generation}, and there is none above it",
        )
    return int(highest.generation)
