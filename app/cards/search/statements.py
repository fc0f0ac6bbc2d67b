"""Builds the statements of the list once for each shape they can have.

To build one takes SQLAlchemy longer than SQLite takes to answer it, so what changes
from one request to the next is given beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Select, String, bindparam, func, select

from ..models import Customer
from .order import Order, Place
from .query import STOPPED

Months = tuple[int, int]
"""The first and the last expiry of a filter, as YYYYMM."""

ALL = ""
# A filter by the index of expiries, and one that no index has, for rows that are found
# otherwise.
BY_INDEX, COMPUTED = "index", "computed"


def values(
    months: Months | None = None,
    beyond: Place | None = None,
    up_to: Place | None = None,
    **more: int,
) -> dict[str, Any]:
    """What is given beside a statement; ``more`` are ``limit`` and ``skip``."""
    given: dict[str, Any] = {**more}
    if months is not None:
        given["first"], given["last"] = months
    for name, place in (("beyond", beyond), ("up_to", up_to)):
        if place is not None:
            given[f"{name}_value"], given[f"{name}_id"] = place
    return given


@cache
def ids(order: Order, kind: str, *, beyond: bool, up_to: bool = False) -> Select[Any]:
    """The ids in ``order`` with a filter of this ``kind``; only those ``beyond`` a
    place, and ``up_to`` one."""
    return _in_order(select(Customer.id), order, kind, beyond=beyond, up_to=up_to)


@cache
def places(order: Order, *, beyond: bool) -> Select[Any]:
    """The places of customers in ``order``, one after the other."""
    return _in_order(select(*order.columns), order, ALL, beyond=beyond, up_to=False)


@cache
def place_of(order: Order) -> Select[Any]:
    """The place of the customer with a ``public_id`` who is still at ``rev``."""
    return select(*order.columns).where(
        Customer.public_id == bindparam("public_id"), Customer.rev == bindparam("rev")
    )


@cache
def count(kind: str) -> Select[int]:
    """How many customers there are with a filter of this ``kind``, up to ``limit``."""
    return counting(_filtered(select(Customer.id), kind), bindparam("limit"))


@cache
def counts(filters: tuple[str, ...]) -> Select[Any]:
    """The same for each of ``filters``, and for all of them if it is "".  One statement
    is less work than one for each."""
    limit: Any = bindparam("limit")
    every = [counting(_let_through(name), limit) for name in filters]
    return select(*(one.scalar_subquery() for one in every))


def _let_through(name: str) -> Select[Any]:
    some = select(Customer.id)
    if name == STOPPED:
        return some.where(Customer.stopped_at.is_not(None))
    return _filtered(some, BY_INDEX if name else ALL, name)


def values_of_counts(months: Mapping[str, Months | None], limit: int) -> dict[str, int]:
    """What is given beside ``counts``: the months of each filter by expiry."""
    given = {"limit": limit}
    for name, span in months.items():
        if span is not None:
            given[f"{name}first"], given[f"{name}last"] = span
    return given


def counting(some: Select[Any], limit: Any) -> Select[int]:
    """How many rows ``some`` has, up to ``limit``."""
    return select(func.count()).select_from(some.limit(limit).subquery())


def _in_order(
    some: Select[Any], order: Order, kind: str, *, beyond: bool, up_to: bool
) -> Select[Any]:
    some = _filtered(some, kind)
    if beyond:
        some = some.where(order.beyond(_place(order, "beyond")))
    if up_to:
        some = some.where(order.up_to(_place(order, "up_to")))
    some = some.order_by(*order.clauses)
    return some.offset(bindparam("skip")).limit(bindparam("limit"))


def _filtered(some: Select[Any], kind: str, named: str = "") -> Select[Any]:
    if kind == ALL:
        return some
    expiry = Customer.expiry if kind == BY_INDEX else Customer.expiry + 0
    return some.where(
        expiry.between(bindparam(f"{named}first"), bindparam(f"{named}last"))
    )


def _place(order: Order, named: str) -> Place:
    kind = String() if order.key == "name" else BigInteger()
    return (
        bindparam(f"{named}_value", type_=kind),
        bindparam(f"{named}_id", type_=BigInteger()),
    )
