"""Importing customers: rows checked as the form checks, sealed a batch at a time.

Every batch is sealed in one vault transaction, then its customers, what became of
its rows and how far the file is in are committed in one of the site's.  Killed in
between, the batch is sealed again by the next run; the cards that no customer
refers to are what ``reconciling`` removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.orm import Session

from vault import Actor, Expiry, Pan, Vault
from vault.errors import InputError

from . import rules, service, texts
from .folding import phone_of
from .models import Customer, ImportJob, ImportRow
from .sheet import Record, Sheet

BATCH = 500

IMPORTED, POSSIBLE_DUPLICATE, REFUSED = "imported", "possible_duplicate", "refused"
WOULD_IMPORT = "would_import"

Faults = tuple[tuple[str, str], ...]
_Likeness = tuple[str, str, str, int]


class Overtaken(Exception):
    """Another process is importing the same file."""


@dataclass(frozen=True)
class Checked:
    """A row as read: what to store, or what is wrong with it by column."""

    line: int
    entry: service.Entry | None
    faults: Faults


def check(record: Record, now: int, luhn_exempt: frozenset[str]) -> Checked:
    """Hold a row against the rules of the form; ``now`` is seconds UTC."""
    if not record.cells:
        return Checked(record.line, None, (("", texts.wrong_width(record.width)),))
    cells, faults = record.cells, []
    name = rules.name_of(cells["customer_name"])
    phone = phone_of(cells["phone"])
    pan, expiry = None, None
    if fault := rules.name_fault(name):
        faults.append(("customer_name", fault))
    if fault := rules.phone_fault(phone):
        faults.append(("phone", fault))
    try:
        pan = Pan.parse(cells["card_number"], luhn_exempt=luhn_exempt)
    except InputError as error:
        faults.append(("card_number", texts.NUMBER_REASONS[error.reason]))
    try:
        expiry = Expiry.parse(cells["exp_month"], cells["exp_year"], now)
    except InputError as error:
        column = "exp_year" if error.reason in ("year", "far") else "exp_month"
        faults.append((column, texts.EXPIRY_REASONS[error.reason]))
    entry = None if faults else service.Entry(name, phone, pan, expiry)
    return Checked(record.line, entry, tuple(faults))


def batches(rows: Iterable[Checked]) -> Iterator[list[Checked]]:
    """The rows, ``BATCH`` at a time."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def digest_of(sheet: Sheet, hasher: PasswordHasher) -> str:
    """A salted Argon2id of the file, to know it again by."""
    return hasher.hash(sheet.digest)


def find_job(site: Session, sheet: Sheet, hasher: PasswordHasher) -> ImportJob | None:
    """The job this very file was, or is, imported by."""
    jobs = select(ImportJob).where(ImportJob.size == sheet.size)
    for job in site.scalars(jobs.order_by(ImportJob.id.desc())):
        try:
            hasher.verify(job.digest, sheet.digest)
        except VerifyMismatchError:
            continue
        return job
    return None


def newest_job(site: Session) -> int:
    """The highest number of a job so far; 0 before the first."""
    return site.scalars(select(func.coalesce(func.max(ImportJob.id), 0))).one()


def begin(
    site: Session, sheet: Sheet, digest: str, newest: int, by: Actor, now: int
) -> ImportJob:
    """A job for a file that was never imported, as of the job ``newest``.

    Raises Overtaken when another job began since: it may be the same file's.
    """
    site.connection()
    if newest_job(site) != newest:
        raise Overtaken
    before = site.scalars(select(func.coalesce(func.max(Customer.id), 0))).one()
    job = ImportJob(
        digest=digest,
        size=sheet.size,
        rows=sheet.rows,
        done=0,
        newest_before=before,
        created_by=by.name,
        created_at=now,
    )
    site.add(job)
    site.flush()
    return job


