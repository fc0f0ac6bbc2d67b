"""Makes engines and transactions for SQLite, or for PostgreSQL if the URL says so."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    Transaction,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from .write_queue import Place, WriteQueue

# A writer waits as long as the queue moves, and gives up when no writer has got its
# turn for this long.
LOCK_WAIT_SECONDS = 2.0
# PostgreSQL's code for it (its manual, appendix A).
_LOCK_NOT_AVAILABLE = "55P03"
# How often to look whether a writer outside the queue (a sqlite3 shell) has ended.
LOCK_LOOK_SECONDS = 0.0005

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

# SQLite takes 32,766 in one statement.
MOST_VALUES = 30_000

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)


Act = Callable[[], object]

# What each transaction has to do before it commits.
_last_acts: WeakKeyDictionary[Transaction, list[Act]] = WeakKeyDictionary()


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
    and the limits of ``_limits`` on every transaction; ``pool`` is how many
    connections a process that answers pages may have.  Of the URL's settings those of
    libpq count, the driver's own don't.
    Parameters never appear in errors or logs.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _connect_postgresql(parsed, pool)
    if read_only:
        place = Path(parsed.database or "").absolute().as_uri()
        parsed = parsed.set(database=place, query={"mode": "ro", "uri": "true"})
    # Whoever closes the file as the last, or opens it after a crash, has it alone for a
    # moment.  Without a wait, of two workers that start together one would be refused.
    arguments = {"timeout": LOCK_WAIT_SECONDS, "factory": _Connection}
    engine = create_engine(parsed, hide_parameters=True, connect_args=arguments)
    event.listen(engine, "connect", _prepare_sqlite)
    if not (read_only or alone):
        event.listen(engine, "connect", _find_queue)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "commit", _do_last_acts)
    return engine


def _connect_postgresql(url: URL, pool: int | None) -> Engine:
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
    event.listen(engine, "commit", _commit_postgresql)
    return engine


def _commit_postgresql(connection: Connection) -> None:
    # A commit that waits long for a standby would hit the limit of a statement, and
    # PostgreSQL would then report it as done without the standby.  Removed before the
    # last acts, which lock the trail for everybody, so as to hold it shorter.
    unlimited(connection)
    _do_last_acts(connection)


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
        db.exec_driver_sql(f"SELECT set_config('lock_timeout', '{limit}', true)")


def waited_too_long(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended a statement because it waited for a lock too long."""
    return getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def before_commit(db: Connection, act: Act) -> None:
    """Call ``act`` as the last thing before ``db``'s transaction commits, after those
    that were given earlier.  It is not called before a rollback; if it fails, the
    transaction is not committed."""
    _last_acts.setdefault(transaction_of(db), []).append(act)


def transaction_of(db: Connection) -> Transaction:
    """``db``'s transaction, which is begun if there is none yet."""
    return db.get_transaction() or db.begin()


def _do_last_acts(connection: Connection) -> None:
    transaction = connection.get_transaction()
    while transaction is not None and transaction in _last_acts:
        for act in _last_acts.pop(transaction):
            act()


