"""Revisions with data in them, on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.app.cards.revisions import (
    digests_go_and_files_are_set_aside,
    marks_come_and_go,
    names_are_folded_and_indexed,
)
from tests.vault.store.revisions import tables_come_and_go
from vault import WebKey
from vault.ops import RootKey
from vault.store.database import connect

pytestmark = pytest.mark.postgres


def test_the_tables_come_and_go(
    databases: tuple[str, str], keys: tuple[WebKey, RootKey]
) -> None:
    """As on SQLite."""
    engine = connect(databases[1])
    tables_come_and_go(engine, keys)
    engine.dispose()


def test_digests_of_files_go_and_files_are_set_aside(
    databases: tuple[str, str],
) -> None:
    """As on SQLite."""
    engine = connect(databases[0])
    digests_go_and_files_are_set_aside(engine)
    engine.dispose()


def test_names_are_folded_and_indexed(databases: tuple[str, str]) -> None:
    """As on SQLite."""
    engine = connect(databases[0])
    names_are_folded_and_indexed(engine)
    engine.dispose()


def test_marks_of_stopped_cards_come_and_go(databases: tuple[str, str]) -> None:
    """As on SQLite."""
    engine = connect(databases[0])
    marks_come_and_go(engine)
    engine.dispose()
