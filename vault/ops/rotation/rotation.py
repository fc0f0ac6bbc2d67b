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

from sqlalchemy import Connection, Row, Table, func, select

from ...errors import IntegrityFault, LeaseHeld
from ...kill_points import kill_point
from ...store.database import checkpoint, reading
from ...store.row_macs import canonical
from ...store.schema import CARD, DATA_KEY, QUARANTINE, ROTATION, ROTATION_RANGE
from ...store.triggers import require_no_triggers
from ...trail import Actor, read_entries
from ...web.vault_database import lock_numbers
from ..census import take_census
from ..open_vault import OpenVault, card_page
from ..progress import Step
from ..verify import TrailReading, name_of
from . import finish, lease, quarantine, ranges
from .batches import Batches
from .crew import LOOK_SECONDS, Crew, at_work
from .held import Held
from .pace import Pace
from .reencrypt import Batch
from .start import begin, census_text
from .worker import Tally, Worker

READ_BACK_PAGE = 1000
FINISHED = "rotation.finished"
# A holder that writes nothing for 60 seconds loses its lease.
BEAT_SECONDS = 5


class Rotation(Held):
    """One rotation, new or continued, held by this process."""

    _vault: OpenVault

    def __init__(self, vault: OpenVault, row: Row[Any]) -> None:
        super().__init__(vault, ROTATION, row)
        self.resumed = False
        self._trail = TrailReading(vault)
        self._by = Actor(row.actor, "command")

    @property
    def facts(self) -> dict[str, Any]:
        """The row, with what its ranges have counted so far."""
        with reading(self._vault.engine) as db:
            return ranges.with_counts(self._vault, db, self.row)

    @property
    def trail_fault(self) -> IntegrityFault | None:
        """The first bad entry of the trail, if reading back found one."""
        return self._trail.expected.fault

    @property
    def left(self) -> int:
        """How many cards of an older generation are left, with quarantined ones."""
        with reading(self._vault.engine) as db:
            return finish.older_cards(db, self.row["generation"])

    def reencrypt(
        self, size: int, pace: Pace | None = None, crew: Crew | None = None
    ) -> Generator[Step]:
        """Re-encrypt ``size`` cards a batch.  Stopping between two steps loses nothing.

        First come the ranges: the ``crew`` works on them or, without one, this process,
        and it waits for those that others hold.  Then come the cards in no range.
        Raises LeaseHeld when another process has taken over the rotation.
        """
        pace = pace or Pace()
        worker = self.worker(pace, Tally())
        with reading(self._vault.engine) as db:
            total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
        with closing(self._through_ranges(worker, size, crew)) as through:
            for done in through:
                yield Step("re-encrypt", done, max(total, done))
        batches = Batches(self._vault, self.row, self._by)
        done = self.row["reencrypted"] + self.row["newer"]
        while True:
            batch = self._batch(batches, size)
            if batch.last is None:
                return
            done += batch.seen
            pace.keep(batch.seen)
            yield Step("re-encrypt", done, max(total, done))

    def worker(self, pace: Pace, tally: Tally) -> Worker:
        """A worker on its ranges."""
        return Worker(self._vault, self.row, self._by, pace, tally)

    def _through_ranges(
        self, worker: Worker, size: int, crew: Crew | None
    ) -> Generator[int]:
        """Wait until every range is done, and work on them when no crew does; yields
        how many cards are done."""
        while self._has_ranges():
            with closing(at_work(worker, size, crew)) as working:
                for _ in working:
                    self._beat()
                    yield self._done()
            if self._has_ranges():
                # Other processes hold the ranges, or one that has just ended.
                time.sleep(LOOK_SECONDS)
                self._beat()
                yield self._done()
        with self._vault.engine.begin() as db:
            counted = ranges.with_counts(self._vault, db, self.row)
            ranges.forget(db, self.id)
            self._write(db, **{name: counted[name] for name in ranges.COUNTED})
        kill_point("ranges-done")

    def _has_ranges(self) -> bool:
        with reading(self._vault.engine) as db:
            return bool(ranges.ranges_of(self._vault, db, self.id, left=True))

    def _done(self) -> int:
        with reading(self._vault.engine) as db:
            return ranges.done_so_far(db, self.id)

    def _beat(self) -> None:
        """Renew the lease while other processes do the writing."""
        if self._vault.clock() - self.row["lease_at"] >= BEAT_SECONDS:
            with self._vault.engine.begin() as db:
                self._write(db)

    def read_back(self) -> Iterator[Step]:
        """Open every card on a fresh connection and compare it with the trail; a card
        that fails is quarantined.

        When the trail is broken, cards can't be compared with it; then ``trail_fault``
        names the bad entry, and no key is destroyed.
        """
        after = read = 0
        while True:
            with reading(self._vault.engine) as db:
                total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
                self._trail.read_on(db)
                rows = card_page(db, after, READ_BACK_PAGE)
                bad = quarantine.unreadable(self._vault, db, rows, self._trail.expected)
            with self._vault.engine.begin() as db:
                quarantine.put_in(self._vault, db, self.id, bad)
                self._write(db, read_back=read + len(rows) - len(bad))
            kill_point("read-back")
            if not rows:
                return
            after, read = rows[-1].id, read + len(rows)
            yield Step("read back", read, max(total, read))

    def finish(self, by: Actor) -> None:
        """Destroy the older keys when every card opened, and close the record."""
        with reading(self._vault.engine) as db:
            self._trail.read_on(db)
            still = quarantine.still_bad(self._vault, db, self._trail.expected)
        with self._vault.engine.begin() as db:
            # No process seals meanwhile, so none holds one of the keys.
            lock_numbers(db)
            quarantine.forget_mended(db, still)
            generation = self.row["generation"]
            left = finish.older_cards(db, generation)
            bad = db.execute(select(func.count()).select_from(QUARANTINE)).scalar_one()
            failed = bool(left or bad or self.trail_fault)
            destroyed = (
                0 if failed else finish.destroy_keys(self._vault, db, generation, by)
            )
            kill_point("destroy")
            finish.retire_key(self._vault, db, self.row["data_key_id"], by)
            # Lock order: our own row, then the trail, so that its next entry is ours.
            self._write(db)
            self._vault.enter(db)
            census = take_census(self._vault, db)
            changes = {
                "state": "finished",
                "finished_at": self._vault.clock(),
                "quarantined": bad,
                "keys_destroyed": destroyed,
                "census_after": census_text(census.generations),
                "audit_seq": census.audit_seq + 1,
                "lease": "",
            }
            detail = {name: changes[name] for name in ("quarantined", "keys_destroyed")}
            self._vault.record(
                db,
                FINISHED,
                by,
                outcome="failure" if failed else "success",
                subject=f"rotation {self.id}",
                detail={
                    **detail,
                    "left": left,
                    "mark": _end_mark(self._vault, self.id, generation),
                },
            )
            self._write(db, **changes)
        kill_point("finished")
        checkpoint(self._vault.engine)

    def _batch(self, batches: Batches, size: int) -> Batch:
        with self._vault.engine.begin() as db:
            batch = batches.run(db, self.row["card_cursor"], size)
            self._write(
                db,
                card_cursor=batch.last or self.row["card_cursor"],
                reencrypted=self.row["reencrypted"] + len(batch.revs),
                newer=self.row["newer"] + batch.newer,
            )
            kill_point("batch-ready")
        kill_point("batch-committed")
        return batch


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
        _require_unfinished(vault, db, row)
        vault.rotation_cipher(db, row.data_key_id, row.generation)
    return row


