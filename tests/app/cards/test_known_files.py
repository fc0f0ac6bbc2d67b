"""Revision 0005 of the site's database, with files imported before it."""

from __future__ import annotations

from pathlib import Path

from vault.store.database import connect

from .revisions import digests_go_and_files_are_set_aside


def test_files_imported_before_are_known_by_their_customers(tmp_path: Path) -> None:
    """On SQLite; on PostgreSQL tests/postgres does the same."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    digests_go_and_files_are_set_aside(engine)
    engine.dispose()
