"""Searches the customers: reads what was asked for and finds a page of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, or_, select
from sqlalchemy.orm import Session

from app import japan_time
from app.db import looking

from .models import Customer
from .typed import has_unseen, phone_of, search_key, shortened

PAGE_SIZE = 50
MAX_PAGE = 99_999
MAX_QUERY = 100
EVERYONE_PAGE = 500
NUMBERS_PAGE = 10_000
SOON_MONTHS = 2

SORTS: dict[str, Any] = {
    "name": Customer.name_folded,
    "expiry": Customer.expiry,
    "updated": Customer.updated_at,
}
DEFAULT_SORT = "-updated"
EXPIRY_FILTERS = ("expired", "soon")


def holds_number(args: Iterable[str]) -> bool:
    """Say whether one of these search texts may hold a card number, which must not be
    in an address, because proxies log addresses."""
    return any(shortened(typed) != typed for typed in args)


@dataclass(frozen=True)
class Query:
    """What the list shows: ``q`` the words, ``sort`` a key of SORTS (with ``-`` in
    reverse order), ``page`` from 1, ``expiry`` one of EXPIRY_FILTERS or empty."""

    q: str = ""
    sort: str = DEFAULT_SORT
    page: int = 1
    expiry: str = ""

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Query:
        """Read an address's parameters or the search form.  What is not understood is
        left out, and a card number is cut to its last four digits."""
        sort, expiry = args.get("sort", ""), args.get("expiry", "")
        # Shorten before cutting: a piece of a card number would not be recognized.
        page, q = args.get("page", ""), shortened(args.get("q", "")).strip()[:MAX_QUERY]
        known = page.isascii() and page.isdigit() and len(page) <= len(str(MAX_PAGE))
        return cls(
            q="" if has_unseen(q) else q,
            sort=sort if sort.removeprefix("-") in SORTS else DEFAULT_SORT,
            page=max(int(page), 1) if known else 1,
            expiry=expiry if expiry in EXPIRY_FILTERS else "",
        )

    def args(self, **changes: Any) -> dict[str, Any]:
        """An address's parameters with ``changes``, without the default values."""
        wanted, plain = replace(self, **changes), Query()
        return {
            name: getattr(wanted, name)
            for name in ("q", "sort", "page", "expiry")
            if getattr(wanted, name) != getattr(plain, name)
        }

    def sorted_by(self, key: str) -> dict[str, Any]:
        """The parameters that sort by ``key``, or reverse that order."""
        return self.args(sort=f"-{key}" if self.sort == key else key, page=1)

    def direction(self, key: str) -> str:
        """The order by ``key`` in ARIA's words: ``ascending``, ``descending``,
        ``none``."""
        if self.sort.removeprefix("-") != key:
            return "none"
        return "descending" if self.sort.startswith("-") else "ascending"


@dataclass(frozen=True)
class Page:
    """Up to 50 customers, and whether more follow.  How many is not counted, because
    counting a million rows costs more than showing fifty."""

    customers: Sequence[Customer]
    more: bool


def find(site: Session, query: Query, now: int) -> Page:
    """The page of customers ``query`` asks for at ``now`` (seconds UTC)."""
    rows = site.scalars(
        _select(query, now).offset((query.page - 1) * PAGE_SIZE).limit(PAGE_SIZE + 1)
    ).all()
    return Page(rows[:PAGE_SIZE], len(rows) > PAGE_SIZE)


def find_all(site: Session, query: Query, now: int) -> array[int]:
    """The numbers of all customers ``query`` matches, whatever its page, in its
    order."""
    numbers = _select(query, now).with_only_columns(Customer.id)
    rows = numbers.execution_options(yield_per=NUMBERS_PAGE)
    return array("q", site.scalars(rows))


def in_turn(engine: Engine, numbers: array[int]) -> Iterator[Customer]:
    """The customers of ``numbers`` in that order, without deleted ones.  A page is read
    at a time, and no lock is held while it is used."""
    for begins in range(0, len(numbers), EVERYONE_PAGE):
        page = numbers[begins : begins + EVERYONE_PAGE]
        with looking(engine) as site:
            query = select(Customer).where(Customer.id.in_(page))
            found = {customer.id: customer for customer in site.scalars(query)}
        yield from (found[number] for number in page if number in found)


def _select(query: Query, now: int) -> Select[Customer]:
    column = SORTS[query.sort.removeprefix("-")]
    turned = query.sort.startswith("-")
    order = (column.desc(), Customer.id.desc()) if turned else (column, Customer.id)
    return select(Customer).where(*_conditions(query, now)).order_by(*order)


def _conditions(query: Query, now: int) -> list[ColumnElement[bool]]:
    conditions = []
    this_month = japan_time.month_key(now)
    if query.expiry == "expired":
        conditions.append(Customer.expiry < this_month)
    if query.expiry == "soon":
        last = japan_time.month_key(now, later=SOON_MONTHS - 1)
        conditions.append(Customer.expiry.between(this_month, last))
    if query.q:
        conditions.append(_matches(query.q))
    return conditions


def _matches(q: str) -> ColumnElement[bool]:
    ways = [Customer.name_folded.contains(search_key(q), autoescape=True)]
    digits = phone_of(q).replace("-", "")
    if digits.isascii() and digits.isdigit():
        ways.append(Customer.phone_digits.contains(digits))
        # Four digits alone may be the last four of a card number.
        ways.append(Customer.last4 == digits)
    return or_(*ways)


def everyone(site: Session) -> array[int]:
    """The numbers of all customers in the order of registration."""
    numbers = select(Customer.id).order_by(Customer.id)
    rows = numbers.execution_options(yield_per=NUMBERS_PAGE)
    return array("q", site.scalars(rows))
