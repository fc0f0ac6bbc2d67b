"""Inserting many rows at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from vault.store import database
from vault.store.database import add_rows, connect


def test_rows_go_in_with_as_few_statements_as_the_engine_takes(tmp_path: Path) -> None:
    """No row is lost or changed where one statement ends and the next begins."""
    engine, statements = connect(f"sqlite:///{tmp_path}/a.db"), []
    rows: list[tuple[int, str, bytes | None]] = [
        (n, f"'{n}\n", bytes([n % 256])) for n in range(database.MOST_VALUES // 3)
    ]
    rows += [(-1, "last", None), (-2, "", b"")]
    event.listen(
        engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    with engine.begin() as db:
        db.execute(text("CREATE TABLE a (n INTEGER PRIMARY KEY, t TEXT, b BLOB)"))
        add_rows(db, "a", ("n", "t", "b"), rows)
    with engine.connect() as db:
        assert db.execute(text("SELECT n, t, b FROM a ORDER BY n")).all() == sorted(
            rows, key=lambda row: row[0]
        )
    assert sum("INSERT" in statement for statement in statements) == 2
    engine.dispose()


def test_of_a_statement_that_fails_nothing_stays_and_nothing_is_told(
    tmp_path: Path,
) -> None:
    """A row that is refused takes those beside it with it; the error holds no value."""
    engine = connect(f"sqlite:///{tmp_path}/a.db")
    with engine.begin() as db:
        db.execute(text("CREATE TABLE a (n INTEGER PRIMARY KEY, t TEXT)"))
        with pytest.raises(IntegrityError) as error:
            add_rows(db, "a", ("n", "t"), [(1, "secret"), (1, "secret")])
        assert "secret" not in str(error.value)
        assert db.scalar(text("SELECT count(*) FROM a")) == 0
    engine.dispose()
