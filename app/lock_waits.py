"""Tells the log of a writer that waited long for its turn on SQLite.

On PostgreSQL a statement waits, and nobody outside the server sees for what; there
a request that took long is told of.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, event

from .happenings import Kind, happened

LONG_SECONDS = 1.0
_BEGUN = "cardsite begin"


def watch(engine: Engine) -> None:
    """Time the beginning of every transaction of ``engine``, which is where a writer
    stands in the queue."""
    if engine.dialect.name == "sqlite":
        # Before the function that waits, and after it.
        event.listen(engine, "begin", _note, insert=True)
        event.listen(engine, "begin", _tell)


def _note(connection: Connection) -> None:
    connection.info[_BEGUN] = time.monotonic()


def _tell(connection: Connection) -> None:
    waited = time.monotonic() - connection.info.pop(_BEGUN)
    if waited >= LONG_SECONDS:
        happened(Kind.LOCK_WAITED, ms=round(1000 * waited))
