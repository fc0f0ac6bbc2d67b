"""A file that another has alone for a moment is waited for when it is opened."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest

from vault.store import sqlite
from vault.store.database import connect

# Long enough for an opening that waits for nothing to be refused.
MOMENT_SECONDS = 0.1


def test_a_file_that_is_being_closed_is_opened_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the second of two workers that start together; nothing else waits so."""
    monkeypatch.setattr(sqlite, "LOCK_WAIT_SECONDS", 60.0)
    engine = connect(f"sqlite:///{tmp_path}/a.db")
    with engine.begin() as db:
        db.exec_driver_sql("CREATE TABLE kept (a)")
    engine.dispose()
    with ThreadPoolExecutor(1) as threads:
        with closing(sqlite3.connect(tmp_path / "a.db")) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("SELECT * FROM kept")
            opened = threads.submit(engine.connect)
            wait([opened], MOMENT_SECONDS)
        with opened.result() as db:
            left = db.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    engine.dispose()
    assert left == 0
