"""Divides a rotation's cards into ranges, so that several processes can work on it.

The process that has leased a range goes through it from its lowest card number to its
highest, so that no two processes wait for each other's cards.  A range's row has a
cursor and a lease; when its process ends, the range is free again.  On SQLite, where
one process writes at a time, there are no ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from ...errors import LeaseHeld
from ...kill_points import kill_point
from ...store.database import reading, takes_several
from ...store.schema import CARD, ROTATION_RANGE
from ...web.vault import Vault
from ...web.vault_database import next_id
from ..open_vault import OpenVault
from ..verify import name_of
from .lease import LeasedRow, is_over, own_name
from .reencrypt import Batch

# Enough for several workers to end at nearly the same time, and few enough to read them
# all between two batches.
MOST_RANGES = 64
CARDS_A_RANGE = 2000

LEFT = ROTATION_RANGE.c.card_cursor < ROTATION_RANGE.c.last_card


def highest_divided(db: Connection) -> int:
    """The highest card number that the ranges cover; 0 where there are no ranges.  The
    caller has called ``lock_numbers``, so no card is added meanwhile."""
    if not takes_several(db.engine):
        return 0
    highest = select(func.coalesce(func.max(CARD.c.id), 0))
    return int(db.execute(highest).scalar_one())


def divide(vault: Vault, db: Connection, rotation_id: int, highest: int) -> None:
    """Divide the cards up to number ``highest`` into ranges of about the same size."""
    count = min(MOST_RANGES, -(-highest // CARDS_A_RANGE))
    first = next_id(db, ROTATION_RANGE)
    for number in range(count):
        row = {
            "id": first + number,
            "rotation_id": rotation_id,
            "last_card": highest * (number + 1) // count,
            "card_cursor": highest * number // count,
            "reencrypted": 0,
            "newer": 0,
            "lease": "",
            "lease_at": vault.clock(),
        }
        db.execute(insert(ROTATION_RANGE), vault.signer.signed(ROTATION_RANGE, row))


def ranges_of(
    vault: Vault, db: Connection, rotation_id: int, *, left: bool = False
) -> Sequence[Row[Any]]:
    """A rotation's ranges in order, checked; with ``left`` only those not done."""
    query = select(ROTATION_RANGE).where(ROTATION_RANGE.c.rotation_id == rotation_id)
    query = query.order_by(ROTATION_RANGE.c.id)
    rows = db.execute(query.where(LEFT) if left else query).all()
    for row in rows:
        vault.signer.check(ROTATION_RANGE, row, name_of(ROTATION_RANGE, row))
    return rows


def forget(db: Connection, rotation_id: int) -> None:
    """Delete a rotation's ranges from the database."""
    of_it = ROTATION_RANGE.c.rotation_id == rotation_id
    db.execute(delete(ROTATION_RANGE).where(of_it))


class Range(LeasedRow):
    """One range, leased by this process."""

    @property
    def last_card(self) -> int:
        """The highest card number of the range."""
        number: int = self.row["last_card"]
        return number

    @property
    def is_done(self) -> bool:
        """Say whether the cursor has reached the last card."""
        return self.cursor == self.last_card

    def advance(self, db: Connection, batch: Batch, size: int) -> None:
        """Move the cursor past a ``batch`` of up to ``size`` cards and count it; past
        the last one the lease is given back."""
        if batch.last is not None and batch.seen == size:
            cursor = batch.last
        else:
            cursor = self.last_card
        lease = "" if cursor == self.last_card else self.row["lease"]
        self.count(db, batch, card_cursor=cursor, lease=lease)


def take(vault: OpenVault, rotation_id: int) -> Range | None:
    """Take the first range that is not done and that no running process holds."""
    for row in _free(vault, rotation_id):
        if (taken := _lease(vault, row)) is not None:
            return taken
    return None


def _lease(vault: OpenVault, row: Row[Any]) -> Range | None:
    taken = Range(vault, ROTATION_RANGE, row)
    try:
        with vault.engine.begin() as db:
            taken.hold(db)
            kill_point("range-held")
    except LeaseHeld:
        return None  # another process was faster
    kill_point("range-taken")
    return taken


def _free(vault: OpenVault, rotation_id: int) -> list[Row[Any]]:
    with reading(vault.engine) as db:
        rows, now = ranges_of(vault, db, rotation_id, left=True), vault.clock()
    # A range leased to this very process was left by its own failed batch: take it
    # again.
    own = own_name()
    return [
        row for row in rows if row.lease == own or is_over(row.lease, row.lease_at, now)
    ]
