"""The vault's history: the models equal its head, and revision 0004 with data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import IntegrityError

from tests.conftest import NOON
from vault.database import connect
from vault.migrations import HISTORY
from vault.schema import DATA_KEY, METADATA, ROTATION, ROTATION_RANGE


def test_the_models_equal_the_head(tmp_path: Path) -> None:
    """Nothing was added to a table without a revision, or the other way round."""
    engine = connect(f"sqlite:///{tmp_path / 'vault.db'}")
    HISTORY.upgrade(engine)
    with engine.connect() as db:
        options = {"version_table": HISTORY.version_table, "compare_type": True}
        context = MigrationContext.configure(db, opts=options)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_ranges_come_beside_a_rotation_and_go_again(tmp_path: Path) -> None:
    """On SQLite."""
    engine = connect(f"sqlite:///{tmp_path / 'vault.db'}")
    ranges_come_and_go(engine)
    engine.dispose()


def ranges_come_and_go(engine: Engine) -> None:
    """Up from 0003 with a rotation under way, a range of it; down, the rotation is
    as it was; up once more, there is no range."""
    HISTORY.upgrade(engine, "0003")
    with engine.begin() as db:
        db.execute(DATA_KEY.insert(), a_key())
        db.execute(ROTATION.insert(), a_rotation())
    HISTORY.upgrade(engine, "0004")
    with engine.begin() as db:
        db.execute(ROTATION_RANGE.insert(), a_range(rotation_id=1))
        assert db.execute(select(ROTATION_RANGE.c.last_card)).scalar_one() == 2**40
    with pytest.raises(IntegrityError), engine.begin() as db:
        db.execute(ROTATION_RANGE.insert(), a_range(rotation_id=2))

    HISTORY.downgrade(engine, "0003")
    assert "rotation_range" not in inspect(engine).get_table_names()
    with engine.connect() as db:
        assert db.execute(select(ROTATION)).one()._mapping == a_rotation()

    HISTORY.upgrade(engine, "0004")
    with engine.connect() as db:
        assert db.execute(select(ROTATION_RANGE)).all() == []


def a_key() -> dict[str, Any]:
    """A data key's row; nobody checks its MAC here."""
    none = ("next_root_id", "next_wrapped", "retired_at", "destroyed_at")
    return {
        **dict.fromkeys(none),
        "id": 1,
        "opens": 1,
        "generation": 2,
        "state": "live",
        "suite": "s",
        "root_id": "r",
        "wrapped": b"w",
        "seals": 0,
        "created_at": NOON,
        "mac": b"m",
    }


def a_rotation() -> dict[str, Any]:
    """An unfinished rotation's row."""
    zero = ("reencrypted", "newer", "quarantined", "read_back", "keys_destroyed")
    return {
        **dict.fromkeys(zero, 0),
        **dict.fromkeys(("finished_at", "census_after", "audit_seq")),
        "id": 1,
        "state": "running",
        "actor": "ops",
        "reason": "",
        "generation": 2,
        "data_key_id": 1,
        "started_at": NOON,
        "card_cursor": 7,
        "census_before": "{}",
        "lease": "",
        "lease_at": NOON,
        "mac": b"m",
    }


def a_range(rotation_id: int) -> dict[str, Any]:
    """A range that is half done."""
    return {
        "id": 1 + rotation_id,
        "rotation_id": rotation_id,
        "last_card": 2**40,
        "card_cursor": 2**39,
        "reencrypted": 5,
        "newer": 0,
        "lease": "",
        "lease_at": NOON,
        "mac": b"m",
    }
