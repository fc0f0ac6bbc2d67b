"""Connects to PostgreSQL, with limits on how long anything may take there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError

from .last_acts import do_last_acts
from .write_queue import LOCK_WAIT_SECONDS

# PostgreSQL's code for it (its manual, appendix A).
_LOCK_NOT_AVAILABLE = "55P03"

# Seconds to connect.  A host that is down drops packets, and without a limit a page
# would wait minutes before the next host is tried.
CONNECT_SECONDS = "2"
# What a URL may not set: arguments of the driver that are no settings of a connection.
# As text from a URL ``autocommit=0`` would be true, and ``prepare_threshold=0``, which is
# often advised for pgbouncer, an error; nothing is prepared anyway.
_OF_THE_DRIVER = (
    "autocommit",
    "context",
    "cursor_factory",
    "prepare_threshold",
    "row_factory",
)
# How many seconds PostgreSQL lets a transaction of ours do nothing, and a statement of
# a page or of a command run.  When it ends one in a page, the answer is 503.
IDLE_SECONDS = 60
PAGE_STATEMENT_SECONDS = 10
COMMAND_STATEMENT_SECONDS = 15 * 60
# How many seconds a request waits for a connection of its process's pool.
POOL_SECONDS = 2


def connect_postgresql(url: URL, pool: int | None) -> Engine:
    """An engine as ``database.connect`` describes it."""
    url = url.difference_update_query(_OF_THE_DRIVER)
    url = url.set(query={"connect_timeout": CONNECT_SECONDS, **url.query})
    size: dict[str, Any] = {}
    if pool is not None:
        size = {"pool_size": pool, "max_overflow": 0, "pool_timeout": POOL_SECONDS}
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        # pgbouncer gives each transaction another session, which doesn't have
        # statements that were prepared in the one before.
        connect_args={"prepare_threshold": None},
        **size,
    )
    limits = _limits(url, pages=pool is not None)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(limits)

    if limits:
        event.listen(engine, "begin", begin)
    event.listen(engine, "commit", _commit)
    return engine


def _commit(connection: Connection) -> None:
    # A commit that waits long for a standby would hit the limit of a statement, and
    # PostgreSQL would then report it as done without the standby.  Removed before the
    # last acts, which lock the trail for everybody, so as to hold it shorter.
    unlimited(connection)
    do_last_acts(connection)


def _limits(url: URL, *, pages: bool) -> str:
    """The statement a transaction begins with: how long it waits for a lock, may do
    nothing, and how long a statement lasts.

    They are set for the transaction, because through pgbouncer a connection can't set
    others.  Limits that the URL's ``options`` set stay; "" when they set all.
    """
    statement = PAGE_STATEMENT_SECONDS if pages else COMMAND_STATEMENT_SECONDS
    settings = {
        "lock_timeout": int(LOCK_WAIT_SECONDS * 1000),
        "idle_in_transaction_session_timeout": IDLE_SECONDS * 1000,
        "statement_timeout": statement * 1000,
    }
    said = str(url.query.get("options", ""))
    sets = [
        f"set_config('{name}', '{value}ms', true)"
        for name, value in settings.items()
        if name not in said
    ]
    return f"SELECT {', '.join(sets)}" if sets else ""


def unlimited(db: Connection) -> None:
    """Remove the limit on statements in ``db``'s transaction, for example to index many
    rows.  The limit on waiting for a lock stays."""
    if db.dialect.name == "postgresql":
        db.exec_driver_sql("SELECT set_config('statement_timeout', '0', true)")


def wait_at_most(db: Connection, seconds: float) -> None:
    """Wait for no lock longer than ``seconds`` in ``db``'s transaction, on PostgreSQL;
    on SQLite writers queue before they hold anything."""
    if db.dialect.name == "postgresql":
        limit = f"{int(seconds * 1000)}ms"
        db.execute(select(func.set_config("lock_timeout", limit, True)))


def waited_too_long(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended a statement because it waited for a lock too long."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE
