"""Answers how far a rotation is and which processes are at work on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ...store.schema import ROTATION, ROTATION_RANGE
from ...web.vault import Vault
from .lease import describe, is_over
from .ranges import LEFT, ranges_of

COUNTED = ("reencrypted", "newer")
"""The counts that a rotation's row and its ranges' rows share."""


@dataclass(frozen=True)
class RotationStatus:
    """How far rotation ``id`` is: cards ``reencrypted``, how many ``ranges`` it has and
    how many of them are done.  ``lease`` is the running process that holds it, or "";
    ``workers`` are those that work on a range, as text for a person."""

    id: int
    lease: str
    reencrypted: int
    ranges: int
    ranges_done: int
    workers: list[str]

    @property
    def at_work(self) -> list[str]:
        """Every running process of the rotation, once."""
        holder = [self.lease] if self.lease else []
        return list(dict.fromkeys([*holder, *self.workers]))


def running_rotation(vault: Vault, db: Connection) -> RotationStatus | None:
    """The status of the rotation that was begun and not finished, or None.  Its MACs are
    not checked."""
    query = select(ROTATION).where(ROTATION.c.state == "running")
    row = db.execute(query.order_by(ROTATION.c.id)).first()
    return rotation_status(db, row, vault.clock()) if row is not None else None


def rotation_status(db: Connection, rotation: Row[Any], now: int) -> RotationStatus:
    """The status of the rotation with this row; ``now`` is seconds UTC."""
    query = select(ROTATION_RANGE, LEFT.label("left"))
    query = query.where(ROTATION_RANGE.c.rotation_id == rotation.id)
    rows = db.execute(query.order_by(ROTATION_RANGE.c.id)).all()
    over = is_over(rotation.lease, rotation.lease_at, now)
    return RotationStatus(
        id=rotation.id,
        lease="" if over else describe(rotation.lease),
        reencrypted=rotation.reencrypted + sum(row.reencrypted for row in rows),
        ranges=len(rows),
        ranges_done=sum(not row.left for row in rows),
        workers=[
            describe(row.lease)
            for row in rows
            if row.left and not is_over(row.lease, row.lease_at, now)
        ],
    )


def cards_done(db: Connection, rotation_id: int) -> int:
    """How many cards a rotation and its ranges have gone through, at one moment."""
    of_range = ROTATION_RANGE.c.reencrypted + ROTATION_RANGE.c.newer
    of_it = ROTATION_RANGE.c.rotation_id == rotation_id
    in_ranges = select(func.coalesce(func.sum(of_range), 0)).where(of_it)
    own = ROTATION.c.reencrypted + ROTATION.c.newer
    query = select(own + in_ranges.scalar_subquery()).where(
        ROTATION.c.id == rotation_id
    )
    return int(db.execute(query).scalar_one())


def with_counts(
    vault: Vault, db: Connection, rotation: Mapping[str, Any]
) -> dict[str, Any]:
    """A rotation's row with what its ranges have counted added."""
    rows = ranges_of(vault, db, rotation["id"])
    counts = {
        name: rotation[name] + sum(row._mapping[name] for row in rows)
        for name in COUNTED
    }
    return {**rotation, **counts}
