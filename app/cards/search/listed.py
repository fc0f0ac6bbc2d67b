"""Says what the list shows of a customer, without what would be needed to change one."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, select

from vault import Expiry
from vault.card.brands import mask

from ..models import Customer


class Listed(NamedTuple):
    """A customer as a page or a file of the list shows them, with the columns of
    ``Customer``.

    To make a ``Customer`` of each row, which the session then watches for changes,
    takes as long as everything else that is asked for a page."""

    id: int
    public_id: str
    name: str
    phone: str
    token: str
    brand: str
    prefix: str
    last4: str
    length: int
    expiry: int
    rev: int
    updated_at: int
    stopped_at: int | None

    @property
    def masked(self) -> str:
        """The card number as it may be shown."""
        return mask(self.prefix, self.last4, self.length)

    @property
    def expires(self) -> Expiry:
        """The card's expiry as a value."""
        return Expiry.from_key(self.expiry)


_TABLE = Customer.__table__
# A customer who was deleted meanwhile has no row in the answer.
BY_IDS = select(*(_TABLE.c[name] for name in Listed._fields)).where(
    _TABLE.c.id.in_(bindparam("ids", expanding=True))
)
