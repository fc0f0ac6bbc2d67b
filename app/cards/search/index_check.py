"""Compares the search's index with the customers and mends it.

Whoever changes a customer's row past the site (by hand, or a restored table) leaves an
index that finds them by other words, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, Select, select, update
from sqlalchemy.orm import Session

from app.db import Work
from vault import Actor
from vault.store.sqlite import checkpoint

from ..models import Customer
from ..typed import digits_of, search_key
from . import index
from .index import WORDS

PAGE = 500
# How many pages of the index are merged while other writers wait, and how often.
MERGED_PAGES = 500
MERGES = 10_000

_JOINED = (
    select(
        Customer.id,
        Customer.public_id,
        Customer.token,
        Customer.name,
        Customer.phone,
        Customer.name_folded,
        Customer.phone_digits,
        Customer.last4,
        WORDS.c.words,
    )
    .outerjoin(WORDS, WORDS.c.rowid == Customer.id)
    .order_by(Customer.id)
    .limit(PAGE)
)


def found_otherwise(work: Work, by: Actor, applied: bool) -> Iterator[str]:
    """Name the customers whose index is not made of their row; with ``applied`` it is
    made anew."""
    after = 0
    while page := work.site.execute(_JOINED.where(Customer.id > after)).all():
        after = page[-1].id
        work.release()
        for row in page:
            if _differs(row):
                yield from _mend(work, row.id, by, applied)
    work.release()


def of_nobody(work: Work, applied: bool) -> Iterator[str]:
    """Name the rows of the index that are no customer's; with ``applied`` they are
    removed."""
    after = 0
    while page := work.site.execute(_ownerless().where(WORDS.c.rowid > after)).all():
        after = page[-1].rowid
        work.release()
        for row in page:
            yield from _drop(work, row.rowid, applied)
    work.release()


def forget_deleted(engine: Engine) -> None:
    """Make SQLite's index drop the words of customers who were deleted, which it keeps,
    marked as deleted, until its parts are merged.  Other writers get a turn between
    merges."""
    if engine.dialect.name != "sqlite":
        return
    pages = -MERGED_PAGES  # a negative number begins with all parts, however few
    for _ in range(MERGES):
        if _merge(engine, pages) < 2:  # SQLite's sign that nothing is left to merge
            break
        pages = MERGED_PAGES
    checkpoint(engine)


def _merge(engine: Engine, pages: int) -> int:
    with engine.begin() as db:
        raw: Any = db.connection.dbapi_connection
        before: int = raw.total_changes
        db.exec_driver_sql(
            "INSERT INTO customer_words (customer_words, rank) VALUES ('merge', ?)",
            (pages,),
        )
        after: int = raw.total_changes
    return after - before


def _made_of(row: Any) -> dict[str, str]:
    """What the search's columns and words of a customer's row are to be."""
    values = {
        "name_folded": search_key(row.name),
        "phone_digits": digits_of(row.phone),
        "last4": row.last4,
    }
    return values | {"words": index.row_of(row.id, values)[1]}


def _differs(row: Any) -> bool:
    made = _made_of(row)
    return any(getattr(row, name) != value for name, value in made.items())


def _mend(work: Work, number: int, by: Actor, applied: bool) -> Iterator[str]:
    """Check a customer again under a lock, so that no change of it is half done."""
    work.write()
    held = select(Customer.id).where(Customer.id == number).with_for_update()
    row = None
    if work.site.execute(held).first() is not None:
        row = work.site.execute(_JOINED.where(Customer.id == number)).first()
    if row is None or not _differs(row):
        work.release()
        return
    line = f"{row.public_id}\t{row.token}\tthe search's index differs"
    if applied:
        _write(work.site, row)
        detail = {"search": "index made anew"}
        work.record("customer.mended", by, subject=row.token, detail=detail)
        work.commit()
    else:
        work.release()
    yield line + (", mended" if applied else "")


def _write(site: Session, row: Any) -> None:
    made = _made_of(row)
    columns = {name: made[name] for name in ("name_folded", "phone_digits")}
    changed = update(Customer).where(Customer.id == row.id).values(columns)
    site.execute(changed.execution_options(synchronize_session=False))
    index.add(site, [(row.id, made["words"])])


def _ownerless() -> Select[Any]:
    some = select(WORDS.c.rowid).outerjoin(Customer, Customer.id == WORDS.c.rowid)
    return some.where(Customer.id.is_(None)).order_by(WORDS.c.rowid).limit(PAGE)


def _drop(work: Work, number: int, applied: bool) -> Iterator[str]:
    """Check a row again while no customer can come or go."""
    work.write()
    still = work.site.execute(_ownerless().where(WORDS.c.rowid == number)).first()
    if still is None:
        work.release()
        return
    if applied:
        index.remove(work.site, number)
        work.commit()
    else:
        work.release()
    line = f"row {number} of the search's index\tno customer has this number"
    yield line + (", removed" if applied else "")
