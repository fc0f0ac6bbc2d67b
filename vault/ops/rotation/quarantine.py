"""The quarantine: records cards that cannot be opened, removes the record when a later
run opens them, and gives a card up when somebody says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from ...card.token import Token
from ...errors import IntegrityFault, UnknownToken
from ...store.schema import CARD, QUARANTINE, REV, TOKEN
from ...trail import Actor
from ...web.vault import Vault
from ..expected_rows import ExpectedRows
from ..open_vault import OpenVault
from ..verify import name_of

Bad = Mapping[tuple[int, str], str]
"""What is wrong with a card, by its (card id, token)."""


def put_in(vault: OpenVault, db: Connection, rotation_id: int, bad: Bad) -> None:
    """Record each card of ``bad`` as found by this rotation."""
    for (card_id, damaged), problem in bad.items():
        # Bytes that were no text are lone surrogates, which can't be written back.
        token = damaged.encode(errors="backslashreplace").decode()
        db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == card_id))
        row = {
            "card_id": card_id,
            "token": token,
            "rotation_id": rotation_id,
            "problem": problem,
            "found_at": vault.clock(),
        }
        db.execute(insert(QUARANTINE), vault.signer.signed(QUARANTINE, row))


def quarantined(db: Connection) -> Sequence[Row[Any]]:
    """The quarantine's rows, by card number.  Their MACs are not checked."""
    return db.execute(select(QUARANTINE).order_by(QUARANTINE.c.card_id)).all()


def give_up(vault: Vault, db: Connection, token: str, by: Actor, reason: str) -> None:
    """Delete a quarantined card for good, with an entry in the trail.

    Raises UnknownToken when no quarantined card has the token, IntegrityFault or
    NotMadeByRoot when the quarantine's row is not as it was written.
    """
    found = select(QUARANTINE).where(QUARANTINE.c.token == token)
    row = db.execute(found).first()
    if row is None:
        raise UnknownToken(
            f"no quarantined card has the token {token}",
            hint="see them with: cardvault quarantine list",
        )
    vault.signer.check(QUARANTINE, row, name_of(QUARANTINE, row))
    # Match both, because the row's number and its token may name different cards.
    db.execute(delete(CARD).where(CARD.c.id == row.card_id, CARD.c.token == token))
    db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == row.card_id))
    detail = {"reason": reason}
    vault.record(db, "card.given_up", by, subject=Token(token), detail=detail)


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
