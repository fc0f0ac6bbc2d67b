"""Helps a rotation that another process runs, from this host or another."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any

from sqlalchemy import Row, func, select

from ...store.database import reading
from ...store.schema import CARD, ROTATION
from ...trail import Actor
from ..open_vault import OpenVault
from ..progress import Step
from .lease import describe, is_over, own_name
from .start import unfinished
from .status import cards_done
from .workers import (
    COUNTS,
    RateLimit,
    WorkerCounts,
    WorkerProcesses,
    wait_then_work,
    work_on_ranges,
)


class Helper:
    """A helper of another process's rotation: it re-encrypts ranges; reading back and
    finishing stay with the lease's holder."""

    def __init__(self, vault: OpenVault, row: Row[Any], by: Actor) -> None:
        self._vault = vault
        self._by = by
        self.row: dict[str, Any] = dict(row._mapping)
        self._counts = WorkerCounts()
        self._processes: WorkerProcesses | None = None

    def work_on_ranges(
        self, size: int, rate: RateLimit, counts: WorkerCounts
    ) -> Generator[None]:
        """Re-encrypt free ranges, ``size`` cards a batch, until none is left."""
        yield from work_on_ranges(self._vault, self.row, self._by, size, rate, counts)

    def reencrypt(
        self, size: int, rate: RateLimit, processes: WorkerProcesses | None
    ) -> Generator[Step]:
        """Re-encrypt ``size`` cards a batch until no range is free.  Stopping between
        two steps loses nothing.  The steps count the whole rotation's cards."""
        self._processes = processes
        with reading(self._vault.engine) as db:
            total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
        own = self.work_on_ranges(size, rate, self._counts)
        with closing(wait_then_work(processes, own)) as working:
            for _ in working:
                with reading(self._vault.engine) as db:
                    done = cards_done(db, self.row["id"])
                yield Step("re-encrypt", done, max(total, done))

    @property
    def counts(self) -> dict[str, int]:
        """What this command's processes did, by name."""
        others = self._processes.counts if self._processes else ()
        every = [self._counts, *others]
        return {name: sum(getattr(one, name) for one in every) for name in COUNTS}

    @property
    def is_held(self) -> bool:
        """Say whether the rotation is finished, or a running process holds it."""
        query = select(ROTATION).where(ROTATION.c.id == self.row["id"])
        with reading(self._vault.engine) as db:
            row = db.execute(query).one()
        now = self._vault.clock()
        return row.state == "finished" or not is_over(row.lease, row.lease_at, now)


def join(vault: OpenVault, by: Actor, reason: str) -> Helper | None:
    """Join the running rotation and record that in the trail; None when none runs."""
    with vault.engine.begin() as db:
        row = unfinished(vault, db)
        if row is None:
            return None
        vault.record(
            db,
            "rotation.joined",
            by,
            subject=f"rotation {row.id}",
            detail={"process": describe(own_name()), "reason": reason},
        )
    return Helper(vault, row, by)
