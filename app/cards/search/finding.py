"""Finds the customers who match, by whichever way is less work.

Few who match are read, from the index of words or of expiries, and sorted.  Of many, a
page is found by walking along the order's own index until it is full.  A walk may meet
none for long, so it ends after so many rows, and everyone who matches is read after
all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, not_, select
from sqlalchemy.orm import Session

from ..models import Customer
from . import index
from .order import Order, Place
from .query import Query, months, words
from .words import Word

# So many who match are read and sorted.  Of a million customers, walking along an order
# meets fifty of five thousand in ten thousand rows.
FEW = 5_000
WALKED = 20_000
FIRST_STEP = 500
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Where:
    """Who matches: those whose words answer ``question`` (if it is not ""), expire
    within ``months`` (YYYYMM, if not None) and meet ``texts``, which compare what the
    words leave open.  With ``span`` only a part of the order by name is walked along."""

    question: str
    months: tuple[int, int] | None
    texts: tuple[ColumnElement[bool], ...]
    span: tuple[ColumnElement[bool], ...] = ()

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row that was found by an order or by words has to meet."""
        # The sum keeps the index of expiries out of it.
        within = (
            [] if self.months is None else [(Customer.expiry + 0).between(*self.months)]
        )
        return [*within, *self.texts]


class Finder:
    """Finds the customers who match ``query`` at ``now`` (seconds UTC)."""

    def __init__(self, site: Session, query: Query, now: int) -> None:
        self._site = site
        self._language = index.language(site)
        self._words = words(query)
        self._all = Where(
            index.question(self._words, self._language),
            months(query, now),
            tuple(word.is_in() for word in self._words),
        )

    def count(self, most: int) -> int:
        """How many match, counted up to ``most`` and one more for any number above."""
        return self._site.scalar(self.counting(most)) or 0

    def counting(self, most: int) -> Select[int]:
        """The query for ``count``, which can be a part of another."""
        if self._all.question:
            some = select(Customer.id).join(
                index.WORDS, index.WORDS.c.rowid == Customer.id
            )
            some = some.where(self._answers(self._all), *self._all.conditions)
        else:
            some = self._by_expiry(self._all).where(*self._all.texts)
        return _counting(some, most)

    def take(
        self, order: Order, limit: int, *, beyond: Place | None = None, skip: int = 0
    ) -> list[int]:
        """The ids of up to ``limit`` who match, in ``order``, after the place
        ``beyond`` or after as many as ``skip``."""
        if skip and self._needs_finding(order):
            return self._sorted(self._all, order, limit, beyond, skip)
        if not self._needs_finding(order):
            some = self._by_expiry(self._all).where(*self._all.texts)
            return self._run(some, order, limit, beyond, skip)
        first = next((word for word in self._words if word.is_name), None)
        if order.key == "name" and first and not self._is_few(self._all):
            return self._by_name(first, order, limit, beyond)
        return self._page(self._all, order, limit, beyond)

    def everyone(self, order: Order) -> Select[Any]:
        """The query for all ids in ``order``."""
        if not self._needs_finding(order):
            some = self._by_expiry(self._all).where(*self._all.texts)
            return some.order_by(*order.clauses)
        return self._found(self._all).order_by(*order.computed.clauses)

    def _needs_finding(self, order: Order) -> bool:
        """Say whether walking along the order's index meets others than who match."""
        filtered = self._all.months is not None and order.key != "expiry"
        return bool(self._all.question) or filtered

    def _by_name(
        self, word: Word, order: Order, limit: int, beyond: Place | None
    ) -> list[int]:
        """A page by name of many who match.  Those whose names begin with ``word``
        stand together, where a walk from one end may not come; so they are found apart
        from the others."""
        name, to = Customer.name_folded, self._language
        begin = (name >= word.name, name < word.name + LAST_CHARACTER)
        others = [other for other in self._words if other is not word]
        asked = index.question(others, to)
        parts = []
        for said, compared, span in (
            (word.begins_name(to), (), begin),
            (word.inside_name(to), (not_(and_(*begin)),), ()),
        ):
            question = to.all_of([said, asked]) if asked else said
            texts = (*self._all.texts, *compared)
            where = replace(self._all, question=question, texts=texts, span=span)
            parts += self._page(where, order, limit, beyond)
        found = select(Customer.id).where(Customer.id.in_(parts))
        return self._run(found, order.computed, limit)

    def _page(
        self, where: Where, order: Order, limit: int, beyond: Place | None
    ) -> list[int]:
        if not self._is_few(where):
            walked = self._walk(where, order, limit, beyond)
            if walked is not None:
                return walked
        return self._sorted(where, order, limit, beyond)

    def _walk(
        self, where: Where, order: Order, limit: int, beyond: Place | None
    ) -> list[int] | None:
        """Walk along the order's index, in growing steps, until ``limit`` are found or
        it ends; None when that was not within WALKED rows."""
        found: list[int] = []
        step, left = FIRST_STEP, WALKED
        while left > 0:
            end = self._step(where, order, beyond, step)
            some = select(Customer.id).where(*where.span, *where.conditions)
            if end is not None:
                some = some.where(order.up_to(end))
            found += self._run(some, order, limit - len(found), beyond)
            if end is None or len(found) == limit:
                return found
            beyond, left, step = end, left - step, min(step * 4, left)
        return None

    def _step(
        self, where: Where, order: Order, beyond: Place | None, step: int
    ) -> Place | None:
        """The place ``step`` rows after ``beyond``; None when there are fewer."""
        some = select(*order.columns).where(*where.span)
        if beyond is not None:
            some = some.where(order.beyond(beyond))
        some = some.order_by(*order.clauses).offset(step - 1).limit(1)
        row = self._site.execute(some).first()
        return None if row is None else (row[0], row[1])

    def _sorted(
        self,
        where: Where,
        order: Order,
        limit: int,
        beyond: Place | None,
        skip: int = 0,
    ) -> list[int]:
        """The page, by reading everyone who matches."""
        return self._run(self._found(where), order.computed, limit, beyond, skip)

    def _found(self, where: Where) -> Select[Any]:
        return select(Customer.id).where(
            Customer.id.in_(self._hits(where)), *where.span, *where.conditions
        )

    def _is_few(self, where: Where) -> bool:
        counted = self._site.scalar(_counting(self._hits(where), FEW))
        return (counted or 0) <= FEW

    def _hits(self, where: Where) -> Select[Any]:
        """Who may match, by the index of words or else by that of expiries."""
        if where.question:
            return index.hits(where.question, self._language)
        return self._by_expiry(where)

    def _answers(self, where: Where) -> ColumnElement[bool]:
        return index.answers(where.question, self._language)

    @staticmethod
    def _by_expiry(where: Where) -> Select[Any]:
        some = select(Customer.id)
        if where.months is None:
            return some
        return some.where(Customer.expiry.between(*where.months))

    def _run(
        self,
        some: Select[Any],
        order: Order,
        limit: int,
        beyond: Place | None = None,
        skip: int = 0,
    ) -> list[int]:
        if beyond is not None:
            some = some.where(order.beyond(beyond))
        some = some.order_by(*order.clauses).offset(skip).limit(limit)
        return list(self._site.scalars(some))


def _counting(some: Select[Any], most: int) -> Select[int]:
    return select(func.count()).select_from(some.limit(most + 1).subquery())
