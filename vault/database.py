"""Engines and transactions: SQLite by default, PostgreSQL by URL alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

# How long a writer waits for another's lock: longer than any batch of a
# rotation, short enough that a page answers within two seconds.
LOCK_WAIT_SECONDS = 1.5

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)


def connect(url: str) -> Engine:
    """An engine for a SQLAlchemy ``url``, set up as this project needs it.

    SQLite: WAL, synchronous FULL, foreign keys, secure_delete, and every
    transaction begins IMMEDIATE unless its connection says ``writes=False``.
    Parameters never appear in errors or logs.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
    engine = create_engine(
        parsed, hide_parameters=True, connect_args={"timeout": LOCK_WAIT_SECONDS}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, _record: Any) -> None:
    # pysqlite's own transaction control commits DDL silently: switch it off
    # and say BEGIN ourselves.
    dbapi_connection.isolation_level = None
    for pragma in _PRAGMAS:
        dbapi_connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads one moment's state and holds no lock."""
    with engine.connect().execution_options(writes=False) as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def checkpoint(engine: Engine) -> None:
    """Empty SQLite's write-ahead log, so that deleted bytes leave the files.

    secure_delete zeroes the page; the log still holds older copies of it (PCI
    DSS 3.2.1).  When a reader is in the way the next call does it.
    """
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite ``url``; None for another engine."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)
