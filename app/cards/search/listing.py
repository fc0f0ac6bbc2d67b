"""Finds the page of the list that was asked for, and everyone for a file.

A page is found from the row beside it, which its address names (``after``, ``before``),
so that the thousandth costs what the first does.  An address without one, or whose row
has changed since, is found by counting from the nearer end that its number names.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from app.db import looking
from vault.store.sqlite import plain_rows

from ..models import Customer
from . import statements, stopped
from .finding import Finder
from .listed import BY_IDS, Listed
from .order import Order, Place
from .query import EXPIRY_FILTERS, STOPPED, Query, months

PAGE_SIZE = 50
# How far customers are counted.  Counting a million rows costs more than showing fifty.
COUNTED = 1_000
FILTERS = (*EXPIRY_FILTERS, STOPPED)
EVERYONE_PAGE = 500
NUMBERS_PAGE = 10_000


@dataclass(frozen=True)
class Page:
    """Up to 50 customers, and whether there are ``earlier`` and ``later`` ones."""

    query: Query
    customers: Sequence[Listed]
    earlier: bool
    later: bool

    @property
    def first(self) -> int:
        """How many customers there are up to the first of the page, with it; for a page
        counted from the end, from the last one's side."""
        return (abs(self.query.page) - 1) * PAGE_SIZE + 1

    @property
    def previous(self) -> dict[str, Any]:
        """The parameters of the page before."""
        return self._beside(self.query.page - 1, "before", 0)

    @property
    def next(self) -> dict[str, Any]:
        """The parameters of the page after."""
        return self._beside(self.query.page + 1, "after", -1)

    def _beside(self, page: int, cursor_name: str, row: int) -> dict[str, Any]:
        # The first page and the last are found without a cursor, and always whole.
        if page in (1, -1):
            return self.query.args(page=page)
        return self.query.args(page=page, **{cursor_name: cursor(self.customers[row])})


@dataclass(frozen=True)
class Counts:
    """How many customers match: all of them, and by each filter when nothing is
    searched for; and those who are 要確認 in any case.  They are counted up to ``most``;
    one more stands for any number above it."""

    found: int
    filters: dict[str, int]
    stopped: int
    most: int = COUNTED

    @property
    def last_page(self) -> int:
        """The number of the last page."""
        return last_page(self.found)


def cursor(customer: Listed) -> str:
    """The name of a customer's place in an order, which holds while they don't
    change."""
    return f"{customer.public_id}.{customer.rev}"


def find(site: Session, query: Query, now: int) -> Page:
    """The page of customers ``query`` asks for at ``now`` (seconds UTC); the last one
    if it asks for one beyond it."""
    if query.expiry == STOPPED:
        query, ids, more = stopped.page(site, query, PAGE_SIZE)
        return Page(query, _load(site, ids), earlier=query.page > 1, later=more)
    page = _page(site, query, now)
    if page.customers or query.page in (1, -1):
        return page
    nearest = last_page(count(site, query, now)) if query.page > 1 else 1
    return _page(site, replace(query, page=nearest, after="", before=""), now)


