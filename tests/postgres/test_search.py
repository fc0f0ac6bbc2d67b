"""The search on PostgreSQL finds what comparing every customer finds."""

from __future__ import annotations

import pytest

from app.cards.search import finding
from app.migrations import HISTORY
from tests.app.cards.searching import COUNT, all_agree, customers, insert_all
from vault.store.database import connect

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    ("few", "walked"),
    [(5_000, 20_000), (20, 100_000), (20, 60)],
    ids=["all are few", "walks", "walks and gives up"],
)
def test_each_way_finds_what_comparing_finds(
    databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch, few: int, walked: int
) -> None:
    """As on SQLite."""
    monkeypatch.setattr(finding, "FEW", few)
    monkeypatch.setattr(finding, "WALKED", walked)
    monkeypatch.setattr(finding, "FIRST_STEP", 25)
    engine = connect(databases[0])
    HISTORY.upgrade(engine)
    rows = customers(COUNT)
    insert_all(engine, rows)
    all_agree(engine, rows)
    engine.dispose()
