"""Says whether the site can do its work, for whoever sends visitors to it.

A database that answers may take no writing: its disk is full or read-only, or somebody
holds its lock.  So a small write is tried too, at most every ten seconds, in a thread of
its own, because nobody who asks may have to wait for a disk that hangs.  It changes
nothing, waits in the queue of SQLite's writers like any other, and on PostgreSQL locks
nothing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from vault import Vault

from .db import answers
from .happenings import Kind, happened

EVERY_SECONDS = 10
# How long a question waits for a write that is under way.
WAIT_SECONDS = 1.0

# SQLite writes the page with this number whether or not it changes.
_SQLITE_WRITE = "PRAGMA user_version = 0"
# A message that nobody reads is written and flushed like a row.  The write waits for no
# standby, or every answer would wait with it.
_POSTGRESQL_WRITE = (
    "SELECT set_config('synchronous_commit', 'local', true),"
    " pg_logical_emit_message(true, 'health', '')"
)


class Health:
    """The health of one process's site; ``clock`` gives seconds that never go back."""

    def __init__(
        self, site: Engine, vault: Vault, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._site = site
        self._vault = vault
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun = 0.0
        self._fault = ""
        self._locked: frozenset[str] = frozenset()
        self._was_well = True

    def fault(self) -> str:
        """What keeps the site from its work, or "" when nothing does.  The log has a
        line whenever that turns."""
        found = self._reading_fault() or self._writing_fault()
        with self._lock:
            turned, self._was_well = self._was_well is bool(found), not found
        if turned and found:
            happened(Kind.UNAVAILABLE, cause=found)
        elif turned:
            happened(Kind.AVAILABLE)
        return found

    def _reading_fault(self) -> str:
        if not self._vault.is_well():
            return "the vault's database does not answer, or is not of this web key"
        if not answers(self._site):
            return "the site's database does not answer"
        return ""

    def _writing_fault(self) -> str:
        thread = self._begin_to_write()
        thread.join(WAIT_SECONDS)
        with self._lock:
            if thread.is_alive() and self.clock() - self._begun >= EVERY_SECONDS:
                return "a small write has not ended for ten seconds"
            return self._fault

    def _begin_to_write(self) -> threading.Thread:
        """The thread of the newest write, begun now if the last is old enough."""
        with self._lock:
            now, newest = self.clock(), self._thread
            if newest is not None and (
                newest.is_alive() or now - self._begun < EVERY_SECONDS
            ):
                return newest
            self._thread, self._begun = (
                threading.Thread(target=self._write, daemon=True),
                now,
            )
            self._thread.start()
            return self._thread

    def _write(self) -> None:
        """Write to both databases.  One that is locked may be in use, so it counts as a
        fault only when it was locked ten seconds ago too."""
        faults: list[str] = []
        locked: set[str] = set()
        for name, engine in (("site", self._site), ("vault", self._vault.engine)):
            try:
                with engine.begin() as db:
                    write_nothing(db)
            except SQLAlchemyError as error:
                cause = getattr(error, "orig", None) or error
                if _is_locked(cause):
                    locked.add(name)
                if name in self._locked or name not in locked:
                    line = str(cause).strip().partition("\n")[0]
                    faults.append(f"the {name}'s database takes no writing: {line}")
        with self._lock:
            self._fault, self._locked = "; ".join(faults), frozenset(locked)


def write_nothing(db: Connection) -> None:
    """Make ``db``'s transaction write something that changes nothing; raises
    SQLAlchemyError, here or when it commits, where nothing can be written."""
    sqlite = db.dialect.name == "sqlite"
    db.exec_driver_sql(_SQLITE_WRITE if sqlite else _POSTGRESQL_WRITE)


def _is_locked(cause: object) -> bool:
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
