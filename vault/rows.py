"""Row MACs: every row is signed when written and checked whenever read.

Whoever can write to the database but has no web key file can't forge, edit or
move a row unseen.  A MAC is HMAC-SHA-256 over the vault's id, the table's name
and every other column.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Table

from . import sealing
from .errors import IntegrityFault
from .schema import CARD

NOT_AS_WRITTEN = "is not as it was written (MAC)"
NOT_AS_TYPED = (TypeError, ValueError, struct.error)
"""What making a message raises when a column holds what was never written."""


def canonical(values: tuple[object, ...]) -> bytes:
    """An encoding no two different tuples share: each value's type, its length
    and its bytes.

    Values are int, str, bytes or None; anything else a damaged database may
    hold (a float, say) is encoded as itself and so never agrees with a MAC.
    """
    return b"".join(map(_tagged, values))


def _tagged(value: object) -> bytes:
    if isinstance(value, bytes):
        return b"b%d:%b" % (len(value), value)
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(text), text)
    if isinstance(value, int):
        return b"i%d;" % value
    return b"?%b;" % repr(value).encode()


_NUMBERS = struct.Struct(">5q4B").pack
moved_numbers = struct.Struct(">2q").pack
"""The data key's number and the rev in a card's message."""


def card_facts(
    id: int,
    token: str,
    brand: str,
    prefix: str,
    last4: str,
    length: int,
    expiry: int,
    created_at: int,
    updated_at: int,
) -> bytes:
    """The part of a card's message that re-encrypting leaves alone.

    As unambiguous as ``canonical`` and many times as fast: the numbers and the
    texts' lengths in fixed places, then the texts.  Raises NOT_AS_TYPED when a
    value is of another type or size than its column's.
    """
    return (
        _NUMBERS(
            id,
            length,
            expiry,
            created_at,
            updated_at,
            len(token),
            len(brand),
            len(prefix),
            len(last4),
        )
        + f"{token}{brand}{prefix}{last4}".encode()
    )


def card_message(
    start: bytes, facts: bytes, data_key_id: int, rev: int, envelope: bytes
) -> bytes:
    """What a card's MAC is made over; ``start`` is ``card_start``."""
    return start + moved_numbers(data_key_id, rev) + facts + envelope


def card_start(vault_id: str) -> bytes:
    """The beginning of every card's message in one vault."""
    return canonical(("card", vault_id))


class RowSigner:
    """Signs and checks the rows of one vault."""

    def __init__(self, vault_id: str, sealing_key: bytes) -> None:
        self.vault_id = vault_id
        self._card_start = card_start(vault_id)
        self.mac = sealing.Mac(sealing.derive(sealing_key, "cardvault row mac"))

    def sign(self, table: Table, values: Mapping[Any, Any]) -> bytes:
        """The MAC (32 bytes) of a row; ``values`` has every column but ``mac``."""
        return self.mac.sign(self._message(table, values))

    def signed(self, table: Table, values: Mapping[Any, Any]) -> dict[str, Any]:
        """The row with its MAC, ready to be written."""
        return {**values, "mac": self.sign(table, values)}

    def check(self, table: Table, row: Row[Any], subject: str) -> None:
        """Raise IntegrityFault naming ``subject`` unless the row is as signed."""
        try:
            if sealing.same(row.mac, self.sign(table, row._mapping)):
                return
        except NOT_AS_TYPED:
            pass
        raise IntegrityFault(subject, NOT_AS_WRITTEN)

    def _message(self, table: Table, values: Mapping[Any, Any]) -> bytes:
        if table is CARD:
            moved = {name: values[name] for name in _MOVED}
            facts = {name: values[name] for name in _FACTS}
            return card_message(self._card_start, card_facts(**facts), **moved)
        columns = [column.name for column in table.columns if column.name != "mac"]
        return canonical(
            (self.vault_id, table.name, *(values[name] for name in columns))
        )


_MOVED = ("data_key_id", "rev", "envelope")
_FACTS = tuple(c.name for c in CARD.columns if c.name not in (*_MOVED, "mac"))
