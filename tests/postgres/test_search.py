"""The search on PostgreSQL finds what comparing every customer finds, and begins with
the index of words."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from app.cards.search import finding, listing
from app.cards.search.query import Query
from app.db import looking
from app.migrations import HISTORY
from tests.app.cards.searching import COUNT, all_agree, customers, insert_all
from tests.places.vault import NOON
from vault.store.database import connect

pytestmark = pytest.mark.postgres

# So many that PostgreSQL finds an index worth its while.
MANY = 10_000


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
    monkeypatch.setattr(finding, "SKIPPED", walked)
    monkeypatch.setattr(finding, "FIRST_STEP", 25)
    engine = connect(databases[0])
    HISTORY.upgrade(engine)
    rows = customers(COUNT)
    insert_all(engine, rows)
    all_agree(engine, rows)
    engine.dispose()


OFTEN = (
    Query(q="鈴木"),
    Query(q="鈴木", sort="name"),
    Query(q="鈴木", page=3),
    Query(q="株式会社"),
    Query(q="123"),
    Query(q="鈴木 12"),
    Query(q="鈴木", expiry="expired"),
    Query(q="鈴木", expiry="expired", sort="name"),
)


def test_no_search_makes_the_words_of_customers_anew(
    databases: tuple[str, str],
) -> None:
    """Each statement that asks for words asks their index, however many have them.
    PostgreSQL would rather read all customers in turn until it has enough, and make
    each one's words to compare them."""
    engine = connect(databases[0])
    HISTORY.upgrade(engine)
    insert_all(engine, customers(MANY))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM ANALYZE"))
    for query in OFTEN:
        asked = [one for one in sent(engine, query) if "customer_words" in one[0]]
        assert asked, query
        for statement, given in asked:
            said = [line for line in plan(engine, statement, given) if "@@" in line]
            assert {line.partition(":")[0] for line in said} == {
                "Recheck Cond",
                "Index Cond",
            }, query
    engine.dispose()


def plan(engine: Engine, statement: str, given: Any) -> list[str]:
    """How PostgreSQL would answer a statement."""
    with engine.connect() as db:
        lines = db.exec_driver_sql(f"EXPLAIN {statement}", given).scalars()
        return [line.strip() for line in lines]


def sent(engine: Engine, query: Query) -> list[tuple[str, Any]]:
    """What the list sends for its page and the counts beside it."""
    kept: list[tuple[str, Any]] = []

    def keep(_db: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
        kept.append((statement, given))

    event.listen(engine, "before_cursor_execute", keep)
    with looking(engine) as site:
        found = listing.find(site, query, NOON)
        listing.counts(site, found.query, NOON)
    event.remove(engine, "before_cursor_execute", keep)
    return kept
