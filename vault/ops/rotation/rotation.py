"""Runs a rotation: re-encrypts every older card and destroys the older data keys.

A rotation is a row with a cursor and a lease.  If it is killed, the next command goes
on from the cursor.  Each step below is one short transaction:

1. begin: raise the generation, mint its data key, retire the older ones.
2. batches: re-encrypt, move the cursor.  An operator's edit always wins.
3. read back: open every card on a fresh connection, and compare it with the trail.
4. finish: destroy the older data keys, unless a card could not be opened.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ...errors import IntegrityFault
from ...kill_points import kill_point
from ...store.database import reading
from ...store.schema import CARD, ROTATION
from ...trail import Actor
from ..open_vault import OpenVault
from ..progress import Step
from ..verify import TrailReading
from . import finish, ranges
from .batches import Batches
from .lease import LeasedRow
from .reencrypt import Batch
from .status import COUNTED, cards_done, with_counts
from .workers import (
    LOOK_SECONDS,
    RateLimit,
    WorkerCounts,
    WorkerProcesses,
    wait_then_work,
    work_on_ranges,
    work_through,
)

# A holder that writes nothing for 60 seconds loses its lease.
BEAT_SECONDS = 5


class Rotation(LeasedRow):
    """One rotation, new or ``resumed``, leased by this process."""

    def __init__(self, vault: OpenVault, row: Row[Any], *, resumed: bool) -> None:
        super().__init__(vault, ROTATION, row)
        self.resumed = resumed
        self._no_card_left = False
        self._trail = TrailReading(vault)
        self._by = Actor(row.actor, "command")

    @property
    def facts(self) -> dict[str, Any]:
        """The row, with what its ranges have counted so far."""
        with reading(self.vault.engine) as db:
            return with_counts(self.vault, db, self.row)

    @property
    def trail_fault(self) -> IntegrityFault | None:
        """The first bad entry of the trail, if reading back found one."""
        return self._trail.expected.fault

    @property
    def left(self) -> int:
        """How many cards of an older generation are left, with quarantined ones."""
        with reading(self.vault.engine) as db:
            return finish.older_cards(db, self.row["generation"])

    @property
    def is_done(self) -> bool:
        """Say whether the last batch was empty.  Until then cards may come."""
        return self._no_card_left

    def advance(self, db: Connection, batch: Batch, _size: int) -> None:
        """Move the cursor past a batch and count it."""
        self._no_card_left = batch.last is None
        self.count(db, batch, card_cursor=batch.last or self.cursor)

    def reencrypt(
        self,
        size: int,
        rate: RateLimit | None = None,
        processes: WorkerProcesses | None = None,
    ) -> Generator[Step]:
        """Re-encrypt ``size`` cards a batch.  Stopping between two steps loses nothing.

        First come the ranges: the ``processes`` work on them or, without any, this
        process, and it waits for those that others hold.  Then come the cards in no
        range.  Raises LeaseHeld when another process has taken over the rotation.
        """
        rate = rate or RateLimit()
        with reading(self.vault.engine) as db:
            total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
        with closing(self._through_ranges(size, rate, processes)) as through:
            for done in through:
                yield Step("re-encrypt", done, max(total, done))
        batches = Batches(self.vault, self.row, self._by)
        self._no_card_left = False
        done = self.row["reencrypted"] + self.row["newer"]
        for batch in work_through(self, batches, size, rate, WorkerCounts()):
            if batch.last is not None:
                done += batch.seen
                yield Step("re-encrypt", done, max(total, done))

    def work_on_ranges(
        self, size: int, rate: RateLimit, counts: WorkerCounts
    ) -> Generator[None]:
        """Re-encrypt free ranges, ``size`` cards a batch, until none is left."""
        yield from work_on_ranges(self.vault, self.row, self._by, size, rate, counts)

    def _through_ranges(
        self, size: int, rate: RateLimit, processes: WorkerProcesses | None
    ) -> Generator[int]:
        """Wait until every range is done, and work on those that are free; yields how
        many cards are done."""
        while self._has_ranges():
            own = self.work_on_ranges(size, rate, WorkerCounts())
            with closing(wait_then_work(processes, own)) as working:
                for _ in working:
                    self._beat()
                    yield self._done()
            if self._has_ranges():
                # Other processes hold the ranges, or one that has just ended.
                time.sleep(LOOK_SECONDS)
                self._beat()
                yield self._done()
        with self.vault.engine.begin() as db:
            counted = with_counts(self.vault, db, self.row)
            ranges.forget(db, self.id)
            self.write(db, **{name: counted[name] for name in COUNTED})
        kill_point("ranges-done")

    def _has_ranges(self) -> bool:
        with reading(self.vault.engine) as db:
            return bool(ranges.ranges_of(self.vault, db, self.id, left=True))

    def _done(self) -> int:
        with reading(self.vault.engine) as db:
            return cards_done(db, self.id)

    def _beat(self) -> None:
        """Renew the lease while other processes do the writing."""
        if self.vault.clock() - self.row["lease_at"] >= BEAT_SECONDS:
            with self.vault.engine.begin() as db:
                self.write(db)

    def read_back(self) -> Iterator[Step]:
        """Open every card again and compare it with the trail; a card that fails is
        quarantined, and a broken trail is in ``trail_fault``."""
        yield from finish.read_back(self, self._trail)

    def finish(self, by: Actor) -> None:
        """Destroy the older keys when every card opened, and close the record."""
        finish.finish(self, self._trail, by)
