"""The site's history as a whole, and revision 0001 with data in it."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from app.auth.models import Login, Operator
from app.auth.service import add_operator
from app.db import Base
from app.migrations import HISTORY
from tests.conftest import NOON
from vault import connect


def test_the_models_equal_the_head(tmp_path: Path) -> None:
    """Nothing was added to a model without a revision, or the other way round."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine)
    with engine.connect() as db:
        context = MigrationContext.configure(
            db,
            opts={"version_table": HISTORY.version_table, "compare_type": True},
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_first_tables_hold_an_operator_and_go_again(tmp_path: Path) -> None:
    """Up, an operator with an address and a login; down, nothing is left."""
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine, "0001")
    with Session(engine) as site:
        taro = add_operator(
            site, "taro", "太郎", ["t@example.jp"], "hash", must_change=True, now=NOON
        )
        login = Login(
            id="x",
            operator=taro,
            password_epoch=1,
            step="in",
            address="t@example.jp",
            sends=1,
            origin="192.0.2.1",
            created_at=NOON,
            seen_at=NOON,
        )
        site.add(login)
        site.commit()
        kept = site.scalars(select(Operator)).one()
        assert [address.address for address in kept.addresses] == ["t@example.jp"]
        assert kept.first_password_until == NOON + 24 * 3600
    HISTORY.downgrade(engine, "base")
    assert inspect(engine).get_table_names() == [HISTORY.version_table]
    HISTORY.upgrade(engine)
    with Session(engine) as site:
        assert site.scalars(select(Operator)).all() == []
    engine.dispose()
