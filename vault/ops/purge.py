"""Deletes the cards that expired long enough ago (PCI DSS 3.2.1).

It needs no root key, because it opens nothing.  With the root key the marks of purged
cards get the root's MAC too; without that MAC whoever has the web key could have made
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from ..card.expiry import months_now
from ..clock import DAY_SECONDS, japan_stamp
from ..errors import IntegrityFault
from ..kill_points import kill_point
from ..store.database import reading
from ..store.schema import AUDIT_ENTRY, CARD, PURGED, QUARANTINE
from ..trail import Actor
from ..web.vault import Vault, purge_subject
from .census import QUIET_DAYS
from .progress import Step

BATCH = 1000


def first_kept(days: int, now: int) -> int:
    """The first expiry (YYYYMM) that is not past retention at ``now`` (seconds
    since 1970 UTC).

    A card is good until the midnight in Japan at which the next month begins.  It is
    past retention when that midnight is more than ``days`` times 24 hours ago; exactly
    as long ago is not more.  Japan has no summer time, so that moment is a midnight in
    Japan too.
    """
    year, month = divmod(months_now(now - days * DAY_SECONDS - 1), 12)
    return 100 * year + month + 1


def doubt_about_clock(vault: Vault) -> str:
    """Why the clock may be far ahead, so that a purge would delete cards that are good;
    or "".

    It is in doubt more than a day after the trail's newest entry.  Entries may have
    been written since it was set wrong, at a login for example; so it is in doubt too
    when the last entry that is more than a day old is over 31 days old.
    """
    now = vault.clock()
    newest = select(AUDIT_ENTRY.c.at).order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)
    before = newest.where(AUDIT_ENTRY.c.at < now - DAY_SECONDS)
    with reading(vault.engine) as db:
        last, older = db.scalar(newest), db.scalar(before)
    if not isinstance(last, int):
        return "the trail has no newest entry to hold the clock against"
    if now - last > DAY_SECONDS:
        return _said(now, last, "the trail's newest entry is of")
    if isinstance(older, int) and now - older > QUIET_DAYS * DAY_SECONDS:
        return _said(now, older, "but for a day's entries the trail ends at")
    return ""


def _said(now: int, then: int, what: str) -> str:
    days = (now - then) // DAY_SECONDS
    return f"the clock says {japan_stamp(now)}, {what} {japan_stamp(then)}, {days} days before"


class Purge:
    """One run over the cards whose month ended more than ``days`` days ago, or will
    have in ``ahead`` days, which is for looking alone.

    ``vouched`` says that a person vouched for the clock; the trail gets it.  ``purged``
    counts the cards deleted so far, and ``damaged`` names those that were left because
    their row is not as it was written.
    """

    def __init__(
        self, vault: Vault, days: int, *, ahead: int = 0, vouched: bool = False
    ) -> None:
        self._vault = vault
        self._days = days
        self._vouched = {"clock_is_right": True} if vouched else {}
        self._kept = first_kept(days, vault.clock() + ahead * DAY_SECONDS)
        self.purged = 0
        self.damaged: list[str] = []

    def due(self) -> Iterator[Row[Any]]:
        """The rows past retention, in order; nothing is changed.  A page is read at a
        time, and no snapshot is held while it is used.  Damaged rows are named in
        ``damaged`` instead."""
        after = 0
        while True:
            with reading(self._vault.engine) as db:
                page = self._ids(db, after)
                rows = self._whole(db, self._rows(db, page))
            if not page:
                return
            yield from rows
            after = page[-1]

    def run(self, by: Actor) -> Iterator[Step]:
        """Delete batch by batch, each with its entry in the trail in one short
        transaction.  Stopping between two steps leaves no card half-deleted."""
        with reading(self._vault.engine) as db:
            count = select(func.count()).select_from(CARD)
            total = db.execute(count.where(CARD.c.expiry < self._kept)).scalar_one()
        after = 0
        while True:
            # Searching takes long where few cards are due, so it is done without a
            # lock; only the rows it found are read again under the lock.
            with reading(self._vault.engine) as db:
                page = self._ids(db, after)
            if not page:
                return
            self._delete(page, by)
            after = page[-1]
            done = self.purged + len(self.damaged)
            yield Step("purge", done, max(total, done))

    def _ids(self, db: Connection, after: int) -> Sequence[int]:
        query = select(CARD.c.id).where(CARD.c.id > after, CARD.c.expiry < self._kept)
        return db.execute(query.order_by(CARD.c.id).limit(BATCH)).scalars().all()

    def _rows(
        self, db: Connection, page: Sequence[int], *, lock: bool = False
    ) -> Sequence[Row[Any]]:
        # Check the expiry again: an operator may have entered a new one since.
        query = select(CARD).where(CARD.c.id.in_(page), CARD.c.expiry < self._kept)
        query = query.order_by(CARD.c.id)
        return db.execute(query.with_for_update() if lock else query).all()

    def _whole(self, db: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """The rows that are as they were written.

        An edited row may have got an older expiry so that a good card would be deleted,
        or so that the edit itself would be; so a person has to decide about it.  Raises
        IntegrityFault when the web key was replaced meanwhile, under which every row
        would seem to be edited.
        """
        self._vault.state(db)
        whole = []
        for row in rows:
            try:
                self._vault.signer.check(CARD, row, str(row.token))
            except IntegrityFault as fault:
                self.damaged.append(fault.subject)
            else:
                whole.append(row)
        return whole

    def _delete(self, page: Sequence[int], by: Actor) -> None:
        with self._vault.engine.begin() as db:
            rows = self._whole(db, self._rows(db, page, lock=True))
            if not rows:
                return
            at = self._vault.clock()
            self._move(db, rows, at)
            kill_point("purge-deleted")
            self._vault.record(
                db,
                "card.purged",
                by,
                subject=purge_subject(at),
                detail={
                    "cards": {row.token: row.rev for row in rows},
                    "expired_for": self._days,
                    **self._vouched,
                },
            )
            kill_point("purge-ready")
        kill_point("purge-committed")
        self.purged += len(rows)

    def _move(self, db: Connection, rows: Sequence[Row[Any]], at: int) -> None:
        """Delete ``rows`` from the cards and add their marks."""
        ids, tokens = [row.id for row in rows], [row.token for row in rows]
        db.execute(delete(CARD).where(CARD.c.id.in_(ids)))
        # A purged card needs no place in the quarantine any more.
        db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id.in_(ids)))
        # A row that somebody put back after a purge has a mark already.
        db.execute(delete(PURGED).where(PURGED.c.token.in_(tokens)))
        signed = self._vault.signer.signed
        marks = [signed(PURGED, {"token": token, "at": at}) for token in tokens]
        db.execute(insert(PURGED), marks)
