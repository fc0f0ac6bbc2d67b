"""Triggers in the vault's database: it has none, so whoever finds one was robbed.

A trigger runs with every statement of an ops command, in its transaction: it could
put another key in the place of the one that was just minted.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from ..errors import NotMadeByRoot

_QUERIES = {
    # A view could stand in a table's place, with triggers for writing to it.
    "sqlite": """
        SELECT type || ' ' || name FROM sqlite_master
        WHERE type IN ('trigger', 'view') ORDER BY name
    """,
    # A rule rewrites statements as a trigger does; a view is made of one.
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
    """The triggers, views and rules there are, each by its kind and name."""
    return list(db.execute(text(_QUERIES[db.dialect.name])).scalars())


def require_no_triggers(db: Connection) -> None:
    """Raise NotMadeByRoot naming the first trigger, view or rule there is."""
    for name in triggers(db):
        raise NotMadeByRoot(name)
