"""Replaces the root key: rewraps every data key to a new root; no card is touched.

Between ``prepare`` and ``finalize`` every key is wrapped to both roots, so that after a
crash, or after ``abandon``, everything still opens with the old one.  ``finalize``
replaces every MAC of the old root with one of the new root's, in the same transaction
that makes it the vault's root.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, select, update

from .. import crypto
from ..crypto import OPS_SUITE, RootSecret
from ..errors import FileRefused, IntegrityFault, NotMadeByRoot
from ..kill_points import kill_point
from ..store.row_macs import SIGNED_TABLES, OpsSigner
from ..store.schema import AUDIT_ENTRY, DATA_KEY, VAULT
from ..trail import Actor
from ..web.data_keys import wrap_info
from .open_vault import OpenVault, genesis_info, unwrap
from .verify import name_of
from .web_key_rotation import pages

ABANDONED = "root.abandoned"


def prepare(vault: OpenVault, new: RootSecret, by: Actor) -> int:
    """Wrap every data key to ``new`` too, in one transaction; returns how many were.
    Calling it again wraps the keys that were minted since.

    Raises FileRefused when ``new`` is the vault's root already or was given up before,
    or when another root is being prepared.
    """
    root_id = new.public.id
    with vault.engine.begin() as db:
        vault.shut(db)
        state = vault.state(db)
        _require_new(db, state, root_id)
        count = _wrap_keys(vault, db, new)
        if state.next_root_id is None:
            info = genesis_info(vault.web_key.vault_id)
            next_genesis = new.ops.seal_genesis(vault.genesis(db), info)
            _write_state(
                vault, db, state, next_root_id=root_id, next_genesis=next_genesis
            )
            vault.record(db, "root.prepared", by, subject=f"root {root_id}")
        kill_point("root-prepare")
    kill_point("root-prepared")
    return count


def _require_new(db: Connection, state: Row[Any], root_id: str) -> None:
    if root_id == state.root_id:
        raise FileRefused(
            f"root {root_id} is this vault's root already, not a new one",
            hint="move the .new files away and run: cardvault root rotate",
        )
    if state.next_root_id not in (None, root_id):
        raise FileRefused(
            f"another new root, {state.next_root_id}, is being prepared",
            hint="finish it with: cardvault root rotate --finalize, or give it up "
            "with: cardvault root rotate --abandon",
        )
    _require_kept(db, root_id)


def _require_kept(db: Connection, root_id: str) -> None:
    """Raise FileRefused when the trail says that the root was given up.  The vault's
    row from before that has a right MAC, so somebody could put it back."""
    given_up = select(AUDIT_ENTRY.c.seq).where(
        AUDIT_ENTRY.c.subject == f"root {root_id}", AUDIT_ENTRY.c.event == ABANDONED
    )
    if db.execute(given_up.limit(1)).first() is not None:
        raise FileRefused(
            f"root {root_id} was given up and is never taken again",
            hint="clear its files away with: cardvault root rotate --abandon",
        )


def finalize(vault: OpenVault, new: RootSecret, by: Actor) -> bool:
    """Make ``new`` the only root; the old one opens nothing afterwards.

    ``vault`` holds the old root.  Keys that web processes minted meanwhile are wrapped
    to the new one, and every new wrapping is opened and compared before the old one is
    deleted.  False when it was done before.  Raises NotMadeByRoot naming a key whose
    new wrapping holds something else; nothing is written then.
    """
    root_id = new.public.id
    with vault.engine.begin() as db:
        vault.shut(db)
        state = vault.state(db)
        if state.next_root_id != root_id:
            raise FileRefused(
                f"root {root_id} is not prepared", hint="cardvault root rotate"
            )
        _require_kept(db, root_id)
        _wrap_keys(vault, db, new)
        genesis = vault.genesis(db)
        _require_genesis(vault, state, new, genesis)
        for row in _keys(db):
            _take_new_wrapping(vault, db, row, new)
        _write_state(
            vault,
            db,
            state,
            root_id=root_id,
            sealed_genesis=state.next_genesis,
            next_root_id=None,
            next_genesis=None,
        )
        vault.record(db, "root.finalized", by, subject=f"root {root_id}")
        _mark_anew(vault, db, new)
        kill_point("root-finalize")
    kill_point("root-finalized")
    return True


def abandon(vault: OpenVault, by: Actor, left: str | None = None) -> str | None:
    """Give a new root up: delete its wrappings and keep the vault's root.  Returns its
    name, or None when there is none.  ``left`` is the name in the files of a run that
    was killed before it prepared anything.

    The trail records it, so that its files are never used again.  Raises FileRefused
    when a web process has already sealed under it, because those cards would be lost.
    """
    with vault.engine.begin() as db:
        vault.shut(db)
        state = vault.state(db)
        root_id: str | None = state.next_root_id or left
        if root_id is None:
            return None
        for row in _keys(db):
            vault.signer.check(DATA_KEY, row, name_of(DATA_KEY, row))
            if row.root_id != state.root_id:
                raise FileRefused(
                    f"the site seals under root {root_id} already",
                    hint="finish it with: cardvault root rotate --finalize",
                )
            if row.next_root_id is not None:
                vault.set_key(db, row, next_root_id=None, next_wrapped=None)
        if state.next_root_id is not None:
            _write_state(vault, db, state, next_root_id=None, next_genesis=None)
        vault.record(db, ABANDONED, by, subject=f"root {root_id}")
        kill_point("root-abandon")
    kill_point("root-abandoned")
    return root_id


def _wrap_keys(vault: OpenVault, db: Connection, new: RootSecret) -> int:
    count, root_id, vault_id = 0, new.public.id, vault.web_key.vault_id
    for row in _keys(db):
        vault.signer.check(DATA_KEY, row, f"data key {row.id}")
        if root_id in (row.root_id, row.next_root_id):
            continue
        secret = vault.unwrap_key(row)
        info = wrap_info(vault_id, row.id, row.generation)
        by_ops = row.suite == OPS_SUITE
        wrapped = (
            new.ops.wrap(secret, info) if by_ops else new.public.wrap(secret, info)
        )
        if not crypto.same(unwrap(new, vault_id, row, wrapped), secret):
            raise IntegrityFault(f"data key {row.id}", "did not open when rewrapped")
        vault.set_key(db, row, next_root_id=root_id, next_wrapped=wrapped)
        count += 1
    return count


def _take_new_wrapping(
    vault: OpenVault, db: Connection, row: Row[Any], new: RootSecret
) -> None:
    """Replace a key's old wrapping with the new one, if both hold the same key."""
    if row.root_id == new.public.id:
        # A web process that has the new web key minted it; the old root never had it.
        unwrap(new, vault.web_key.vault_id, row, row.wrapped)
        return
    held = unwrap(new, vault.web_key.vault_id, row, row.next_wrapped)
    if not crypto.same(held, vault.unwrap_key(row)):
        raise NotMadeByRoot(f"data key {row.id}")
    vault.set_key(
        db,
        row,
        root_id=new.public.id,
        wrapped=row.next_wrapped,
        next_root_id=None,
        next_wrapped=None,
    )


