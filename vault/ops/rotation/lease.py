"""Leases: the process named in a row's ``lease`` column alone may update the row.

Others can tell whether that process still runs.
"""

from __future__ import annotations

import os
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table, update

from ...errors import LeaseHeld
from ..open_vault import OpenVault
from ..verify import name_of
from .reencrypt import END, Batch

SILENT_SECONDS = 60


class LeasedRow(ABC):
    """A signed row of ``table`` under a lease, a rotation's or a range's: it has a
    cursor over the card numbers and counts what was done.  ``row`` is the row as this
    process last wrote it."""

    def __init__(self, vault: OpenVault, table: Table, row: Row[Any]) -> None:
        self.vault = vault
        self.row: dict[str, Any] = dict(row._mapping)
        self._table = table
        self._name = name_of(table, row)

    @property
    def id(self) -> int:
        """The row's number."""
        number: int = self.row["id"]
        return number

    @property
    def cursor(self) -> int:
        """The highest card number the row is done with."""
        number: int = self.row["card_cursor"]
        return number

    @property
    def last_card(self) -> int:
        """The highest card number the row is for."""
        return END

    def hold(self, db: Connection) -> None:
        """Take over the lease for this process."""
        self.write(db, lease=own_name())

    def release(self) -> None:
        """Give the lease back, so that the next command doesn't wait for it to end."""
        with self.vault.engine.begin() as db:
            self.write(db, lease="")

    @property
    @abstractmethod
    def is_done(self) -> bool:
        """Say whether no card is left for the row."""

    @abstractmethod
    def advance(self, db: Connection, batch: Batch, size: int) -> None:
        """Move the cursor past a ``batch`` of up to ``size`` cards and count it."""

    def count(self, db: Connection, batch: Batch, **changes: Any) -> None:
        """Add a batch's cards to the row's counts, and write ``changes``."""
        self.write(
            db,
            reencrypted=self.row["reencrypted"] + len(batch.revs),
            newer=self.row["newer"] + batch.newer,
            **changes,
        )

    def write(self, db: Connection, **changes: Any) -> None:
        """Update the row and renew its lease, if the row is still as this process last
        wrote it (its MAC covers the lease too).  Raises LeaseHeld otherwise."""
        after = {**self.row, "lease_at": self.vault.clock(), **changes}
        known = after.pop("mac")
        signed = self.vault.signer.signed(self._table, after)
        mine = self._table.c.id == self.id
        query = update(self._table).where(mine, self._table.c.mac == known)
        written = db.execute(query, signed)
        if written.rowcount != 1:
            raise LeaseHeld(
                f"{self._name} was taken over, or signed anew, by another process",
                hint="nothing is lost; see it with: cardvault status",
            )
        self.row = signed


def own_name() -> str:
    """This process's name: host, boot, process id and when it started.

    Process ids are reused; with start time and boot id the name is unique.
    """
    pid = os.getpid()
    return f"{_host()} {pid} {_started(pid)}"


def is_over(lease: str, lease_at: int, now: int) -> bool:
    """Say whether a lease's holder has ended (seen on this host) or has not written for
    60 seconds; ``lease_at`` and ``now`` are seconds UTC."""
    if not lease or now - lease_at > SILENT_SECONDS:
        return True
    host, _, process = lease.partition(" ")
    pid, _, started = process.partition(" ")
    if host != _host() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def describe(lease: str) -> str:
    """A lease as text for a person: which host, which process."""
    host, _, process = lease.partition(" ")
    return f"{host.partition('/')[0]} process {process.partition(' ')[0]}"


def _host() -> str:
    return f"{socket.gethostname()}/{_read(Path('/proc/sys/kernel/random/boot_id'))}"


def _started(pid: int) -> str:
    """The process's start time in clock ticks, or "" when there is none."""
    stat = _read(Path(f"/proc/{pid}/stat"))
    # The command's name, in brackets, may hold blanks, so count from its end.
    fields = stat.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
