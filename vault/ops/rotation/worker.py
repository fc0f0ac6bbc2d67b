"""Works on a rotation's ranges, in one process."""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from ...errors import LeaseHeld
from ...kill_points import kill_point
from ...trail import Actor
from ..open_vault import OpenVault
from .batches import Batches
from .pace import Pace
from .ranges import Range, take
from .reencrypt import Batch

COUNTS = ("reencrypted", "newer", "quarantined", "ranges")


class Tally(ctypes.Structure):
    """What a worker did: cards re-encrypted, newer and unreadable, ranges taken.  It is
    a ctypes structure, so that it can lie in shared memory: the parent reads it while
    the worker writes."""

    _fields_ = tuple((name, ctypes.c_longlong) for name in COUNTS)
    reencrypted: int
    newer: int
    quarantined: int
    ranges: int

    def count(self, batch: Batch) -> None:
        """Count a batch's cards."""
        self.reencrypted += len(batch.revs)
        self.newer += batch.newer
        self.quarantined += len(batch.bad)


class Worker:
    """Takes one free range after another and re-encrypts its cards as ``by``;
    ``rotation`` is the rotation's row."""

    def __init__(
        self,
        vault: OpenVault,
        rotation: Mapping[str, Any],
        by: Actor,
        pace: Pace,
        tally: Tally,
    ) -> None:
        self._vault = vault
        self._rotation = rotation
        self._by = by
        self._pace = pace
        self._tally = tally

    def run(self, size: int) -> Generator[None]:
        """Work batch by batch until no range is free.  Stopping between two loses
        nothing."""
        while (held := take(self._vault, self._rotation["id"])) is not None:
            self._tally.ranges += 1
            yield from self._through(held, size)

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self._vault, self._rotation, self._by)

    def _through(self, held: Range, size: int) -> Iterator[None]:
        while not held.is_done:
            try:
                batch = self._batch(held, size)
            except LeaseHeld:
                return  # another process took over the range after 60 seconds
            self._tally.count(batch)
            self._pace.keep(batch.seen)
            try:
                yield
            except GeneratorExit:
                if not held.is_done:
                    with suppress(LeaseHeld):
                        held.release()
                raise

    def _batch(self, held: Range, size: int) -> Batch:
        with self._vault.engine.begin() as db:
            row = held.row
            batch = self._batches.run(db, row["card_cursor"], size, row["last_card"])
            held.advance(db, batch, size)
            kill_point("batch-ready")
        kill_point("batch-committed")
        return batch
