"""The loop that re-encrypts a leased row's cards, and the processes that share it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import LeaseHeld, VaultError
from ...kill_points import kill_point
from ...store.postgresql import wait_at_most, waited_too_long
from ...store.write_queue import LOCK_WAIT_SECONDS
from ...trail import Actor
from ..open_vault import OpenVault
from .batches import Batches
from .lease import LeasedRow
from .ranges import take
from .reencrypt import Batch

COUNTS = ("reencrypted", "newer", "quarantined", "ranges")
# How long a batch that holds cards waits for a lock, the trail's above all, before it
# gives its cards up and begins anew: an operator's edit of one of them waits that long
# with it.  After these tries it waits as long as everybody does.
PATIENCE = (0.5, 1.0, 1.5)
LOOK_SECONDS = 0.1
NAP_SECONDS = 0.1


class RateLimit:
    """Limits a run to ``rate`` cards a second (``--max-rate``); None sets no limit.
    ``stop`` says whether the run was asked to end, so that it doesn't go on sleeping
    then."""

    def __init__(
        self, rate: float | None = None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.stop = stop
        self._rate = rate
        self._began = 0.0
        self._done: int | None = None

    def wait_for(self, cards: int) -> None:
        """Wait until ``cards`` more are due; the first batch only starts the clock."""
        if self._rate is None:
            return
        if self._done is None:
            self._began, self._done = time.monotonic(), 0
            return
        self._done += cards
        due = self._began + self._done / self._rate
        while not self.stop() and (wait := due - time.monotonic()) > 0:
            time.sleep(min(wait, NAP_SECONDS))


class WorkerCounts(ctypes.Structure):
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


def work_through(
    row: LeasedRow, batches: Batches, size: int, rate: RateLimit, counts: WorkerCounts
) -> Generator[Batch]:
    """Re-encrypt a leased row's cards, ``size`` a batch.  A batch, its trail entry and
    the row's cursor commit together.

    Stopping between two batches loses nothing.  Raises LeaseHeld when another process
    took the row over.
    """
    while not row.is_done:
        batch = _next_batch(row, batches, size)
        kill_point("batch-committed")
        counts.count(batch)
        rate.wait_for(batch.seen)
        yield batch


def _next_batch(row: LeasedRow, batches: Batches, size: int) -> Batch:
    """Re-encrypt the next cards, and begin anew when they had to be given up."""
    before = row.row
    for patience in PATIENCE:
        try:
            return _batch(row, batches, size, patience)
        except DBAPIError as error:
            if not waited_too_long(error):
                raise
            row.row = before
    return _batch(row, batches, size)


def _batch(
    row: LeasedRow, batches: Batches, size: int, patience: float = LOCK_WAIT_SECONDS
) -> Batch:
    with row.vault.engine.begin() as db:
        wait_at_most(db, patience)
        batch = batches.run(db, row.cursor, size, row.last_card)
        row.advance(db, batch, size)
        kill_point("batch-ready")
    return batch


def work_on_ranges(
    vault: OpenVault,
    rotation: Mapping[str, Any],
    by: Actor,
    size: int,
    rate: RateLimit,
    counts: WorkerCounts,
) -> Generator[None]:
    """Take one free range of the rotation with this row after another, and re-encrypt
    its cards as ``by``, until no range is free.

    A range that another process took over after 60 seconds is left to it.
    """
    batches: Batches | None = None
    while (taken := take(vault, rotation["id"])) is not None:
        batches = batches or Batches(vault, rotation, by)
        counts.ranges += 1
        with suppress(LeaseHeld):
            for _ in work_through(taken, batches, size, rate, counts):
                try:
                    yield
                except GeneratorExit:
                    _give_back(taken)
                    raise


def _give_back(row: LeasedRow) -> None:
    if not row.is_done:
        with suppress(LeaseHeld):
            row.release()


RangeWork = Callable[[int, RateLimit, WorkerCounts], Generator[None]]
"""``work_on_ranges`` for one rotation: takes batch size, rate and counts."""


class WorkerProcesses:
    """``count`` processes that work on ranges, from entering the block to its end;
    together they re-encrypt at most ``rate`` cards a second.

    They are forked, so that the root key reaches them through memory alone, and before
    this process has a thread or a connection they could share.  Each ends when no range
    is free; or after its batch when ``stop`` says so, when this process leaves the
    block, or when this process has ended.
    """

    def __init__(
        self,
        engine: Engine,
        count: int,
        work: RangeWork,
        size: int,
        rate: float | None,
        stop: Callable[[], bool],
    ) -> None:
        fork = multiprocessing.get_context("fork")
        self._engine = engine
        self._work = work
        self._size = size
        self._rate = rate / count if rate else None
        self._stop = stop
        self._home = os.getpid()
        self.counts = [fork.RawValue(WorkerCounts) for _ in range(count)]
        self._processes = [
            fork.Process(target=self._run, args=(counts,)) for counts in self.counts
        ]

    def __enter__(self) -> WorkerProcesses:
        self._engine.dispose()
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def are_running(self) -> bool:
        """Say whether any of the processes is running."""
        return any(process.is_alive() for process in self._processes)

    def _run(self, counts: WorkerCounts) -> None:
        def stop() -> bool:
            return self._stop() or os.getppid() != self._home

        work = self._work(self._size, RateLimit(self._rate, stop), counts)
        try:
            for _ in work:
                if stop():
                    break
            work.close()
        except (VaultError, SQLAlchemyError):
            # Exit silently: the parent will try the remaining ranges, meet the same
            # error and report it.
            sys.exit(1)


def wait_then_work(
    processes: WorkerProcesses | None, own: Generator[None]
) -> Generator[None]:
    """Wait while the processes run, if there are any; then do this process's ``own``
    work, for ranges that they left."""
    while processes is not None and processes.are_running():
        time.sleep(LOOK_SECONDS)
        yield
    yield from own
