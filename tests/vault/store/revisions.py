"""What the vault's revisions do to a database of either kind."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import IntegrityError

from tests.places.vault import EXPIRY, VISA, FakeClock
from vault import Actor, Pan, Vault, WebKey
from vault.ops import RootKey
from vault.ops.create import create_vault
from vault.store.migrations import HISTORY
from vault.store.schema import CARD, DATA_KEY, METADATA

OPS = Actor("ops", "command")


def tables_come_and_go(engine: Engine, keys: tuple[WebKey, RootKey]) -> None:
    """Up, a vault with a card; a key that a card needs can't be destroyed; down,
    nothing is left; up once more, every table is empty."""
    create_vault(*keys, engine, FakeClock(), OPS)
    vault = Vault(keys[0], engine, FakeClock())
    with engine.begin() as db:
        vault.tokenize(db, Pan.parse(VISA), EXPIRY, OPS)
    with pytest.raises(IntegrityError), engine.begin() as db:
        db.execute(DATA_KEY.update().values(state="destroyed", opens=None))

    HISTORY.downgrade(engine, "base")
    left = set(inspect(engine).get_table_names()) & set(METADATA.tables)
    assert left == set()

    HISTORY.upgrade(engine)
    with engine.connect() as db:
        assert db.execute(select(CARD)).all() == []
