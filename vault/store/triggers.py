"""Refuses triggers in the vault's database, which has none of its own.

A trigger runs inside the transactions of the ops commands, so it could replace a data
key that was just minted with another one.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from ..errors import NotMadeByRoot

_QUERIES = {
    # A view could replace a table and have triggers for what is written to it.
    "sqlite": """
        SELECT type || ' ' || name FROM sqlite_master
        WHERE type IN ('trigger', 'view') ORDER BY name
    """,
    # A rule changes statements as a trigger does, and a view is made with one.
    "postgresql": """
        SELECT 'trigger ' || tgname AS name FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
        UNION ALL
        SELECT 'rule ' || rulename FROM pg_rules WHERE schemaname = current_schema()
        UNION ALL
        SELECT 'view ' || viewname FROM pg_views WHERE schemaname = current_schema()
        ORDER BY name
    """,
}


def triggers(db: Connection) -> list[str]:
    """The kind and name of every trigger, view and rule in the database."""
    return list(db.execute(text(_QUERIES[db.dialect.name])).scalars())


def require_no_triggers(db: Connection) -> None:
    """Raise NotMadeByRoot naming the first trigger, view or rule in the database."""
    for name in triggers(db):
        raise NotMadeByRoot(name)
