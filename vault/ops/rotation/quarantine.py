"""The quarantine: records cards that cannot be opened, and removes the record when a
later run opens them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from ...errors import IntegrityFault
from ...store.schema import CARD, QUARANTINE, REV, TOKEN
from ..expected_rows import ExpectedRows
from ..open_vault import OpenVault

Bad = Mapping[tuple[int, str], str]
"""What is wrong with a card, by its (card id, token)."""


def put_in(vault: OpenVault, db: Connection, rotation_id: int, bad: Bad) -> None:
    """Record each card of ``bad`` as found by this rotation."""
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


def unreadable(
    vault: OpenVault, db: Connection, rows: Sequence[Row[Any]], expected: ExpectedRows
) -> Bad:
    """The rows that don't open, or that ``expected`` knows otherwise, with the reason."""
    bad, opened, known = {}, vault.opener(db), expected.check_card
    for row in rows:
        try:
            opened(row)
            known(row[TOKEN], row[REV])
        except IntegrityFault as fault:
            bad[row.id, str(row.token)] = fault.problem
    return bad


def still_bad(vault: OpenVault, db: Connection, expected: ExpectedRows) -> set[int]:
    """The numbers of the quarantined cards that still exist and don't open, or differ
    from the trail in ``expected``."""
    quarantined = select(CARD).where(CARD.c.id.in_(select(QUARANTINE.c.card_id)))
    rows = db.execute(quarantined).all()
    return {card_id for card_id, _ in unreadable(vault, db, rows, expected)}


def forget_mended(db: Connection, still: Collection[int]) -> None:
    """Remove the records of all cards but those whose numbers are in ``still``."""
    for card_id in db.execute(select(QUARANTINE.c.card_id)).scalars().all():
        if card_id not in still:
            db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == card_id))
