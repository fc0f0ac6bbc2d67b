"""The vault's database as both roles use it: its own row, and the trail's entries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Row, Table, Transaction, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from ..clock import Clock
from ..errors import FileRefused, IntegrityFault, WrongVault
from ..store.database import is_reading, reading, takes_several
from ..store.last_acts import before_commit, transaction_of
from ..store.revisions import REVISIONS
from ..store.row_macs import RowSigner
from ..store.schema import VAULT
from ..trail import Actor, NewEntry, Trail
from .web_key import WebKey

_VAULT_ID = re.compile("[0-9a-f]{32}")
# Lock order: every transaction locks rows of the tables in this order.
_LOCK_ALL = text(
    "LOCK TABLE vault, card, data_key, quarantine, purged, rotation, rotation_range"
    " IN EXCLUSIVE MODE"
)

# The number of the PostgreSQL advisory lock under which numbers for new rows are drawn.
_NUMBERS_LOCK = 0x63617264


class VaultDatabase:
    """One vault's database under its web key: which vault it is, and its trail."""

    def __init__(self, web_key: WebKey, engine: Engine, clock: Clock) -> None:
        self.web_key = web_key
        self.engine = engine
        self.clock = clock
        self.signer = RowSigner(web_key.vault_id, web_key.sealing_key)
        self.trail = Trail(web_key.vault_id, web_key.sealing_key)
        self._unwritten: WeakKeyDictionary[Transaction, list[NewEntry]] = (
            WeakKeyDictionary()
        )

    def require_ready(self) -> None:
        """Raise SchemaError unless the database is at this code's revision, and what
        ``state`` raises unless it belongs to this web key."""
        REVISIONS.require_head(self.engine, "vault")
        with reading(self.engine) as db:
            self.state(db)

    def is_well(self) -> bool:
        """Say whether the database answers and belongs to this web key."""
        try:
            with reading(self.engine) as db:
                self.state(db)
        except (SQLAlchemyError, IntegrityFault, FileRefused, WrongVault):
            return False
        return True

    def state(self, db: Connection, *, lock: bool = False) -> Row[Any]:
        """The vault's own row, checked; with ``lock`` it is locked until ``db`` ends,
        so that the generation can't be raised.  Raises WrongVault when the database
        belongs to another vault, FileRefused when the web key is for another root than
        the vault's, IntegrityFault when the row is missing or was edited."""
        query = select(VAULT)
        row = db.execute(query.with_for_update(read=True) if lock else query).first()
        if row is None:
            raise IntegrityFault("vault row", "is missing")
        if row.vault_id != self.web_key.vault_id and _VAULT_ID.fullmatch(
            str(row.vault_id)
        ):
            raise WrongVault(
                f"the web key is of vault {self.web_key.vault_id}, "
                f"the database of vault {row.vault_id}",
                hint="check VAULT_WEB_KEY and VAULT_DATABASE_URL",
            )
        self._check_state(row)
        if self.web_key.root.id not in (row.root_id, row.next_root_id):
            # A card sealed to another root than the vault's could never be opened.
            raise FileRefused(
                f"the web key is for root {self.web_key.root.id}, "
                f"this vault's root is {row.root_id}",
                hint=f"put the web key file of root {row.root_id} in place and "
                "restart the site",
            )
        return row

    def _check_state(self, row: Row[Any]) -> None:
        """Check the vault's own row."""
        self.signer.check(VAULT, row, "vault row")

    def is_signed(self, table: Table, row: Row[Any]) -> bool:
        """Say whether a row of ``table`` has the MACs that this role can check."""
        try:
            self.signer.check(table, row, table.name)
        except IntegrityFault:
            return False
        return True

    def record(
        self,
        db: Connection,
        event: str,
        by: Actor,
        *,
        outcome: str = "success",
        subject: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append to the audit trail in ``db``'s transaction, when it commits.  Lock
        order: the rows, then the trail's head, so that two writers can't deadlock.

        Raises ValueError when ``db`` only reads.  The commit raises IntegrityFault when
        the head is not as it was written."""
        if is_reading(db):
            raise ValueError(f"{event} can't be recorded by who only reads")
        entry = NewEntry(self.clock(), event, by, outcome, subject, dict(detail or {}))
        if not self._new_entries(db):
            before_commit(db, lambda: self._append(db))
        self._new_entries(db).append(entry)

    def _new_entries(self, db: Connection) -> list[NewEntry]:
        return self._unwritten.setdefault(transaction_of(db), [])

    def enter(self, db: Connection) -> None:
        """Append now what was recorded in ``db``, and lock the trail's head."""
        self._append(db)
        self.trail.lock(db)

    def _append(self, db: Connection) -> None:
        entries = self._new_entries(db)
        if entries:
            self.trail.append(db, entries)
            entries.clear()

    def shut(self, db: Connection) -> None:
        """Wait for every other writer of the vault and keep them out until ``db`` ends,
        for a change of every row."""
        lock_numbers(db)
        if takes_several(db.engine):
            db.execute(_LOCK_ALL)
        self.trail.lock(db)


def lock_numbers(db: Connection) -> None:
    """Lock the drawing of numbers for new rows until ``db`` ends, so that no other
    process seals meanwhile.  On SQLite a writer is alone anyway.  Lock order: this
    comes before every row of the vault."""
    if takes_several(db.engine):
        db.execute(select(func.pg_advisory_xact_lock(_NUMBERS_LOCK)))


def next_id(db: Connection, table: Table) -> int:
    """The number after the highest; the caller has called ``lock_numbers``."""
    highest: int = db.execute(
        select(func.coalesce(func.max(table.c.id), 0))
    ).scalar_one()
    return highest + 1
