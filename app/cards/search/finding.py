"""Finds the customers who match, by whichever way is less work.

Few who match are read, from the index of words or of expiries, and sorted.  Of many, a
page is found by walking along the order's own index until it is full.  A walk may meet
none for long, so it ends after so many rows, and everyone who matches is read after
all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, not_, select
from sqlalchemy.orm import Session

from ..models import Customer
from . import index, statements
from .order import Order, Place
from .query import Query, months, words
from .statements import ALL, BY_INDEX, COMPUTED
from .words import Word

# So many who match are read and sorted.  Of a million customers, walking along an order
# meets fifty of five thousand in ten thousand rows.
FEW = 5_000
WALKED = 20_000
FIRST_STEP = 2_000
# Up to here the pages before one are found with it, which a walk does sooner than a
# sort of everyone.
SKIPPED = 1_000
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Where:
    """Who matches: those whose words answer ``question`` (if it is not ""), expire
    within ``months`` (YYYYMM, if not None) and meet ``texts``, which compare what the
    words leave open.  With ``span`` only a part of the order is walked along."""

    question: str
    months: tuple[int, int] | None
    texts: tuple[ColumnElement[bool], ...]
    span: tuple[ColumnElement[bool], ...] = ()


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
        if not self._words:
            return self._count_by_expiry(self._all, most)
        some = self._in_no_order(self._all)
        return self._site.scalar(statements.counting(some, most + 1)) or 0

    def _in_no_order(self, where: Where) -> Select[Any]:
        # Many may have a name; those of them within a few months are found faster by month.
        by_words = where.question and (where.months is None or self._is_few(where))
        if by_words:
            met = (*where.texts, *_within(where))
            return index.customers(where.question, self._language, *met)
        return self._by_expiry(where).where(*where.texts)

    def take(
        self, order: Order, limit: int, *, beyond: Place | None = None, skip: int = 0
    ) -> list[int]:
        """The ids of up to ``limit`` who match, in ``order``, after the place
        ``beyond`` or after as many as ``skip``."""
        if skip and self._needs_finding(order):
            if skip > SKIPPED:
                return self._sorted(self._all, order, limit, beyond, skip)
            return self.take(order, skip + limit, beyond=beyond)[skip:]
        if not self._needs_finding(order):
            return self._run(
                order, BY_INDEX, self._all, limit, beyond=beyond, skip=skip
            )
        first = next((word for word in self._words if word.is_name), None)
        if order.key == "name" and first:
            return self._by_name(first, order, limit, beyond)
        return self._page(self._spanned(order), order, limit, beyond)

    def _spanned(self, order: Order) -> Where:
        """Who matches, and the part of ``order`` where they stand: by expiry, with a
        filter, no walk begins before its months."""
        if self._all.months is None or order.key != "expiry":
            return self._all
        span = Customer.expiry.between(*self._all.months)
        return replace(self._all, span=(span,))

    def everyone(self, order: Order) -> Select[Any]:
        """The query for all ids in ``order``."""
        if not self._needs_finding(order):
            some = self._by_expiry(self._all).where(*self._all.texts)
            return some.order_by(*order.clauses)
        hits = Customer.id.in_(self._hits(self._all))
        some = select(Customer.id).where(hits, *_within(self._all), *self._all.texts)
        return some.order_by(*order.computed.clauses)

    def _needs_finding(self, order: Order) -> bool:
        """Say whether walking along the order's index meets others than who match."""
        filtered = self._all.months is not None and order.key != "expiry"
        return bool(self._all.question) or filtered

    def _by_name(
        self, word: Word, order: Order, limit: int, beyond: Place | None
    ) -> list[int]:
        """A page by name.  Those whose names begin with ``word`` stand together, where a
        walk from one end may not come; so they are found apart from the others."""
        name, to = Customer.name_folded, self._language
        begin = (name >= word.name, name < word.name + LAST_CHARACTER)
        others = [other for other in self._words if other is not word]
        asked = index.question(others, to)
        parts: list[int] = []
        for said, compared, span in (
            (word.begins_name(to), (), begin),
            (word.inside_name(to), (not_(and_(*begin)),), ()),
        ):
            question = to.all_of([said, asked]) if asked else said
            if span and not others:
                # Everyone who stands there has the word.
                question = ""
            texts = (*self._all.texts, *compared)
            where = replace(self._all, question=question, texts=texts, span=span)
            if question or where.months is not None:
                parts += self._page(where, order, limit, beyond)
            else:
                parts += self._run(order, ALL, where, limit, beyond=beyond)
        found = (Customer.id.in_(parts),)
        return self._run(order.computed, ALL, None, limit, also=found)

    def _page(
        self, where: Where, order: Order, limit: int, beyond: Place | None
    ) -> list[int]:
        few = self._is_few(where)
        if not few:
            walked = self._walk(where, order, limit, beyond)
            if walked is not None:
                return walked
        return self._sorted(where, order, limit, beyond, few=few)

    def _walk(
        self, where: Where, order: Order, limit: int, beyond: Place | None
    ) -> list[int] | None:
        """Walk along the order's index, in growing steps, until ``limit`` are found or
        it ends; None when that was not within WALKED rows."""
        found: list[int] = []
        step, left = FIRST_STEP, WALKED
        while left > 0:
            end = self._step(where, order, beyond, step)
            wanted = limit - len(found)
            found += self._run(order, COMPUTED, where, wanted, beyond=beyond, up_to=end)
            if end is None or len(found) == limit:
                return found
            beyond, left, step = end, left - step, min(step * 4, left)
        return None

    def _step(
        self, where: Where, order: Order, beyond: Place | None, step: int
    ) -> Place | None:
        """The place ``step`` rows after ``beyond``; None when there are fewer."""
        some = statements.places(order, beyond=beyond is not None)
        if where.span:
            some = some.where(*where.span)
        given = statements.values(None, beyond, skip=step - 1, limit=1)
        row = self._site.execute(some, given).first()
        return None if row is None else (row[0], row[1])

    def _sorted(
        self,
        where: Where,
        order: Order,
        limit: int,
        beyond: Place | None,
        skip: int = 0,
        *,
        few: bool = False,
    ) -> list[int]:
        """The page, by reading everyone who matches."""
        if not where.question:
            return self._run(
                order.computed, BY_INDEX, where, limit, beyond=beyond, skip=skip
            )
        hits = index.is_among(where.question, self._language, few=few)
        return self._run(
            order.computed,
            COMPUTED,
            where,
            limit,
            beyond=beyond,
            skip=skip,
            also=(hits,),
        )

    def _is_few(self, where: Where) -> bool:
        if not where.question:
            return self._count_by_expiry(where, FEW) <= FEW
        counting = statements.counting(self._hits(where), FEW + 1)
        return (self._site.scalar(counting) or 0) <= FEW

    def _count_by_expiry(self, where: Where, most: int) -> int:
        counting = statements.count(ALL if where.months is None else BY_INDEX)
        given = statements.values(where.months, limit=most + 1)
        return self._site.scalar(counting, given) or 0

    def _hits(self, where: Where) -> Select[Any]:
        """Who may match, by the index of words or else by that of expiries."""
        if where.question:
            return index.hits_first(where.question, self._language)
        return self._by_expiry(where)

    @staticmethod
    def _by_expiry(where: Where) -> Select[Any]:
        some = select(Customer.id)
        if where.months is None:
            return some
        return some.where(Customer.expiry.between(*where.months))

    def _run(
        self,
        order: Order,
        kind: str,
        where: Where | None,
        limit: int,
        *,
        beyond: Place | None = None,
        up_to: Place | None = None,
        skip: int = 0,
        also: tuple[ColumnElement[bool], ...] = (),
    ) -> list[int]:
        """The ids in ``order`` of those who meet ``where``, its filter in this
        ``kind``, and ``also`` that."""
        months = where.months if where else None
        some = statements.ids(
            order,
            ALL if months is None else kind,
            beyond=beyond is not None,
            up_to=up_to is not None,
        )
        if where:
            also = (*also, *where.span, *where.texts)
        if also:
            some = some.where(*also)
        given = statements.values(months, beyond, up_to, limit=limit, skip=skip)
        return list(self._site.scalars(some, given))


def _within(where: Where) -> list[ColumnElement[bool]]:
    # The sum keeps the index of expiries out of it.
    if where.months is None:
        return []
    return [(Customer.expiry + 0).between(*where.months)]
