"""Says in what order the list stands, for the index of that order and without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, tuple_

from ..models import Customer
from .query import Query

Place = tuple[Any, Any]

COLUMNS: dict[str, Any] = {
    "name": Customer.name_folded,
    "expiry": Customer.expiry,
    "updated": Customer.updated_at,
}
# The same values, by an expression that no index has.
_COMPUTED: dict[str, Any] = {
    "name": Customer.name_folded.concat(""),
    "expiry": Customer.expiry + 0,
    "updated": Customer.updated_at + 0,
}


@dataclass(frozen=True)
class Order:
    """An order of the list: by the key of a column, then by id, ``turned`` or not.

    ``by_index`` says whether rows are to be read in this order from its index, or found
    otherwise and sorted.  Neither engine can tell which is less work, because it doesn't
    know how many customers a search finds.
    """

    key: str
    turned: bool
    by_index: bool = True

    @classmethod
    def of(cls, query: Query) -> Order:
        """The order that ``query`` shows."""
        return cls(query.order.removeprefix("-"), query.order.startswith("-"))

    @property
    def reversed(self) -> Order:
        """The same order from its other end."""
        return Order(self.key, not self.turned, self.by_index)

    @property
    def computed(self) -> Order:
        """The same order without its index."""
        return Order(self.key, self.turned, by_index=False)

    @property
    def columns(self) -> tuple[Any, Any]:
        """The two values a row stands by."""
        if self.by_index:
            return COLUMNS[self.key], Customer.id
        return _COMPUTED[self.key], Customer.id + 0

    @property
    def clauses(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """What to sort by."""
        value, number = self.columns
        if self.turned:
            return value.desc(), number.desc()
        return value.asc(), number.asc()

    def beyond(self, place: Place) -> ColumnElement[bool]:
        """The condition that a row comes after ``place``: a value and an id."""
        row = tuple_(*self.columns)
        return row < tuple_(*place) if self.turned else row > tuple_(*place)

    def up_to(self, place: Place) -> ColumnElement[bool]:
        """The condition that a row comes before ``place``, or stands there."""
        row = tuple_(*self.columns)
        return row >= tuple_(*place) if self.turned else row <= tuple_(*place)
