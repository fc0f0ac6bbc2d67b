"""The vault's history: the models equal its head, its revision with data, and what
becomes of a database that an earlier or a newer version made."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app.migrations import HISTORY as SITE_HISTORY
from tests.places.vault import FakeClock
from vault import WebKey, errors
from vault.ops import RootKey
from vault.ops.create import create_vault
from vault.store.database import connect
from vault.store.migrations import HISTORY, History
from vault.store.schema import METADATA

from .revisions import OPS, tables_come_and_go


def test_the_models_equal_the_head(tmp_path: Path) -> None:
    """Nothing was added to a table without a revision, or the other way round."""
    engine = connect(f"sqlite:///{tmp_path / 'vault.db'}")
    HISTORY.upgrade(engine)
    with engine.connect() as db:
        options = {"version_table": HISTORY.version_table, "compare_type": True}
        context = MigrationContext.configure(db, opts=options)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


@pytest.mark.parametrize("history", [HISTORY, SITE_HISTORY])
def test_revisions_are_named_as_their_files(history: History) -> None:
    """What is read off the files without Alembic is what Alembic goes by."""
    scripts = ScriptDirectory(str(history.place))
    known = [script.revision for script in scripts.walk_revisions()]
    assert history.known() == known[::-1]
    assert history.head() == scripts.get_current_head()


def test_a_version_table_somebody_wrote_into_is_no_known_revision(
    tmp_path: Path, keys: tuple[WebKey, RootKey]
) -> None:
    """Two revisions at once are none of ours; both are named."""
    engine = connect(f"sqlite:///{tmp_path / 'vault.db'}")
    create_vault(*keys, engine, FakeClock(), OPS)
    with engine.begin() as db:
        db.execute(text(f"INSERT INTO {HISTORY.version_table} VALUES ('0004')"))
    with pytest.raises(errors.SchemaError, match="0004 and 0005"):
        HISTORY.require_head(engine, "vault")
    engine.dispose()


def test_the_tables_come_and_go(tmp_path: Path, keys: tuple[WebKey, RootKey]) -> None:
    """On SQLite."""
    engine = connect(f"sqlite:///{tmp_path / 'vault.db'}")
    tables_come_and_go(engine, keys)
    engine.dispose()


@pytest.mark.parametrize(
    ("revision", "said"), [("0004", "an earlier version"), ("9999", "a newer version")]
)
def test_another_versions_database_is_refused_and_left_alone(
    tmp_path: Path, keys: tuple[WebKey, RootKey], revision: str, said: str
) -> None:
    """Nothing is converted: it is said in one line, with the next step."""
    engine = connect(f"sqlite:///{tmp_path / 'vault.db'}")
    create_vault(*keys, engine, FakeClock(), OPS)
    with engine.begin() as db:
        db.execute(
            text(f"UPDATE {HISTORY.version_table} SET version_num = {revision!r}")
        )
    for act in (HISTORY.upgrade, lambda e: HISTORY.require_head(e, "vault")):
        with pytest.raises(errors.SchemaError, match=said) as refused:
            act(engine)
        assert "\n" not in str(refused.value)
        assert refused.value.hint
    assert HISTORY.current(engine) == revision
    engine.dispose()
