"""A new root: every data key is rewrapped to it; no card is touched.

Between ``prepare`` and ``finalize`` every key is wrapped to both roots, so a
crash at any instant, or a change of mind, leaves everything openable.
"""

from __future__ import annotations

from sqlalchemy import Connection, Row, select, update

from .audit import Actor
from .errors import KeyFileError
from .faults import instant
from .open_vault import OpenVault, genesis_info
from .schema import DATA_KEY, VAULT
from .sealing import RootPublic
from .vault import wrap_info


def prepare(vault: OpenVault, root: RootPublic, by: Actor) -> int:
    """Wrap every data key to ``root`` too, in one transaction; returns how many
    were. Doing it again wraps what was minted since."""
    with vault.engine.begin() as db:
        vault.trail.lock(db)
        state = vault.state(db)
        if state.next_root_id not in (None, root.id):
            raise KeyFileError(
                f"another new root, {state.next_root_id}, is being prepared",
                hint="finish it with: cardvault root rotate --finalize",
            )
        count = _wrap_keys(vault, db, root)
        if state.next_root_id is None:
            info = genesis_info(vault.web_key.vault_id)
            next_genesis = root.wrap(vault.genesis(db), info)
            _write_state(
                vault, db, state, next_root_id=root.id, next_genesis=next_genesis
            )
            vault.record(db, "root.prepared", by, subject=f"root {root.id}")
        instant("root-prepare")
    instant("root-prepared")
    return count


def finalize(vault: OpenVault, root: RootPublic, by: Actor) -> bool:
    """Make ``root`` the only one; the old root opens nothing afterwards.

    ``vault`` must still hold the old root: it wraps what web processes minted
    under it meanwhile. False when it was done before.
    """
    with vault.engine.begin() as db:
        vault.trail.lock(db)
        state = vault.state(db)
        if state.root_id == root.id:
            return False
        _wrap_keys(vault, db, root)
        for row in _keys(db):
            if row.next_root_id == root.id:
                vault.set_key(
                    db,
                    row,
                    root_id=root.id,
                    wrapped=row.next_wrapped,
                    next_root_id=None,
                    next_wrapped=None,
                )
        _write_state(
            vault,
            db,
            state,
            root_id=root.id,
            sealed_genesis=state.next_genesis,
            next_root_id=None,
            next_genesis=None,
        )
        vault.record(db, "root.finalized", by, subject=f"root {root.id}")
        instant("root-finalize")
    instant("root-finalized")
    return True


def _wrap_keys(vault: OpenVault, db: Connection, root: RootPublic) -> int:
    count = 0
    for row in _keys(db):
        vault.signer.check(DATA_KEY, row, f"data key {row.id}")
        if root.id in (row.root_id, row.next_root_id):
            continue
        secret = vault.unwrap_key(row)
        info = wrap_info(vault.web_key.vault_id, row.id)
        wrapped = root.wrap(secret, info)
        vault.set_key(db, row, next_root_id=root.id, next_wrapped=wrapped)
        count += 1
    return count


def _keys(db: Connection) -> list[Row[tuple[object, ...]]]:
    query = select(DATA_KEY).where(DATA_KEY.c.state != "destroyed")
    return list(db.execute(query.order_by(DATA_KEY.c.id)).all())


def _write_state(
    vault: OpenVault, db: Connection, state: Row[tuple[object, ...]], **changes: object
) -> None:
    after = {k: v for k, v in {**state._mapping, **changes}.items() if k != "mac"}
    db.execute(update(VAULT), vault.signer.signed(VAULT, after))
