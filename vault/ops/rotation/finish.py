"""Finishes a rotation: destroys the older data keys and retires its own."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from ...store.schema import CARD, DATA_KEY
from ...trail import Actor
from ..open_vault import OpenVault


def older_cards(db: Connection, generation: int) -> int:
    """How many cards belong to a generation before ``generation``."""
    older = select(DATA_KEY.c.id).where(DATA_KEY.c.generation < generation)
    query = select(func.count()).select_from(CARD).where(CARD.c.data_key_id.in_(older))
    count: int = db.execute(query).scalar_one()
    return count


def destroy_keys(vault: OpenVault, db: Connection, generation: int, by: Actor) -> int:
    """Destroy every data key of a generation before ``generation``, except those whose
    row was edited; returns how many."""
    query = select(DATA_KEY).where(
        DATA_KEY.c.generation < generation, DATA_KEY.c.state != "destroyed"
    )
    query = query.order_by(DATA_KEY.c.id).with_for_update()
    whole = [key for key in db.execute(query).all() if vault.is_whole(key)]
    for key in whole:
        vault.destroy_key(db, key, by)
    return len(whole)


def retire_key(vault: OpenVault, db: Connection, key_id: int, by: Actor) -> None:
    """Retire the rotation's own key, which seals nothing after the rotation."""
    query = select(DATA_KEY).where(DATA_KEY.c.id == key_id)
    key = db.execute(query.with_for_update(key_share=True)).one()
    if key.state == "live" and vault.is_whole(key):
        vault.retire_key(db, key, by)
