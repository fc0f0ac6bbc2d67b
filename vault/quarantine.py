"""Cards that can't be opened: found, noted, and forgotten once they are mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from .errors import IntegrityFault
from .open_vault import OpenVault
from .schema import CARD, QUARANTINE

Bad = Mapping[tuple[int, str], str]
"""What is wrong with a card, by its (card id, token)."""


def put_in(vault: OpenVault, db: Connection, rotation_id: int, bad: Bad) -> None:
    """Note each card of ``bad`` as found by this rotation."""
    for (card_id, token), problem in bad.items():
        db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == card_id))
        row = {
            "card_id": card_id,
            "token": token,
            "rotation_id": rotation_id,
            "problem": problem,
            "found_at": vault.clock(),
        }
        db.execute(insert(QUARANTINE), vault.signer.signed(QUARANTINE, row))


def unreadable(vault: OpenVault, db: Connection, rows: Sequence[Row[Any]]) -> Bad:
    """The rows that don't open, with the reason."""
    bad = {}
    for row in rows:
        try:
            vault.digits(db, row)
        except IntegrityFault as fault:
            bad[row.id, str(row.token)] = fault.problem
    return bad


def forget_mended(vault: OpenVault, db: Connection) -> None:
    """Take out what is gone or opens again."""
    quarantined = select(QUARANTINE.c.card_id)
    rows = db.execute(select(CARD).where(CARD.c.id.in_(quarantined))).all()
    still = {card_id for card_id, _ in unreadable(vault, db, rows)}
    for card_id in db.execute(quarantined).scalars().all():
        if card_id not in still:
            db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == card_id))
