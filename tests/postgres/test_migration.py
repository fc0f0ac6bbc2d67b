"""The vault's revision with data, on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.vault.test_migration import tables_come_and_go
from vault import RootKey, WebKey
from vault.database import connect

pytestmark = pytest.mark.postgres


def test_the_tables_come_and_go(
    databases: tuple[str, str], keys: tuple[WebKey, RootKey]
) -> None:
    """As on SQLite."""
    engine = connect(databases[1])
    tables_come_and_go(engine, keys)
    engine.dispose()
