"""The site's history as a whole, and revision 0001 with data in it."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from app.auth.models import Operator
from app.db import Base
from app.migrations import HISTORY
from tests.places.vault import NOON
from vault.store.database import connect

OPERATOR = """
    INSERT INTO operator (id, login_id, name, password_hash, password_epoch,
        must_change, first_password_until, failures, locked_until, locks,
        first_lock_at, disabled_at, used_at, created_at)
    VALUES (1, 'taro', '太郎', 'hash', 1, true, :now, 0, 0, 0, 0, 0, :now, :now)
"""


def test_the_models_equal_the_head(tmp_path: Path) -> None:
    """Nothing was added to a model without a revision, or the other way round."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine)
    with engine.connect() as db:
        context = MigrationContext.configure(
            db,
            opts={
                "version_table": HISTORY.version_table,
                "compare_type": True,
                # The search's index is in no model.
                "include_name": lambda name, kind, _: (
                    not (kind == "table" and str(name).startswith("customer_words"))
                ),
            },
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_first_tables_hold_an_operator_and_go_again(tmp_path: Path) -> None:
    """Up, an operator with an address; down, nothing is left."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine, "0001")
    with engine.begin() as db:
        db.execute(text(OPERATOR), {"now": NOON})
        db.execute(text("INSERT INTO operator_address VALUES (1, 1, 't@example.jp')"))
        kept = db.execute(text("SELECT address FROM operator_address")).scalar_one()
        assert kept == "t@example.jp"
    HISTORY.downgrade(engine, "base")
    assert inspect(engine).get_table_names() == [HISTORY.version_table]
    HISTORY.upgrade(engine)
    with Session(engine) as site:
        assert site.scalars(select(Operator)).all() == []
    engine.dispose()