def last_page(found: int) -> int:
    """The number of the last page of ``found`` customers; -1 when that is not counted,
    which is the last page too."""
    return max(-(-found // PAGE_SIZE), 1) if found <= COUNTED else -1


def count(site: Session, query: Query, now: int) -> int:
    """How many customers ``query`` matches; COUNTED + 1 when more than COUNTED."""
    if query.expiry == STOPPED:
        return min(stopped.count(site, query), COUNTED + 1)
    return Finder(site, query, now).count(COUNTED)


def counts(site: Session, query: Query, now: int) -> Counts:
    """How many customers ``query`` matches, and how many each filter lets through."""
    # With a filter on, those it lets through are counted already.
    asked: tuple[str, ...] = FILTERS if query.expiry else ("", *FILTERS)
    if query.q:
        asked = (STOPPED,)
    spans = {name: months(Query(expiry=name), now) for name in asked}
    given = statements.values_of_counts(spans, COUNTED + 1)
    counted = site.execute(statements.counts(asked), given).one()
    found = dict(zip(asked, counted, strict=True))
    if query.q:
        return Counts(count(site, query, now), {}, found[STOPPED])
    filters = {name: found[name] for name in FILTERS}
    return Counts(found[query.expiry], filters, found[STOPPED])


def _page(site: Session, query: Query, now: int) -> Page:
    """The page, empty when there is none of its number."""
    order, onward, back = Order.of(query), query.after, query.before
    if query.page > 0:
        ids, more = _ids(site, query, now, order, onward, back)
        return Page(query, _load(site, ids), earlier=query.page > 1, later=more)
    # A page that is counted from the end is one of the reversed order, read backwards.
    ids, more = _ids(site, query, now, order.reversed, back, onward)
    rows = _load(site, ids[::-1])
    return Page(query, rows, earlier=more, later=query.page < -1)


def _ids(
    site: Session, query: Query, now: int, order: Order, onward: str, back: str
) -> tuple[list[int], bool]:
    """The ids of a page in ``order``, and whether more follow: those after the row
    that ``onward`` names, or before the one that ``back`` names, or else those its
    number names."""
    finder, skipped = Finder(site, query, now), (abs(query.page) - 1) * PAGE_SIZE
    if skipped and (place := _place(site, order, onward)):
        ids = finder.take(order, PAGE_SIZE + 1, beyond=place)
        return ids[:PAGE_SIZE], len(ids) > PAGE_SIZE
    if skipped and (place := _place(site, order, back)):
        ids = finder.take(order.reversed, PAGE_SIZE, beyond=place)
        # If there are fewer, the pages have moved, and the number counts.
        if len(ids) == PAGE_SIZE:
            return ids[::-1], True
    ids = finder.take(order, PAGE_SIZE + 1, skip=skipped)
    return ids[:PAGE_SIZE], len(ids) > PAGE_SIZE


def _place(site: Session, order: Order, named: str) -> Place | None:
    """Where the customer that a cursor names stands; None when they changed since."""
    public_id, _, rev = named.partition(".")
    if not rev:
        return None
    given = {"public_id": public_id, "rev": int(rev)}
    row = site.execute(statements.place_of(order), given).first()
    return None if row is None else (row[0], row[1])


def _load(site: Session, ids: Sequence[int]) -> list[Listed]:
    """The customers of ``ids`` in that order, without deleted ones."""
    rows = plain_rows(site.connection(), BY_IDS, {"ids": list(ids)})
    found = {one.id: one for one in map(Listed._make, rows)}
    return [found[number] for number in ids if number in found]


def count_all(site: Session, query: Query, now: int) -> int:
    """How many customers ``query`` matches, however many."""
    if query.expiry == STOPPED:
        return stopped.count(site, query)
    some = Finder(site, query, now).everyone(Order.of(query)).order_by(None)
    return site.scalar(select(func.count()).select_from(some.subquery())) or 0


def all_in_turn(engine: Engine, query: Query, now: int, most: int) -> Iterator[Listed]:
    """The customers ``query`` matches, at most ``most``, whatever its page, in its
    order, without those deleted meanwhile.

    Their numbers (8 bytes each) are read at first, so that a customer who is changed
    meanwhile, and so comes to another place, is there once.  Then a page is read at a
    time, and no lock is held while it is used.
    """
    with looking(engine) as site:
        if query.expiry == STOPPED:
            some = stopped.everyone(query).limit(most)
        else:
            some = Finder(site, query, now).everyone(Order.of(query)).limit(most)
        some = some.execution_options(yield_per=NUMBERS_PAGE)
        numbers = array("q", site.scalars(some))
    for begins in range(0, len(numbers), EVERYONE_PAGE):
        with looking(engine) as site:
            page = _load(site, numbers[begins : begins + EVERYONE_PAGE])
        yield from page


def count_everyone(site: Session) -> int:
    """How many customers there are."""
    return site.scalar(select(func.count(Customer.id))) or 0


def everyone_in_turn(engine: Engine, most: int) -> Iterator[Customer]:
    """All customers in the order of registration, at most ``most``.  A page is read at
    a time, and no lock is held while it is used."""
    after, left = 0, most
    while left > 0:
        some = select(Customer).where(Customer.id > after).order_by(Customer.id)
        with looking(engine) as site:
            page = site.scalars(some.limit(min(left, EVERYONE_PAGE))).all()
        if not page:
            return
        yield from page
        after, left = page[-1].id, left - len(page)
