"""Makes engines and transactions for SQLite, or for PostgreSQL if the URL says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from .postgresql import connect_postgresql
from .sqlite import connect_sqlite

# SQLite takes 32,766 in one statement.
MOST_VALUES = 30_000


def connect(
    url: str,
    *,
    read_only: bool = False,
    alone: bool = False,
    pool: int | None = None,
) -> Engine:
    """An engine for a SQLAlchemy ``url``, set up as this project needs it.  With
    ``read_only`` no byte of a SQLite file changes; ``alone`` says that no other process
    uses the file, so that no queue is made beside it.

    SQLite: WAL, synchronous FULL, foreign keys, secure_delete, and every transaction
    begins IMMEDIATE unless its connection says ``writes=False``.  It waits in the
    writers' queue and raises OperationalError ("locked") only when no writer got its
    turn for ``lock_wait`` seconds (the connection's option, or two).
    PostgreSQL: two seconds to connect to each host, unless the URL says otherwise,
    and limits on every transaction; ``pool`` is how many
    connections a process that answers pages may have.  Of the URL's settings those of
    libpq count, the driver's own don't.
    Parameters never appear in errors or logs.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return connect_sqlite(parsed, read_only=read_only, alone=alone)
    return connect_postgresql(parsed, pool)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads the database as of one moment and holds no lock."""
    with engine.connect().execution_options(writes=False) as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        yield connection


@lru_cache(maxsize=8)
def readers(engine: Engine) -> Engine:
    """``engine`` for transactions that only read and hold no lock; on PostgreSQL each
    statement sees what was committed before it."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(writes=False, postgresql_readonly=True)
    return engine.execution_options(writes=False)


def is_reading(db: Connection) -> bool:
    """Say whether ``db``'s transactions only read."""
    return not db.get_execution_options().get("writes", True)


def takes_several(engine: Engine) -> bool:
    """Say whether several transactions can write at once; on SQLite they can't."""
    return engine.dialect.name != "sqlite"


def add_rows(
    db: Connection, table: str, columns: Iterable[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert ``rows``, one or more, each with the values of ``columns`` in their order.

    It is a statement of the driver's own: SQLAlchemy takes as long to fill its own as
    SQLite to write the rows.  On SQLite it names the values of all rows, up to
    MOST_VALUES, because a row alone takes half as long again."""
    names = tuple(columns)
    if takes_several(db.engine):
        db.exec_driver_sql(_insertion(table, names, "%s", 1), rows)
        return
    most = MOST_VALUES // len(names)
    for start in range(0, len(rows), most):
        some = rows[start : start + most]
        values = tuple(chain.from_iterable(some))
        db.exec_driver_sql(_insertion(table, names, "?", len(some)), values)


@lru_cache(maxsize=32)
def _insertion(table: str, names: tuple[str, ...], mark: str, rows: int) -> str:
    # The names are this code's own, and every value is a parameter.
    one = f"({', '.join(mark for _ in names)})"
    values = ", ".join([one] * rows)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}"  # noqa: S608
