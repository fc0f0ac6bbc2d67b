"""The vault's revision 0004 with data, on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.vault.test_migration import ranges_come_and_go
from vault.database import connect

pytestmark = pytest.mark.postgres


def test_ranges_come_beside_a_rotation_and_go_again(databases: tuple[str, str]) -> None:
    """As on SQLite."""
    engine = connect(databases[1])
    ranges_come_and_go(engine)
    engine.dispose()
