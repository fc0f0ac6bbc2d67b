"""Answers how far a rotation is and which processes are at work on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    ``workers`` are those that work on a range, as text for a person.  What a damaged row
    says is left out."""

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
    """The status of the rotation that was begun and not finished, or None."""
    query = select(ROTATION).where(ROTATION.c.state == "running")
    row = db.execute(query.order_by(ROTATION.c.id)).first()
    return rotation_status(vault, db, row) if row is not None else None


def rotation_status(vault: Vault, db: Connection, rotation: Row[Any]) -> RotationStatus:
    """The status of the rotation with this row."""
    query = select(ROTATION_RANGE, LEFT.label("left"))
    query = query.where(ROTATION_RANGE.c.rotation_id == rotation.id)
    rows = db.execute(query.order_by(ROTATION_RANGE.c.id)).all()
    whole = [row for row in rows if vault.is_signed(ROTATION_RANGE, row)]
    own = [rotation] if vault.is_signed(ROTATION, rotation) else []
    left = [row for row in whole if row.left]
    return RotationStatus(
        id=rotation.id,
        lease="".join(_at_work(own, vault.clock())),
        reencrypted=sum(row.reencrypted for row in (*own, *whole)),
        ranges=len(rows),
        ranges_done=len(whole) - len(left),
        workers=_at_work(left, vault.clock()),
    )


def _at_work(rows: Sequence[Row[Any]], now: int) -> list[str]:
    """The running processes that hold ``rows``, as text for a person."""
    held = [row for row in rows if not is_over(row.lease, row.lease_at, now)]
    return [describe(row.lease) for row in held]


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
