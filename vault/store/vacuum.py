"""Removes what PostgreSQL keeps of deleted and rewritten rows from the tables' files.

A row that is deleted or rewritten stays in its table's file until VACUUM, and partly
after it.  So the small tables, whose older rows hold secrets (destroyed data keys,
older heads of the trail, an earlier root's wrappings), are rewritten as a whole, which
takes an exclusive lock for a moment.  The card table is not, because the site would
have to wait for it; what is left of a card can't be opened once its data key is
destroyed.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from .write_queue import LOCK_WAIT_SECONDS

STATEMENTS = (
    "VACUUM card",
    "VACUUM FULL data_key",
    "VACUUM FULL audit_head",
    "VACUUM FULL vault",
)
"""What a run executes, each by itself."""


def vacuum(engine: Engine) -> dict[str, str]:
    """Execute STATEMENTS on PostgreSQL; returns those that were not carried out, each
    with the reason.  It waits for a lock no longer than a page does.  On SQLite there
    is nothing to do.

    A role that doesn't own the tables is refused by the server, which says so in a
    notice and not in an error.
    """
    if engine.dialect.name != "postgresql":
        return {}
    refused: dict[str, str] = {}
    try:
        with engine.connect() as db:
            _prepare(db)
            for statement in STATEMENTS:
                reason = _execute(db, statement)
                if reason is not None:
                    refused[statement] = reason
            # Drop the connection: its settings must not reach another user of the pool.
            db.invalidate()
    except SQLAlchemyError as error:
        return {statement: _reason(error) for statement in STATEMENTS} | refused
    return refused


def _prepare(db: Connection) -> None:
    db.execution_options(isolation_level="AUTOCOMMIT")
    patience = str(round(LOCK_WAIT_SECONDS * 1000))
    db.execute(select(func.set_config("lock_timeout", patience, False)))
    db.execute(select(func.set_config("statement_timeout", "0", False)))


def _execute(db: Connection, statement: str) -> str | None:
    """The reason why the server did not do it; None when it did."""
    said: list[str] = []

    def hear(notice: Any) -> None:
        said.append(str(notice.message_primary))

    driver: Any = db.connection.driver_connection
    driver.add_notice_handler(hear)
    try:
        db.exec_driver_sql(statement)
    except SQLAlchemyError as error:
        return _reason(error)
    finally:
        driver.remove_notice_handler(hear)
    return said[0] if said else None


def _reason(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None) or type(error).__name__
    return str(cause).partition("\n")[0]
