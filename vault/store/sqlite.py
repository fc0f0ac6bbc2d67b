"""Opens SQLite files, and lets their writers wait in the queue beside them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from .last_acts import do_last_acts
from .write_queue import LOCK_WAIT_SECONDS, Place, WriteQueue

# How often to look whether a writer outside the queue (a sqlite3 shell) has ended.
LOCK_LOOK_SECONDS = 0.0005

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)


def connect_sqlite(url: URL, *, read_only: bool, alone: bool) -> Engine:
    """An engine as ``database.connect`` describes it."""
    if read_only:
        place = Path(url.database or "").absolute().as_uri()
        url = url.set(database=place, query={"mode": "ro", "uri": "true"})
    # Whoever closes the file as the last, or opens it after a crash, has it alone for a
    # moment.  Without a wait, of two workers that start together one would be refused.
    arguments = {"timeout": LOCK_WAIT_SECONDS, "factory": _Connection}
    engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    event.listen(engine, "connect", _prepare)
    if not (read_only or alone):
        event.listen(engine, "connect", _find_queue)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", do_last_acts)
    return engine


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


def _prepare(dbapi_connection: sqlite3.Connection, _record: Any) -> None:
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


def _begin(connection: Connection) -> None:
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
