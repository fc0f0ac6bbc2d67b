"""Engines and transactions: SQLite by default, PostgreSQL by URL alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

# How long a writer waits for another's lock: longer than any batch of a
# rotation, short enough that a page answers within two seconds.
LOCK_WAIT_SECONDS = 1.5
LOCK_LOOK_SECONDS = 0.0005

# A PostgreSQL host that is gone, and not just its server, answers nothing: without
# a limit a page would wait for it for minutes, and so would the next host's turn.
CONNECT_SECONDS = "2"

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)


def connect(url: str, *, read_only: bool = False) -> Engine:
    """An engine for a SQLAlchemy ``url``, set up as this project needs it; with
    ``read_only`` a SQLite file is left as it is, byte for byte.

    SQLite: WAL, synchronous FULL, foreign keys, secure_delete, and every
    transaction begins IMMEDIATE unless its connection says ``writes=False``, and
    waits for the lock as long as ``lock_wait`` (seconds) says there.
    PostgreSQL: two seconds to connect to each host, unless the URL says otherwise.
    Parameters never appear in errors or logs.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        query = {"connect_timeout": CONNECT_SECONDS, **parsed.query}
        parsed = parsed.set(query=query)
        return create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
    if read_only:
        place = Path(parsed.database or "").absolute().as_uri()
        parsed = parsed.set(database=place, query={"mode": "ro", "uri": "true"})
    engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": 0})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, _record: Any) -> None:
    # pysqlite's own transaction control commits DDL silently: switch it off
    # and say BEGIN ourselves.
    dbapi_connection.isolation_level = None
    # A text that is no UTF-8 was not written by us: its row's MAC says so.  Refused
    # here it would end every reading of the table it stands in.
    dbapi_connection.text_factory = _text
    for pragma in _PRAGMAS:
        dbapi_connection.execute(pragma)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes", True):
        connection.exec_driver_sql("BEGIN")
        return
    # SQLite's own waiting sleeps ever longer, up to 100 ms, and misses the short
    # gaps a rotation leaves between its batches; looking every half millisecond
    # does not.  Nothing else waits for a lock: readers never do under WAL.
    give_up = time.monotonic() + options.get("lock_wait", LOCK_WAIT_SECONDS)
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if not _is_locked(error) or time.monotonic() > give_up:
                raise
            time.sleep(LOCK_LOOK_SECONDS)


def _is_locked(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads one moment's state and holds no lock."""
    with engine.connect().execution_options(writes=False) as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def takes_several(engine: Engine) -> bool:
    """Say whether several can write at once; SQLite lets one after the other."""
    return engine.dialect.name != "sqlite"


def checkpoint(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, so that deleted bytes leave the files.

    secure_delete zeroes the page; the log still holds older copies of it (PCI
    DSS 3.2.1).  False when a reader or a full disk is in the way; the next call
    does it then.
    """
    if engine.dialect.name != "sqlite":
        return True
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        answer = cursor.fetchone()
        return answer is not None and answer[0] == 0
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite ``url``; None for another engine."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)