def _require_unfinished(vault: OpenVault, db: Connection, row: Row[Any]) -> None:
    """Raise IntegrityFault when the trail has the end of this rotation.  Its row from
    before that has a right MAC, so somebody could put it back; the entry of the end has
    a mark that only the root can make."""
    subject = f"rotation {row.id}"
    mark = _end_mark(vault, row.id, row.generation)
    ends = read_entries(db, subject=subject)
    if any(e.event == FINISHED and e.detail.get("mark") == mark for e in ends):
        raise IntegrityFault(subject, "is running, the trail says it was finished")


def _end_mark(vault: OpenVault, number: int, generation: int) -> str:
    """The mark in the trail's entry of a rotation's end; only the root can make it."""
    facts = ("rotation finished", vault.web_key.vault_id, number, generation)
    return vault.ops.mac.sign(canonical(facts)).hex()


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


def take_up(vault: OpenVault, by: Actor, reason: str) -> Rotation:
    """Begin a rotation, or continue the unfinished one; ``Rotation`` says which.

    Raises LeaseHeld when another process runs it, NotMadeByRoot when a row it relies on
    was not made by the root.
    """
    with vault.engine.begin() as db:
        lock_numbers(db)
        row = unfinished(vault, db)
        rotation = Rotation(vault, row or begin(vault, db, by, reason))
        if row is not None:
            _take_over(vault, db, rotation, row)
            rotation.resumed = True
        kill_point("begin")
    kill_point("begun")
    return rotation


def _take_over(
    vault: OpenVault, db: Connection, rotation: Rotation, row: Row[Any]
) -> None:
    if not lease.is_over(row.lease, row.lease_at, vault.clock()):
        raise LeaseHeld(
            f"rotation {row.id} is being run by {lease.describe(row.lease)}",
            hint="wait for it, watch it with: cardvault status, "
            "or help it with: cardvault rotate --join",
        )
    rotation.hold(db)
