"""Finds the customers whose card a file called stopped.

They are few and have an index of their own, so all of them are read and sorted.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ..models import Customer
from .order import Order
from .query import Query, words


def everyone(query: Query) -> Select[int]:
    """The query for the ids of those who match, in the order that is asked for."""
    some = select(Customer.id).where(
        Customer.stopped_at.is_not(None), *(word.is_in() for word in words(query))
    )
    # Not along the order's own index, in which they stand far apart.
    return some.order_by(*Order.of(query).computed.clauses)


def count(site: Session, query: Query) -> int:
    """How many there are."""
    some = everyone(query).order_by(None).subquery()
    return site.scalar(select(func.count()).select_from(some)) or 0


def page(site: Session, query: Query, size: int) -> tuple[Query, list[int], bool]:
    """A page of ids, with its number from the first page on, and whether more follow.
    It is the last one when there are fewer pages."""
    last = max(-(-count(site, query) // size), 1)
    asked = query.page if query.page > 0 else last + 1 + query.page
    number = min(max(asked, 1), last)
    ids = everyone(query).offset((number - 1) * size).limit(size)
    found = replace(query, page=number, after="", before="")
    return found, list(site.scalars(ids)), number < last
