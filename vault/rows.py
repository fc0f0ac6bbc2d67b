"""Row MACs: every row is signed when written and checked whenever read.

Whoever can write to the database but has no web key file can't forge, edit or
move a row unseen.  A MAC is the signing key's name (4 bytes), then HMAC-SHA-256
over the vault's id, the table's name and every other column in table order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Table

from . import sealing
from .errors import IntegrityFault

MAC_NAME_BYTES = 4


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


class RowSigner:
    """Signs and checks the rows of one vault."""

    def __init__(self, vault_id: str, sealing_keys: tuple[bytes, ...]) -> None:
        row_keys = [sealing.derive(key, "cardvault row mac") for key in sealing_keys]
        self._macs = {_name(key): sealing.Mac(key) for key in row_keys}
        self._current = _name(row_keys[0])
        self._vault_id = vault_id

    def sign(self, table: Table, values: Mapping[str, Any]) -> bytes:
        """The MAC of a row; ``values`` has every column but ``mac``."""
        mac = self._macs[self._current]
        return self._current + mac.sign(self._message(table, values))

    def signed(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """The row with its MAC, ready to be written."""
        return {**values, "mac": self.sign(table, values)}

    def check(self, table: Table, row: Row[Any], subject: str) -> None:
        """Raise IntegrityFault naming ``subject`` unless the row is as signed."""
        values = row._mapping
        stored = values["mac"]
        if isinstance(stored, bytes):
            mac = self._macs.get(stored[:MAC_NAME_BYTES])
            if mac is not None and sealing.same(
                stored[MAC_NAME_BYTES:], mac.sign(self._message(table, values))
            ):
                return
        raise IntegrityFault(subject, "is not as it was written (MAC)")

    def _message(self, table: Table, values: Mapping[str, Any]) -> bytes:
        columns = [column.name for column in table.columns if column.name != "mac"]
        return canonical(
            (self._vault_id, table.name, *(values[name] for name in columns))
        )


def _name(key: bytes) -> bytes:
    return bytes.fromhex(sealing.fingerprint(key))[:MAC_NAME_BYTES]