def take_in(
    site: Session,
    vault: Vault,
    vault_db: Connection,
    job_id: int,
    done: int,
    batch: Sequence[Checked],
    by: Actor,
    now: int,
) -> list[dict[str, object]]:
    """Seal a batch and write its customers; ``done`` rows were in before it.

    Returns what became of each row.  Raises Overtaken when another process has
    taken them in meanwhile.
    """
    mine = (ImportJob.id == job_id) & (ImportJob.done == done)
    moved = update(ImportJob).where(mine).values(done=done + len(batch))
    if site.connection().execute(moved).rowcount != 1:
        raise Overtaken
    good = [row.entry for row in batch if row.entry is not None]
    cards = [(e.pan, e.expiry) for e in good if e.pan and e.expiry]
    tokens = iter(vault.tokenize_many(vault_db, cards, by, f"import {job_id}"))
    alike = _stored_likenesses(
        site, good, site.get_one(ImportJob, job_id).newest_before
    )
    customers, results = [], []
    for number, row in enumerate(batch, done + 1):
        result = refused(row)
        if row.entry is not None:
            public_id = service.new_public_id()
            new = service.new_customer(row.entry, next(tokens), public_id, by, now)
            customers.append(new)
            result = taken(row, alike, IMPORTED)
            result |= {"public_id": public_id, "token": new["token"]}
        results.append({**result, "job_id": job_id, "number": number})
    # Past the session, which would look at each row twice.
    db = site.connection()
    if customers:
        db.execute(insert(Customer), customers)
    db.execute(insert(ImportRow), results)
    return results


def taken(row: Checked, alike: set[_Likeness], status: str) -> dict[str, object]:
    """A good row's result; its public id and token are yet to come."""
    likeness = _likeness(row.entry)
    brand, _, last4, _ = likeness
    return {
        "line": row.line,
        "status": POSSIBLE_DUPLICATE if likeness in alike else status,
        "public_id": "",
        "token": "",
        "brand": brand,
        "last4": last4,
        "error": "",
    }


def refused(row: Checked) -> dict[str, object]:
    """A bad row's result: every fault with its column, and no value of it."""
    return {
        "line": row.line,
        "status": REFUSED,
        "public_id": "",
        "token": "",
        "brand": "",
        "last4": "",
        "error": " / ".join(": ".join(filter(None, fault)) for fault in row.faults),
    }


def foresee(site: Session, batch: Sequence[Checked]) -> list[dict[str, object]]:
    """What would become of each row; nothing is written."""
    good = [row.entry for row in batch if row.entry is not None]
    newest = site.scalars(select(func.coalesce(func.max(Customer.id), 0))).one()
    alike = _stored_likenesses(site, good, newest)
    return [
        taken(row, alike, WOULD_IMPORT) if row.entry else refused(row) for row in batch
    ]


def results(site: Session, job_id: int) -> Iterator[ImportRow]:
    """What became of every row of a job, in the file's order."""
    rows = select(ImportRow).where(ImportRow.job_id == job_id)
    return iter(
        site.scalars(rows.order_by(ImportRow.number).execution_options(yield_per=1000))
    )


def is_of(site: Session, job_id: int, token: str) -> bool:
    """Say whether a job made this token."""
    rows = select(ImportRow.job_id).where(ImportRow.token == token)
    return site.scalars(rows.where(ImportRow.job_id == job_id)).first() is not None


def counts(site: Session, job_id: int) -> dict[str, int]:
    """How many rows of a job came to which end."""
    rows = select(ImportRow.status, func.count()).where(ImportRow.job_id == job_id)
    return {row[0]: row[1] for row in site.execute(rows.group_by(ImportRow.status))}


def _stored_likenesses(
    site: Session, entries: Sequence[service.Entry], newest: int
) -> set[_Likeness]:
    """Which of the entries' likenesses customers up to ``newest`` have."""
    last4 = {entry.pan.last4 for entry in entries if entry.pan}
    rows = select(Customer.brand, Customer.prefix, Customer.last4, Customer.expiry)
    rows = rows.where(Customer.last4.in_(last4), Customer.id <= newest)
    wanted = {_likeness(entry) for entry in entries}
    return wanted & {(row[0], row[1], row[2], row[3]) for row in site.execute(rows)}


def _likeness(entry: service.Entry | None) -> _Likeness:
    if entry is None or entry.pan is None or entry.expiry is None:
        raise ValueError("only a good row looks like a card")
    pan = entry.pan
    return pan.brand.name, pan.prefix, pan.last4, entry.expiry.key