def _require_genesis(
    vault: OpenVault, state: Row[Any], new: RootSecret, genesis: bytes
) -> None:
    info = genesis_info(vault.web_key.vault_id)
    if not crypto.same(new.ops.open_genesis(state.next_genesis or b"", info), genesis):
        raise NotMadeByRoot("audit genesis")


def _mark_anew(vault: OpenVault, db: Connection, new: RootSecret) -> None:
    """Sign every row that has a MAC of the old root with the new root."""
    web_key = vault.web_key
    signer = OpsSigner(web_key.vault_id, web_key.sealing_key, new.ops)
    for table in SIGNED_TABLES:
        if "ops_mac" in table.columns:
            _mark_table(vault, db, signer, table)


def _mark_table(
    vault: OpenVault, db: Connection, signer: OpsSigner, table: Table
) -> None:
    key = next(iter(table.primary_key.columns))
    write = update(table).where(key == bindparam("row_id"))
    write = write.values(ops_mac=bindparam("mark"))
    for rows in pages(db, table):
        marks = []
        for row in rows:
            vault.signer.check(table, row, name_of(table, row))
            if row.ops_mac is not None:
                mark = signer.ops_mac(table, row._mapping)
                marks.append({"row_id": row[0], "mark": mark})
        if marks:
            db.execute(write, marks)


def _keys(db: Connection) -> list[Row[Any]]:
    query = select(DATA_KEY).where(DATA_KEY.c.state != "destroyed")
    return list(db.execute(query.order_by(DATA_KEY.c.id)).all())


def _write_state(
    vault: OpenVault, db: Connection, state: Row[Any], **changes: object
) -> None:
    after = {**state._mapping, **changes}
    db.execute(update(VAULT), vault.signer.signed(VAULT, after))
