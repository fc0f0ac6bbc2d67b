"""Signs every row when it is written and checks it whenever it is read.

Whoever can write to the database but has no web key file can't forge, edit or move a
row without being noticed.  Whoever has the web key file too still can't forge what
only the ops side writes: those rows have a second MAC, under a key of the root's.  A
MAC is HMAC-SHA-256 over the vault's id, the table's name and every other column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Table

from .. import crypto
from ..crypto import OpsKeys
from ..errors import IntegrityFault, NotMadeByRoot
from .schema import CARD, DATA_KEY, PURGED, QUARANTINE, ROTATION, ROTATION_RANGE, VAULT

SIGNED_TABLES = (
    VAULT,
    DATA_KEY,
    ROTATION,
    ROTATION_RANGE,
    QUARANTINE,
    PURGED,
    CARD,
)
"""Every table whose rows bear a MAC: all but the trail's two."""

NOT_AS_WRITTEN = "is not as it was written (MAC)"
NOT_AS_TYPED = (TypeError, ValueError, struct.error)
"""What making a message raises when a column holds what was never written."""


def canonical(values: tuple[object, ...]) -> bytes:
    """The bytes a MAC is made over: each value's type, its length and its bytes, so
    that two different tuples never give the same.

    Values are int, str, bytes or None.  Anything else that a damaged database may
    hold (a float, say) has a type of its own and so never agrees with a MAC.
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
    """The part of the bytes under a card's MAC that re-encrypting does not change.

    It holds the numbers and the texts' lengths at fixed places, then the texts: as
    unambiguous as ``canonical`` and many times as fast.  Raises NOT_AS_TYPED when a
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
        + "".join((token, brand, prefix, last4)).encode()
    )


def card_message(
    start: bytes, facts: bytes, data_key_id: int, rev: int, envelope: bytes
) -> bytes:
    """The bytes a card's MAC is made over; ``start`` is what ``card_start`` returns."""
    return start + moved_numbers(data_key_id, rev) + facts + envelope


def card_start(vault_id: str) -> bytes:
    """The first bytes under every card's MAC in one vault."""
    return canonical(("card", vault_id))


CardCheck = Callable[[Sequence[Any]], bytes]


def card_checker(signer: RowSigner) -> CardCheck:
    """A function that checks the MAC of a whole card row and gives back the facts it
    is over (``card_facts``); it raises IntegrityFault naming the token.

    A closure that takes the row apart by its columns' order (``CardRow``): rotations,
    exports and verify call it for every card there is.
    """
    sign, start = signer.mac.sign, card_start(signer.vault_id)

    def check(row: Sequence[Any]) -> bytes:
        # fmt: off
        (id, token, key, rev, envelope, brand, prefix, last4, length,
         expiry, created_at, updated_at, mac) = row
        # fmt: on
        try:
            facts = card_facts(
                id, token, brand, prefix, last4, length, expiry, created_at, updated_at
            )
            if crypto.same(
                mac, sign(start + moved_numbers(key, rev) + facts + envelope)
            ):
                return facts
        except NOT_AS_TYPED:
            pass
        raise IntegrityFault(token, NOT_AS_WRITTEN)

    return check


CardSign = Callable[[Sequence[Any]], bytes]


def card_signer(signer: RowSigner) -> CardSign:
    """A function that makes the MAC (32 bytes) of a card row, whose other columns it is
    given in the table's order.  A closure, as ``card_checker`` is: an import calls it
    for every card."""
    sign, start = signer.mac.sign, card_start(signer.vault_id)

    def mac(row: Sequence[Any]) -> bytes:
        id, token, key, rev, envelope, *facts = row
        return sign(
            card_message(start, card_facts(id, token, *facts), key, rev, envelope)
        )

    return mac


