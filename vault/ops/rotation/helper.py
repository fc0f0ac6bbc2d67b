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
from . import lease, ranges
from .crew import Crew, at_work
from .pace import Pace
from .rotation import unfinished
from .worker import COUNTS, Tally, Worker


class Joined:
    """A helper of another process's rotation: it re-encrypts ranges; reading back and
    finishing stay with the lease's holder."""

    def __init__(self, vault: OpenVault, row: Row[Any], by: Actor) -> None:
        self._vault = vault
        self._by = by
        self.row: dict[str, Any] = dict(row._mapping)
        self._tally = Tally()
        self._crew: Crew | None = None

    def worker(self, pace: Pace, tally: Tally) -> Worker:
        """A worker of this helper."""
        return Worker(self._vault, self.row, self._by, pace, tally)

    def reencrypt(self, size: int, pace: Pace, crew: Crew | None) -> Generator[Step]:
        """Re-encrypt ``size`` cards a batch until no range is free.  Stopping between
        two steps loses nothing.  The steps count the whole rotation's cards."""
        self._crew = crew
        with reading(self._vault.engine) as db:
            total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
        worker = self.worker(pace, self._tally)
        with closing(at_work(worker, size, crew)) as working:
            for _ in working:
                with reading(self._vault.engine) as db:
                    done = ranges.done_so_far(db, self.row["id"])
                yield Step("re-encrypt", done, max(total, done))

    @property
    def tally(self) -> dict[str, int]:
        """What this command's processes did, by name."""
        tallies = [self._tally, *(self._crew.tallies if self._crew else ())]
        return {name: sum(getattr(tally, name) for tally in tallies) for name in COUNTS}

    @property
    def is_held(self) -> bool:
        """Say whether the rotation is finished, or a running process holds it."""
        query = select(ROTATION).where(ROTATION.c.id == self.row["id"])
        with reading(self._vault.engine) as db:
            row = db.execute(query).one()
        now = self._vault.clock()
        return row.state == "finished" or not lease.is_over(
            row.lease, row.lease_at, now
        )


def join(vault: OpenVault, by: Actor, reason: str) -> Joined | None:
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
            detail={"process": lease.describe(lease.own_name()), "reason": reason},
        )
    return Joined(vault, row, by)
