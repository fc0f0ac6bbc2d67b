"""Creates a vault: its keys, its tables, its own row and its trail's first entry."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, exists, insert, inspect, select

from .. import crypto
from ..clock import Clock
from ..errors import FileRefused
from ..store import grants
from ..store.database import reading
from ..store.migrations import HISTORY
from ..store.schema import METADATA, VAULT
from ..trail import Actor
from ..web.web_key import WebKey
from .open_vault import OpenVault, genesis_info
from .root_key import RootKey


def new_keys() -> tuple[WebKey, RootKey]:
    """The two keys of a vault that does not exist yet."""
    seed = crypto.new_key()
    web_key = WebKey.new(crypto.RootSecret(seed))
    return web_key, RootKey(web_key.vault_id, seed)


def require_empty(engine: Engine, place: str) -> None:
    """Raise FileRefused when a table of a vault in the database has a row.  Empty
    tables, made by ``migrate`` or by an init that was killed, are not in the way."""
    with reading(engine) as db:
        there = set(inspect(db).get_table_names())
        ours = [table for table in METADATA.sorted_tables if table.name in there]
        filled = any(db.scalar(select(exists().select_from(table))) for table in ours)
    if filled:
        raise FileRefused(
            f"{place} already holds a vault",
            hint="nothing was changed; see it with: cardvault status",
        )


def create_vault(
    web_key: WebKey, root_key: RootKey, engine: Engine, clock: Clock, by: Actor
) -> None:
    """Make the tables and write the vault's own row and the trail's head."""
    HISTORY.upgrade(engine)
    vault = OpenVault(web_key, root_key, engine, clock)
    with engine.begin() as db:
        grants.apply(db, grants.GRANTS)
        _write(vault, db, by)


def _write(vault: OpenVault, db: Connection, by: Actor) -> None:
    genesis = crypto.new_key()
    info = genesis_info(vault.web_key.vault_id)
    row = {
        "id": 1,
        "vault_id": vault.web_key.vault_id,
        "generation": 1,
        "root_id": vault.web_key.root.id,
        "suite": crypto.SUITE,
        "sealed_genesis": vault.ops.seal_genesis(genesis, info),
        "next_root_id": None,
        "next_genesis": None,
        "created_at": vault.clock(),
    }
    db.execute(insert(VAULT), vault.signer.signed(VAULT, row))
    vault.trail.begin(db, genesis)
    vault.record(db, "vault.founded", by, subject=vault.web_key.vault_id)
