"""Reads what was asked for of the list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app import japan_time

from ..typed import digits_of, has_unseen, shortened
from .words import Word, words_of

MAX_PAGE = 99_999
MAX_QUERY = 100
SOON_MONTHS = 2

SORTS = ("name", "expiry", "updated")
DEFAULT_SORT = "-updated"
# With a filter by expiry, who expires first is first.
FILTERED_SORT = "expiry"
EXPIRY_FILTERS = ("expired", "soon")
# In the place of a filter by expiry: those whose card a file called stopped.
STOPPED = "stopped"

_PAGE = re.compile(r"-?[0-9]{1,5}", re.ASCII)
_CURSOR = re.compile(r"[a-z]{1,32}\.[0-9]{1,9}", re.ASCII)


def holds_number(args: Iterable[str]) -> bool:
    """Say whether one of these search texts may hold a card number, which must not be
    in an address, because proxies log addresses."""
    return any(shortened(typed) != typed for typed in args)


@dataclass(frozen=True)
class Query:
    """What the list shows: ``q`` the words, ``sort`` a key of SORTS (with ``-`` in
    reverse order) or empty for the default, ``expiry`` one of EXPIRY_FILTERS, STOPPED or empty.

    ``page`` counts from 1, or from -1, the last page, towards the first.  ``after`` and
    ``before`` name the row next to the page, so that it is found without counting the
    rows in between (``listing.cursor``).
    """

    q: str = ""
    sort: str = ""
    page: int = 1
    expiry: str = ""
    after: str = ""
    before: str = ""

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Query:
        """Read an address's parameters or the search form.  What is not understood is
        left out, and a card number is cut to its last four digits."""
        sort, expiry = args.get("sort", ""), args.get("expiry", "")
        # Shorten before cutting: a piece of a card number would not be recognized.
        q = shortened(args.get("q", "")).strip()[:MAX_QUERY]
        after, before = args.get("after", ""), args.get("before", "")
        read = cls(
            q="" if has_unseen(q) else q,
            sort=sort if sort.removeprefix("-") in SORTS else "",
            page=_page(args.get("page", "")),
            expiry=expiry if expiry in (*EXPIRY_FILTERS, STOPPED) else "",
            after=after if _CURSOR.fullmatch(after) else "",
            before=before if _CURSOR.fullmatch(before) else "",
        )
        return replace(read, sort="") if read.sort == read.default_sort else read

    @property
    def default_sort(self) -> str:
        """The order when none is asked for: the newest first, or by expiry when that
        is filtered."""
        return FILTERED_SORT if self.expiry in EXPIRY_FILTERS else DEFAULT_SORT

    @property
    def order(self) -> str:
        """The order that is shown: a key of SORTS, with ``-`` in reverse order."""
        return self.sort or self.default_sort

    def args(self, **changes: Any) -> dict[str, Any]:
        """An address's parameters with ``changes``, without the default values.
        Another page leaves this one's cursor behind."""
        here = replace(self, after="", before="") if "page" in changes else self
        wanted, plain = replace(here, **changes), Query()
        return {
            name: getattr(wanted, name)
            for name in ("q", "sort", "page", "expiry", "after", "before")
            if getattr(wanted, name) != getattr(plain, name)
        }

    def sorted_by(self, key: str) -> dict[str, Any]:
        """The parameters that sort by ``key``, or reverse that order."""
        return self.args(sort=f"-{key}" if self.order == key else key, page=1)

    def direction(self, key: str) -> str:
        """The order by ``key`` in ARIA's words: ``ascending``, ``descending``,
        ``none``."""
        if self.order.removeprefix("-") != key:
            return "none"
        return "descending" if self.order.startswith("-") else "ascending"

    @property
    def words_shown(self) -> str:
        """The words of ``q`` that may be in a page's title, which browsers keep: those
        without a digit."""
        return " ".join(word for word in self.q.split() if not digits_of(word))


def _page(typed: str) -> int:
    number = int(typed) if _PAGE.fullmatch(typed) else 1
    return number if 0 < abs(number) <= MAX_PAGE else 1


def words(query: Query) -> list[Word]:
    """The words that a customer has to have."""
    return words_of(query.q)


def months(query: Query, now: int) -> tuple[int, int] | None:
    """The first and the last expiry (YYYYMM) that the filter lets through at ``now``
    (seconds UTC); None without a filter."""
    this_month = japan_time.month_key(now)
    if query.expiry == "expired":
        return 0, this_month - 1
    if query.expiry == "soon":
        return this_month, japan_time.month_key(now, later=SOON_MONTHS - 1)
    return None