class RowSigner:
    """Signs and checks the rows of one vault."""

    def __init__(self, vault_id: str, sealing_key: bytes) -> None:
        self.vault_id = vault_id
        self._card_start = card_start(vault_id)
        self.mac = crypto.Mac(crypto.derive(sealing_key, "cardvault row mac"))

    def sign(self, table: Table, values: Mapping[Any, Any]) -> bytes:
        """The MAC (32 bytes) of a row; ``values`` has every column but the MACs."""
        return self.mac.sign(self._message(table, values))

    def macs(self, table: Table, values: Mapping[Any, Any]) -> dict[str, bytes | None]:
        """The MAC columns of a row that this role writes, by name."""
        return {"mac": self.sign(table, values)}

    def signed(self, table: Table, values: Mapping[Any, Any]) -> dict[str, Any]:
        """The row with its MACs, ready to be written."""
        return {**values, **self.macs(table, values)}

    def check(self, table: Table, row: Row[Any], subject: str) -> None:
        """Raise IntegrityFault naming ``subject`` unless the row is as signed."""
        try:
            if crypto.same(row.mac, self.sign(table, row._mapping)):
                return
        except NOT_AS_TYPED:
            pass
        raise IntegrityFault(subject, NOT_AS_WRITTEN)

    def _message(self, table: Table, values: Mapping[Any, Any]) -> bytes:
        if table is CARD:
            moved = {name: values[name] for name in _MOVED}
            facts = {name: values[name] for name in _FACTS}
            return card_message(self._card_start, card_facts(**facts), **moved)
        names = _SIGNED[table.name]
        return canonical((self.vault_id, table.name, *(values[name] for name in names)))


class OpsSigner(RowSigner):
    """Signs and checks as the web role does, and with the root's own key as well.

    ``ops`` are the keys of the root that this vault's rows are under.
    """

    def __init__(self, vault_id: str, sealing_key: bytes, ops: OpsKeys) -> None:
        super().__init__(vault_id, sealing_key)
        self._ops = ops.mac

    def macs(self, table: Table, values: Mapping[Any, Any]) -> dict[str, bytes | None]:
        """Both MACs; ``ops_mac`` is None for what a web process may write."""
        macs = super().macs(table, values)
        if table.name in _SIGNED_BY_OPS:
            ours = table is not DATA_KEY or values["state"] != "live"
            ours = ours or values["suite"] != crypto.SUITE
            macs["ops_mac"] = self.ops_mac(table, values) if ours else None
        return macs

    def ops_mac(self, table: Table, values: Mapping[Any, Any]) -> bytes:
        """The MAC (32 bytes) that says the root made this row."""
        return self._ops.sign(self._message(table, values))

    def check(self, table: Table, row: Row[Any], subject: str) -> None:
        """Raise IntegrityFault naming ``subject`` unless the row is as signed, and
        NotMadeByRoot unless the root signed what only it may have written."""
        super().check(table, row, subject)
        self.check_ops(table, row, subject)

    def check_sealing(self, table: Table, row: Row[Any], subject: str) -> None:
        """Check what a web process checks, and no more."""
        super().check(table, row, subject)

    def is_sealed(self, table: Table, row: Row[Any]) -> bool:
        """Say whether a row is as whoever has the web key wrote it."""
        try:
            super().check(table, row, table.name)
        except IntegrityFault:
            return False
        return True

    def check_ops(self, table: Table, row: Row[Any], subject: str) -> None:
        """Check the root's MAC alone, where the row must have one or has one."""
        if table.name not in _SIGNED_BY_OPS:
            return
        if row.ops_mac is None and _may_be_the_web_roles(table, row):
            return
        try:
            if crypto.same(row.ops_mac, self.ops_mac(table, row._mapping)):
                return
        except NOT_AS_TYPED:
            pass
        raise NotMadeByRoot(subject)


def _may_be_the_web_roles(table: Table, row: Row[Any]) -> bool:
    """Say whether a web process, or a purge without the root, may have written ``row``.

    It may write two kinds: a data key that it minted, until the ops side destroys it,
    and the mark of a purged card.
    """
    if table is DATA_KEY:
        return bool(row.suite == crypto.SUITE and row.state != "destroyed")
    return table is PURGED


_MACS = ("mac", "ops_mac")
_SIGNED = {
    table.name: tuple(c.name for c in table.columns if c.name not in _MACS)
    for table in SIGNED_TABLES
}
_SIGNED_BY_OPS = {table.name for table in SIGNED_TABLES if "ops_mac" in table.columns}
_MOVED = ("data_key_id", "rev", "envelope")
_FACTS = tuple(c.name for c in CARD.columns if c.name not in (*_MOVED, "mac"))
