"""Begins the job of a file that updates customers, or finds it again."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import islice

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.db import Work
from vault import Actor
from vault.store.database import takes_several
from vault.store.sqlite import checkpoint
from vault.web.held_cards import delete_many

from ..models import UpdateJob, UpdateRow
from . import batches
from .batches import Job
from .rows import Asked, Digest

PAGE = 500


class Survey:
    """A first reading of the file, which writes nothing: its ``digest``, how many
    ``rows`` it has, and the keys that several rows name (``twice``).

    ``seen`` has the rev of each row's customer, 0 for one who is not there: 4 bytes a
    row.  Only while it reads is every key in memory.
    """

    def __init__(self, unit: Work, key: str, rows: Iterator[Asked]) -> None:
        self.seen = array("i")
        self.twice: set[str] = set()
        digest, met = Digest(), set[str]()
        while batch := list(islice(rows, PAGE)):
            found = batches.revs(unit, key, batch)
            for asked in batch:
                digest.add(asked)
                self.seen.append(found.get(asked.key, 0))
                if asked.key:
                    (self.twice if asked.key in met else met).add(asked.key)
        self.digest = digest.text()

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return len(self.seen)


def begin(unit: Work, survey: Survey, key: str, by: Actor, since: int) -> Job:
    """The job of a file: the one that a killed run has left, or a new one.  ``since``
    is when this run began (seconds UTC).  ``end`` ends it."""
    unit.write()
    if takes_several(unit.site.get_bind().engine):
        # On SQLite a transaction keeps other writers out anyway.
        unit.site.execute(text("LOCK TABLE update_job IN SHARE ROW EXCLUSIVE MODE"))
    unit.site.connection()
    left = _unfinished(unit.site, survey.digest)
    if left is None:
        left = UpdateJob(
            digest=survey.digest,
            rows=survey.rows,
            done=0,
            created_by=by.name,
            created_at=since,
        )
        unit.site.add(left)
        unit.site.flush()
    earlier = _finished(unit.site, survey.digest)
    job = Job(left.id, left.done, left.created_at, key, earlier)
    unit.commit()
    return job


def imagined(unit: Work, survey: Survey, key: str, since: int) -> Job:
    """A job like the one that ``begin`` would give, for a dry run of the whole file."""
    job = Job(0, 0, since, key, _finished(unit.site, survey.digest))
    unit.release()
    return job


def _unfinished(site: Session, digest: str) -> UpdateJob | None:
    jobs = select(UpdateJob).where(UpdateJob.digest == digest)
    return site.scalar(jobs.where(UpdateJob.ended_at.is_(None)).limit(1))


def _finished(site: Session, digest: str) -> int:
    """The number of the newest job that took in the whole file, or 0."""
    newest = select(func.coalesce(func.max(UpdateJob.id), 0))
    newest = newest.where(UpdateJob.digest == digest, UpdateJob.ended_at.is_not(None))
    return site.scalars(newest).one()


def end(unit: Work, job: Job, now: int) -> None:
    """Record that a job took in its whole file, and that the results are written: from
    now on the same file is one that was given again."""
    unit.write()
    ended = update(UpdateJob).where(UpdateJob.id == job.id).values(ended_at=now)
    unit.site.connection().execute(ended)
    unit.commit()


def made(unit: Work, digest: str, token: str) -> bool:
    """Say whether a token is in the results of a job for this file."""
    rows = select(UpdateRow.number).join(UpdateJob, UpdateJob.id == UpdateRow.job_id)
    rows = rows.where(UpdateJob.digest == digest, UpdateRow.token == token)
    found = unit.site.scalars(rows.limit(1)).first()
    unit.release()
    return found is not None


def results(site: Session, job_id: int) -> Iterator[UpdateRow]:
    """The results of all rows of a job, in the file's order."""
    rows = select(UpdateRow).where(UpdateRow.job_id == job_id)
    rows = rows.order_by(UpdateRow.number).execution_options(yield_per=1000)
    return iter(site.scalars(rows))


def counts(unit: Work, job_id: int) -> dict[str, int]:
    """How many rows of a job have each status."""
    rows = select(UpdateRow.status, func.count()).where(UpdateRow.job_id == job_id)
    found = unit.site.execute(rows.group_by(UpdateRow.status)).all()
    unit.release()
    return {row[0]: row[1] for row in found}


def delete_left(unit: Work, job_id: int, by: Actor) -> None:
    """Delete the replaced cards that a killed run of a job has left.

    One is left alone when the card in its place is not there: then the vault's database
    may be an older one, which has nothing newer of this customer."""
    after, vault = 0, unit.vault
    rows = select(UpdateRow.number, UpdateRow.replaced, UpdateRow.token)
    rows = rows.where(UpdateRow.job_id == job_id, UpdateRow.replaced != "")
    rows = rows.order_by(UpdateRow.number).limit(PAGE)
    while page := unit.site.execute(rows.where(UpdateRow.number > after)).all():
        after = page[-1].number
        tokens = {row.replaced for row in page} | {row.token for row in page}
        kept = vault.expiries(unit.vault_db, tokens)
        unit.release()
        left = [row.replaced for row in page if {row.replaced, row.token} <= set(kept)]
        if left:
            with vault.engine.begin() as db:
                delete_many(vault, db, left, by)
            checkpoint(vault.engine)
    unit.release()
