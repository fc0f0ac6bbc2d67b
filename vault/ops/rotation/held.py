"""A database row under a lease: only the process named in its ``lease`` column may
update it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, update

from ...errors import LeaseHeld
from ...web.vault import Vault
from . import lease


class Held:
    """A row of ``table`` under a lease.  ``row`` is the row as last written."""

    def __init__(self, vault: Vault, table: Table, row: Row[Any]) -> None:
        self._vault = vault
        self._table = table
        self.row: dict[str, Any] = dict(row._mapping)

    @property
    def id(self) -> int:
        """The row's number."""
        number: int = self.row["id"]
        return number

    def hold(self, db: Connection) -> None:
        """Take over the lease for this process."""
        self._write(db, lease=lease.own_name())

    def release(self) -> None:
        """Give the lease back, so that the next command doesn't wait for it to end."""
        with self._vault.engine.begin() as db:
            self._write(db, lease="")

    def _write(self, db: Connection, **changes: Any) -> None:
        """Update the row, if it is still as this process last wrote it (its MAC covers
        the lease too).  Raises LeaseHeld otherwise."""
        after = {**self.row, "lease_at": self._vault.clock(), **changes}
        known = after.pop("mac")
        signed = self._vault.signer.signed(self._table, after)
        mine = self._table.c.id == self.id
        query = update(self._table).where(mine, self._table.c.mac == known)
        written = db.execute(query, signed)
        if written.rowcount != 1:
            raise LeaseHeld(
                f"{name_of(self._table, self.id)} was taken over, or signed anew, "
                "by another process",
                hint="nothing is lost; see it with: cardvault status",
            )
        self.row = signed


def name_of(table: Table, number: int) -> str:
    """How a row is named in messages."""
    return f"{table.name.replace('_', ' ')} {number}"
