"""Replaces the sealing key: checks every row's MACs and makes the web role's anew.

The root's MACs don't depend on the sealing key and stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, select, update

from ..errors import IntegrityFault
from ..kill_points import kill_point
from ..store.row_macs import SIGNED_TABLES, RowSigner
from ..store.schema import VAULT
from ..trail import Actor, Trail, read_head
from ..web.vault import Vault
from ..web.web_key import WebKey
from .open_vault import OpenVault
from .verify import name_of

PAGE = 1000


def sign_all_rows(vault: OpenVault, new: WebKey, by: Actor) -> int:
    """Sign every row under ``new`` in one transaction; returns how many.

    If it is killed before its commit, nothing has changed.  Raises IntegrityFault
    naming the first row that is not as it was written, because signing an edited row
    would hide the edit.
    """
    with vault.engine.begin() as db:
        vault.shut(db)
        vault.state(db)
        new.require_made_by(vault.ops)
        signer = RowSigner(new.vault_id, new.sealing_key)
        count = sum(_sign_table(vault, db, signer, table) for table in SIGNED_TABLES)
        _seal_head(vault, db, new)
        Vault(new, vault.engine, vault.clock).record(
            db, "web_key.rotated", by, detail={"rows": count}
        )
        kill_point("web-key-ready")
    kill_point("web-key-committed")
    return count


def _sign_table(
    vault: OpenVault, db: Connection, signer: RowSigner, table: Table
) -> int:
    key = next(iter(table.primary_key.columns))
    write = update(table).where(key == bindparam("row_id")).values(mac=bindparam("new"))
    count = 0
    for rows in pages(db, table):
        count += len(rows)
        changes = []
        for row in rows:
            vault.signer.check(table, row, name_of(table, row))
            new = signer.sign(table, row._mapping)
            changes.append({"row_id": row[0], "new": new})
        db.execute(write, changes)
    return count


def pages(db: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """A table's rows in the order of their first column, a page at a time."""
    key = next(iter(table.primary_key.columns))
    query = select(table).order_by(key).limit(PAGE)
    rows = db.execute(query).all()
    while rows:
        yield rows
        rows = db.execute(query.where(key > rows[-1][0])).all()


def _seal_head(vault: OpenVault, db: Connection, new: WebKey) -> None:
    head = read_head(db)
    key = vault.trail.open_chain_key(head.seq, head.sealed_chain_key)
    Trail(new.vault_id, new.sealing_key).write_head(db, head.seq, key)


def is_signed_by(vault: OpenVault, web_key: WebKey) -> bool:
    """Say whether the vault's own row is signed under ``web_key`` already."""
    signer = RowSigner(web_key.vault_id, web_key.sealing_key)
    with vault.engine.connect() as db:
        row = db.execute(select(VAULT)).one()
    try:
        signer.check(VAULT, row, "vault row")
    except IntegrityFault:
        return False
    return True