class _Connection(sqlite3.Connection):
    """A connection that leaves the writers' queue when its transaction has ended.

    SQLAlchemy's own events come before that end, so with them the next writer would be
    called while this one still waits for the disk.
    """

    queue: WriteQueue | None = None
    place: Place | None = None

    def commit(self) -> None:
        """Commit, and let the next writer in."""
        try:
            super().commit()
        finally:
            self._leave()

    def rollback(self) -> None:
        """Roll back, and let the next writer in."""
        try:
            super().rollback()
        finally:
            self._leave()

    def close(self) -> None:
        """Close, and let the next writer in."""
        try:
            super().close()
        finally:
            self.give_up_place()

    def _leave(self) -> None:
        if self.place is not None and not self.in_transaction:
            self.give_up_place()

    def give_up_place(self) -> None:
        """Leave the queue, if this connection is in it."""
        place, self.place = self.place, None
        if place is not None:
            place.leave()


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, _record: Any) -> None:
    # pysqlite's own transaction control commits DDL without being asked; switch it off
    # and execute BEGIN ourselves.
    dbapi_connection.isolation_level = None
    # A text that is not UTF-8 was not written by us, and its row's MAC shows that.  If
    # it were refused here, no row of its table could be read.
    dbapi_connection.text_factory = _text
    for pragma in _PRAGMAS:
        dbapi_connection.execute(pragma)
    # The file is open now; from here on the writers' queue does the waiting.
    dbapi_connection.execute("PRAGMA busy_timeout = 0")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _find_queue(dbapi_connection: _Connection, _record: Any) -> None:
    # Ask SQLite which file it opened, whatever the URL calls it; its own files are
    # beside that.  A database in memory has no file name and no other writer.
    name = dbapi_connection.execute("PRAGMA database_list").fetchone()[2]
    if name:
        dbapi_connection.queue = WriteQueue(Path(name))


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("writes", True):
        connection.exec_driver_sql("BEGIN")
        return

    def begin() -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    patience = options.get("lock_wait", LOCK_WAIT_SECONDS)
    raw = cast(_Connection, connection.connection.dbapi_connection)
    place = raw.queue.stand() if raw.queue else None
    try:
        if place is None:
            give_up = time.monotonic() + patience
            _keep_asking(begin, lambda: give_up)
        else:
            _begin_in_turn(place, begin, patience)
    except BaseException:
        if place is not None:
            place.leave()
        raise
    # Set it only now, because SQLAlchemy rolls back after each BEGIN that was refused.
    raw.place = place


def _begin_in_turn(place: Place, begin: Callable[[], None], patience: float) -> None:
    while not place.await_turn(patience):
        if place.pass_by(begin, patience):
            return
    _keep_asking(begin, lambda: place.give_up_at(patience))
    place.begun()


def _keep_asking(begin: Callable[[], None], give_up_at: Callable[[], float]) -> None:
    """Begin, asking again while a writer outside the queue holds the lock.  SQLite's
    own waiting sleeps longer and longer, up to 100 ms, and misses a short gap."""
    while True:
        try:
            begin()
            return
        except OperationalError as error:
            if not _is_locked(error) or time.monotonic() > give_up_at():
                raise
            time.sleep(LOCK_LOOK_SECONDS)


def _is_locked(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


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


def plain_rows(
    db: Connection, query: Executable, values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """All rows of a query, to be read by position.  On SQLite they are its driver's
    own, which take two thirds of the time."""
    raw = db.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        # Decoding in C takes less than a tenth of ``_text``, and refuses what is not
        # UTF-8.  Then, as after any other error, the query is executed as usual.
        raw.text_factory = str
        try:
            return db.execute(query, values).cursor.fetchall()
        except (sqlite3.Error, DBAPIError):
            pass
        finally:
            raw.text_factory = _text
    return db.execute(query, values).all()


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


def checkpoint(engine: Engine) -> bool:
    """Empty SQLite's write-ahead log, so that deleted bytes leave the files.

    secure_delete zeroes the page, but the log still holds older copies of it (PCI DSS
    3.2.1).  False when a reader or a full disk is in the way; then the next call does
    it.
    """
    if engine.dialect.name != "sqlite":
        return True
    connection = engine.raw_connection()
    raw = cast(_Connection, connection.dbapi_connection)
    try:
        # A checkpoint needs the write lock and asks once; with many writers it would
        # never get it without a place in the queue.
        raw.place = raw.queue.stand() if raw.queue else None
        if raw.place is not None and raw.place.await_turn(LOCK_WAIT_SECONDS):
            raw.place.begun()
        answer = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return answer is not None and answer[0] == 0
    except sqlite3.OperationalError:
        return False
    finally:
        raw.give_up_place()
        connection.close()


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite ``url``; None for another engine."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)
