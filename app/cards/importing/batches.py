"""Imports customers: seals and stores their checked rows a batch at a time.

A batch is sealed in one transaction of the vault.  Then its customers, the result of
each row and the number of rows imported so far are committed in one transaction of the
site.  If the import is killed in between, the next run seals the batch again, and
``reconciling`` removes the cards that no customer refers to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.orm import Session

from vault import Actor, Token, Vault
from vault.card.token import Share
from vault.store.database import add_rows, takes_several

from .. import service
from ..models import Customer, ImportJob, ImportRow
from ..search import index
from .file import Sheet
from .rows import Checked, written_faults

# While a batch is written the site's own writers wait, on SQLite 30 to 50 ms.
BATCH = 1000
# What a customer has until the card is sealed.
NO_TOKEN = Token("")

IMPORTED, POSSIBLE_DUPLICATE, REFUSED = "imported", "possible_duplicate", "refused"
WOULD_IMPORT, LIKELY_STORED = "would_import", "likely_stored"

Result = dict[str, object]
_Likeness = tuple[str, str, str, int]
# The columns of a row that its result has.
_ROW_COLUMNS = (
    "line",
    "status",
    "public_id",
    "token",
    "brand",
    "last4",
    "prefix",
    "length",
    "expiry",
    "error",
)
_ROW_VALUES = itemgetter(*_ROW_COLUMNS)
# What cards that look the same have in common.
_LIKENESS = itemgetter("brand", "prefix", "last4", "expiry")


class Overtaken(Exception):
    """Another process is importing the same file."""


class Prepared(NamedTuple):
    """A batch ready to be written.

    ``results`` has a result for each row.  ``share`` is the batch's part of the file,
    and of the new tokens and public ids in their order.  ``taken`` has for each row to be stored the
    card, the customer without a token, the customer's words and, out of ``results``,
    the result.
    """

    results: list[Result]
    taken: list[tuple[service.NewCard, dict[str, Any], str, Result]]
    share: Share


def batches(rows: Iterable[Checked]) -> Iterator[list[Checked]]:
    """The rows, ``BATCH`` at a time."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def newest_job(site: Session) -> int:
    """The highest number of a job so far; 0 before the first."""
    return site.scalars(select(func.coalesce(func.max(ImportJob.id), 0))).one()


def begin(site: Session, sheet: Sheet, newest: int, by: Actor, now: int) -> int:
    """Begin a job for a file that no job up to ``newest`` has imported; returns its
    number.  Commit it with its first batch, by which the file is recognized.

    Raises Overtaken when another job began after ``newest``, because it may be for the
    same file.
    """
    if takes_several(site.get_bind().engine):
        # On SQLite a transaction keeps other writers out anyway.
        site.execute(text("LOCK TABLE import_job IN SHARE ROW EXCLUSIVE MODE"))
    site.connection()
    if newest_job(site) != newest:
        raise Overtaken
    before = newest_before(site, 0)
    job = ImportJob(
        size=sheet.size,
        rows=sheet.rows,
        done=0,
        newest_before=before,
        created_by=by.name,
        created_at=now,
    )
    site.add(job)
    site.flush()
    return job.id


def newest_before(site: Session, job_id: int) -> int:
    """The highest number of a customer who existed before a job, or, when that is 0,
    who exists now."""
    if job_id:
        return site.get_one(ImportJob, job_id).newest_before
    return site.scalars(select(func.coalesce(func.max(Customer.id), 0))).one()


def prepare(
    site: Session,
    batch: Sequence[Checked],
    share: Share,
    newest: int,
    by: Actor,
    now: int,
    skip_likely: bool = False,
) -> Prepared:
    """Make of a batch, which is the ``share`` of a file, all that needs no lock.  With ``skip_likely`` the rows that look
    like a card of the customers up to ``newest`` are left out."""
    results = _told(site, batch, newest, IMPORTED, skip_likely=skip_likely)
    taken = []
    public_ids = service.new_public_ids(len(batch), share)
    for row, result, public_id in zip(batch, results, public_ids, strict=True):
        if row.entry is not None and result["status"] != LIKELY_STORED:
            customer = service.new_customer(row.entry, NO_TOKEN, public_id, by, now)
            result["public_id"] = public_id
            taken.append((row.entry, customer, index.words(customer), result))
    return Prepared(results, taken, share)


def take_in(
    site: Session,
    vault: Vault,
    vault_db: Connection,
    job_id: int,
    done: int,
    batch: Prepared,
    by: Actor,
) -> list[Result]:
    """Seal a batch and write its customers; ``done`` rows were imported before it.

    Returns the result of each row.  Raises Overtaken when another process has imported
    them meanwhile.
    """
    db, results = site.connection(), batch.results
    mine = (ImportJob.id == job_id) & (ImportJob.done == done)
    moved = update(ImportJob).where(mine).values(done=done + len(results))
    if db.execute(moved).rowcount != 1:
        raise Overtaken
    cards = [(entry.pan, entry.expiry) for entry, *_ in batch.taken]
    tokens = vault.tokenize_many(vault_db, cards, by, f"import {job_id}", batch.share)
    if tokens:
        for (_, customer, _, result), token in zip(batch.taken, tokens, strict=True):
            customer["token"] = result["token"] = str(token)
        _add_customers(site, batch)
    numbered = enumerate(map(_ROW_VALUES, results), done + 1)
    rows = [(job_id, number, *values) for number, values in numbered]
    add_rows(db, ImportRow.__tablename__, ("job_id", "number", *_ROW_COLUMNS), rows)
    return results


def _add_customers(site: Session, batch: Prepared) -> None:
    """Write the customers of a batch and their words."""
    db, rows, indexed = site.connection(), [], []
    numbers = _new_numbers(db, len(batch.taken))
    for number, (_, customer, words, _) in zip(numbers, batch.taken, strict=True):
        rows.append((number, *customer.values()))
        indexed.append((number, words))
    columns = ("id", *batch.taken[0][1])
    add_rows(db, Customer.__tablename__, columns, rows)
    index.add(site, indexed)


def _new_numbers(db: Connection, count: int) -> Iterable[int]:
    """Numbers for ``count`` new customers."""
    if takes_several(db.engine):
        drawn = text(
            "SELECT nextval(pg_get_serial_sequence('customer', 'id'))"
            " FROM generate_series(1, :count)"
        )
        return db.scalars(drawn, {"count": count})
    newest = db.scalar(select(func.coalesce(func.max(Customer.id), 0))) or 0
    return range(newest + 1, newest + 1 + count)


def _told(
    site: Session,
    batch: Sequence[Checked],
    newest: int,
    status: str,
    *,
    skip_likely: bool,
) -> list[Result]:
    """The result of each row, a good one's without the public id and token, which are
    added later.  ``status`` is that of a good row which looks like no card of the
    customers up to ``newest``."""
    likely = LIKELY_STORED if skip_likely else POSSIBLE_DUPLICATE
    results = [
        refused(row) if row.entry is None else of_card(row.line, row.entry, status)
        for row in batch
    ]
    good = (
        [result for result in results if result["status"] == status] if newest else []
    )
    alike = _stored_likenesses(site, set(map(_LIKENESS, good)), newest)
    for result in good if alike else []:
        if _LIKENESS(result) in alike:
            result["status"] = likely
    return results


def refused(row: Checked) -> Result:
    """A bad row's result: every fault with its column, and none of the row's values."""
    return {
        "line": row.line,
        "status": REFUSED,
        "public_id": "",
        "token": "",
        "brand": "",
        "last4": "",
        "prefix": "",
        "length": 0,
        "expiry": 0,
        "error": written_faults(row.faults),
    }


def of_card(line: int, entry: service.NewCard, status: str) -> Result:
    """A good row's result, with what may be shown of its card."""
    pan = entry.pan
    return {
        "line": line,
        "status": status,
        "public_id": "",
        "token": "",
        "brand": pan.brand.name,
        "last4": pan.last4,
        "prefix": pan.prefix,
        "length": pan.length,
        "expiry": entry.expiry.key,
        "error": "",
    }


def dry_run(
    site: Session, batch: Sequence[Checked], *, skip_likely: bool = False
) -> list[Result]:
    """The result each row would have; nothing is written."""
    newest = newest_before(site, 0)
    return _told(site, batch, newest, WOULD_IMPORT, skip_likely=skip_likely)


def results(site: Session, job_id: int) -> Iterator[ImportRow]:
    """The results of all rows of a job, in the file's order."""
    rows = select(ImportRow).where(ImportRow.job_id == job_id)
    return iter(
        site.scalars(rows.order_by(ImportRow.number).execution_options(yield_per=1000))
    )


def is_of(site: Session, job_id: int, token: str) -> bool:
    """Say whether a job made this token."""
    rows = select(ImportRow.job_id).where(ImportRow.token == token)
    return site.scalars(rows.where(ImportRow.job_id == job_id)).first() is not None


def counts(site: Session, job_id: int) -> dict[str, int]:
    """How many rows of a job have each result."""
    rows = select(ImportRow.status, func.count()).where(ImportRow.job_id == job_id)
    return {row[0]: row[1] for row in site.execute(rows.group_by(ImportRow.status))}


def _stored_likenesses(
    site: Session, wanted: set[_Likeness], newest: int
) -> set[_Likeness]:
    """Those of the ``wanted`` likenesses that customers up to ``newest`` have."""
    if not (newest and wanted):
        return set()
    rows = select(Customer.brand, Customer.prefix, Customer.last4, Customer.expiry)
    last4 = {likeness[2] for likeness in wanted}
    rows = rows.where(Customer.last4.in_(last4), Customer.id <= newest)
    return wanted & {(row[0], row[1], row[2], row[3]) for row in site.execute(rows)}
