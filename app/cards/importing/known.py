"""Recognizes a file of which an earlier run has imported rows.

It is recognized by what its rows have stored in the clear.  No hash of the file is kept,
because it would be a hash of card numbers (PCI DSS 3.5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from sqlalchemy import select

from app.db import Work

from ..models import Customer, ImportJob, ImportRow
from .batches import IMPORTED, REFUSED, batches, of_card, refused
from .file import Sheet
from .rows import Checked, check


def find_job(
    work: Work, sheet: Sheet, luhn_exempt: frozenset[str]
) -> tuple[int, int] | None:
    """The job that imports or imported this file: its number and how many rows are
    imported.  It releases every lock after each batch it reads."""
    jobs = select(ImportJob.id, ImportJob.done, ImportJob.created_at)
    jobs = jobs.where(ImportJob.size == sheet.size, ImportJob.rows == sheet.rows)
    found = work.site.execute(jobs.order_by(ImportJob.id.desc())).all()
    work.release()
    for job in found:
        # Check the rows as of that time: a card that has expired since was accepted
        # then.
        rows = (check(row, job.created_at, luhn_exempt) for row in sheet.records())
        if known(work, job.id, islice(rows, job.done)):
            return job.id, job.done
    return None


def known(work: Work, job_id: int, rows: Iterable[Checked]) -> bool:
    """Say whether ``rows``, the first of a file, are those a job has imported.

    None of them may differ, and at least one customer must still exist to compare
    with: a file whose customers were all deleted counts as new.
    """
    told, done = False, 0
    for batch in batches(rows):
        query = select(ImportRow, Customer).where(ImportRow.job_id == job_id)
        query = query.outerjoin(Customer, Customer.public_id == ImportRow.public_id)
        query = query.where(ImportRow.number > done).order_by(ImportRow.number)
        kept = work.site.execute(query.limit(len(batch))).all()
        same = [_is_same(*pair, row) for pair, row in zip(kept, batch, strict=False)]
        work.release()
        if len(kept) < len(batch) or False in same:
            return False
        told, done = told or True in same, done + len(batch)
    return told


def _is_same(kept: ImportRow, customer: Customer | None, row: Checked) -> bool | None:
    """Say whether a row of a file is the imported row ``kept``; None when it can't be
    told."""
    if row.entry is None or kept.status == REFUSED:
        result = refused(row)
        return None if (row.entry is None and _shows(kept, result)) else False
    if not _shows(kept, of_card(row.line, row.entry, IMPORTED)):
        return False
    if customer is None:
        return None
    same = {customer.name == row.entry.name, customer.phone == row.entry.phone}
    if customer.rev == 1:
        return same == {True}
    return True if True in same else None


def _shows(kept: ImportRow, result: Mapping[str, object]) -> bool:
    """Say whether an imported row has the values of ``result``, as far as they were
    stored."""
    names = {"line", "error", "brand", "last4"}
    names |= {name for name in ("prefix", "length", "expiry") if getattr(kept, name)}
    return all(getattr(kept, name) == result[name] for name in names)
