"""What of a database's tables old code leans on, and what a newer schema took from it.

Code of the version before goes on while ``migrate`` runs and until it is reloaded.  It
names its own columns in what it reads and writes, and none that came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, Inspector, inspect, text

TRIGGERS = {
    "sqlite": "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT c.relname, t.tgname FROM pg_trigger t"
    " JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal",
}


@dataclass(frozen=True)
class Column:
    """A column: its type as the database says it, whether it takes NULL, and whether
    the database fills it in by itself."""

    kind: str
    nullable: bool
    filled_in: bool


@dataclass(frozen=True)
class Table:
    """A table; ``rules`` are what a row must keep (unique, foreign, checked), ``keys``
    what ON CONFLICT may name."""

    columns: dict[str, Column]
    rules: frozenset[str]
    keys: frozenset[tuple[str, ...]]


def shape(engine: Engine) -> dict[str, Table]:
    """Every table of a database."""
    with engine.connect() as db:
        inspector = inspect(db)
        triggers: dict[str, list[str]] = {}
        for row in db.execute(text(TRIGGERS[engine.dialect.name])):
            triggers.setdefault(row[0], []).append(row[1])
        return {
            name: _table(inspector, name, triggers.get(name, []))
            for name in inspector.get_table_names()
        }


def _table(inspector: Inspector, name: str, triggers: list[str]) -> Table:
    columns = {
        column["name"]: Column(
            str(column["type"]),
            bool(column["nullable"]),
            column["default"] is not None or column.get("identity") is not None,
        )
        for column in inspector.get_columns(name)
    }
    unique: list[Sequence[str | None]] = [
        inspector.get_pk_constraint(name)["constrained_columns"],
        *(one["column_names"] for one in inspector.get_unique_constraints(name)),
        *(one["column_names"] for one in inspector.get_indexes(name) if one["unique"]),
    ]
    keys = frozenset(tuple(str(column) for column in key) for key in unique)
    rules = [
        *(f"unique {', '.join(key)}" for key in keys),
        *(
            f"{', '.join(one['constrained_columns'])} in {one['referred_table']}"
            for one in inspector.get_foreign_keys(name)
        ),
        *(f"check {one['sqltext']}" for one in inspector.get_check_constraints(name)),
        *(f"trigger {trigger}" for trigger in triggers),
    ]
    return Table(columns, frozenset(rules), keys)


def taken(before: dict[str, Table], after: dict[str, Table]) -> list[str]:
    """What code that was written for ``before`` meets in ``after`` and can't know of:
    a line for each."""
    found = [f"{name} is gone" for name in before if name not in after]
    for name in before.keys() & after.keys():
        found += [f"{name}{line}" for line in _taken(before[name], after[name])]
    return sorted(found)


def _taken(old: Table, new: Table) -> list[str]:
    found = []
    for name, column in old.columns.items():
        now = new.columns.get(name)
        if now is None:
            found.append(f".{name} is gone")
        elif now.kind != column.kind:
            found.append(f".{name} was {column.kind} and is {now.kind}")
        elif column.nullable and not now.nullable:
            found.append(f".{name} takes no NULL any more")
        elif column.filled_in and not now.filled_in:
            found.append(f".{name} is filled in no more")
    found += [
        f".{name} is new and wants a value"
        for name in new.columns.keys() - old.columns.keys()
        if not (new.columns[name].nullable or new.columns[name].filled_in)
    ]
    found += [f" keeps a new rule: {rule}" for rule in new.rules - old.rules]
    found += [f" has no key {', '.join(key)} any more" for key in old.keys - new.keys]
    return found
