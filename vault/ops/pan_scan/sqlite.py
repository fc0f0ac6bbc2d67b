"""Looks for card numbers in the values of a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from .numbers import numbers

SQLITE = b"SQLite format 3\x00"


def numbers_in_file(path: Path) -> Iterator[tuple[str, str]]:
    """The place and the mask of every number in the values of every table.  A damaged
    file ends it early; its bytes have to be scanned as well."""
    place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(place, uri=True)) as db:
            yield from _tables(db)
    except sqlite3.Error:
        return


def numbers_in_bytes(data: bytes) -> Iterator[tuple[str, str]]:
    """The same of a database that is held in memory."""
    try:
        with closing(sqlite3.connect(":memory:")) as db:
            db.deserialize(data)
            yield from _tables(db)
    except sqlite3.Error:
        return


def _tables(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    db.text_factory = bytes
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    try:
        for (table,) in tables.fetchall():
            yield from _table(db, table.decode())
    except UnicodeDecodeError:
        return


def _table(db: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    quoted = table.replace('"', '""')
    rows = db.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
    names = [column[0] for column in rows.description]
    for number, row in enumerate(rows, 1):
        values = [one if isinstance(one, bytes) else str(one).encode() for one in row]
        told = set()
        for name, value in zip(names, values, strict=True):
            for _, masked in numbers(value):
                told.add(masked)
                yield f"{table}.{name}, row {number}", masked
        # A number may stand in several columns, a group in each.
        for _, masked in numbers(b"\t".join(values)):
            if masked not in told:
                yield f"{table}, row {number}", masked
