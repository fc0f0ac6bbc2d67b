"""Changes many cards at once, in a few statements, with an entry in the trail for each.

It does to each card what ``Vault.replace``, ``set_expiry`` and ``delete`` do to one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from ..card.expiry import Expiry
from ..card.pan import Pan
from ..card.token import Token
from ..errors import IntegrityFault
from ..store.schema import AUDIT_ENTRY, CARD
from ..trail import Actor
from .vault import Vault
from .vault_database import lock_numbers

_CHANGED = ("expiry", "rev", "updated_at", "mac")
_SET_EXPIRY = (
    update(CARD)
    .where(CARD.c.id == bindparam("card_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)
_ENDS = ("card.deleted", "customer.deleting", "customer.deleted")

Event = tuple[str, Mapping[str, Any]]
"""An event's name and its detail."""


@dataclass(frozen=True)
class Change:
    """What becomes of the card that ``token`` names: the ``new`` one replaces it, or
    else an ``expiry`` is written to it, or else it stays as it is.

    ``further`` are events about the customer; the trail has them right after the card's
    own entry, under the token that the card has afterwards.
    """

    token: Token
    new: tuple[Pan, Expiry] | None = None
    expiry: Expiry | None = None
    further: Sequence[Event] = ()


class HeldCards:
    """The cards that ``tokens`` name, locked until the transaction ``db`` ends; with
    ``lock=False`` they are for looking at alone.

    Lock order: the drawing of numbers, then the cards, the lower number first.
    """

    def __init__(
        self,
        vault: Vault,
        db: Connection,
        tokens: Collection[str],
        *,
        lock: bool = True,
    ) -> None:
        self._vault = vault
        self._db = db
        if lock:
            lock_numbers(db)
        self._rows = {row.token: row for row in _rows(db, tokens, lock=lock)}
        gone = [token for token in tokens if token not in self._rows]
        self._missing = vault.missing(db, gone) if gone else {}

    def problem(self, token: str) -> str:
        """Why the vault can't describe a card: "damaged", "purged", "given up",
        "missing", or "" when it can."""
        row = self._rows.get(token)
        if row is None:
            return self._missing[token]
        return "" if self._vault.is_signed(CARD, row) else "damaged"

    def change(self, changes: Sequence[Change], by: Actor) -> list[Token]:
        """Change the cards and record it; returns the token that each has afterwards.
        A card that was replaced stays until ``delete_many``, so that after a crash in
        between its customer still has one of the two.

        Raises IntegrityFault when an expiry is to be written to a card that has a
        ``problem``, and what ``Vault.tokenize`` raises.
        """
        new = [one.new for one in changes if one.new]
        tokens = iter(self._vault.seal_many(self._db, new, by))
        self._set_expiries([one for one in changes if one.expiry and not one.new])
        return [
            self._record(one, next(tokens) if one.new else one.token, by)
            for one in changes
        ]

    def _set_expiries(self, changes: Sequence[Change]) -> None:
        if changes:
            self._db.execute(_SET_EXPIRY, [self._with_expiry(one) for one in changes])

    def _with_expiry(self, one: Change) -> dict[str, Any]:
        """The values of ``_SET_EXPIRY`` for one card."""
        if one.expiry is None or (problem := self.problem(one.token)):
            raise IntegrityFault(one.token, f"has no expiry to be changed: {problem}")
        row = self._rows[one.token]
        after = {
            "expiry": one.expiry.key,
            "rev": row.rev + 1,
            "updated_at": self._vault.clock(),
        }
        after["mac"] = self._vault.signer.sign(CARD, {**row._mapping, **after})
        return {"card_id": row.id, **{f"new_{name}": after[name] for name in _CHANGED}}

    def _record(self, one: Change, token: Token, by: Actor) -> Token:
        for event, detail in (*self._told(one), *one.further):
            self._vault.record(self._db, event, by, subject=token, detail=detail)
        return token

    def _told(self, one: Change) -> list[Event]:
        """What the trail says of the card itself."""
        row = self._rows.get(one.token)
        if one.new:
            pan, expiry = one.new
            told: dict[str, object] = {"instead_of": one.token}
            if row is not None:
                told["before"] = self._vault.show(row)
            told |= {"rev": 1, "after": f"{pan.masked} {expiry}"}
            return [("card.replaced" if row is not None else "card.registered", told)]
        if one.expiry and row is not None:
            before = str(Expiry.from_key(row.expiry))
            told = {"rev": row.rev + 1, "before": before, "after": str(one.expiry)}
            return [("card.expiry_changed", told)]
        return []


def delete_many(
    vault: Vault, db: Connection, tokens: Collection[str], by: Actor
) -> int:
    """Delete those of ``tokens``' cards that still exist, as ``Vault.delete`` does;
    returns how many."""
    rows = _rows(db, tokens, lock=True)
    if rows:
        db.execute(delete(CARD).where(CARD.c.id.in_([row.id for row in rows])))
    for row in rows:
        detail = {"before": vault.show(row)}
        vault.record(db, "card.deleted", by, subject=row.token, detail=detail)
    return len(rows)


def ends_of(db: Connection, tokens: Collection[str]) -> dict[str, set[str]]:
    """The trail's events about the end of the cards that ``tokens`` named, for those
    that have any; MACs are not checked."""
    query = select(AUDIT_ENTRY.c.subject, AUDIT_ENTRY.c.event).where(
        AUDIT_ENTRY.c.subject.in_(tokens), AUDIT_ENTRY.c.event.in_(_ENDS)
    )
    ends: dict[str, set[str]] = {}
    for token, event in db.execute(query):
        ends.setdefault(token, set()).add(event)
    return ends


def _rows(db: Connection, tokens: Collection[str], *, lock: bool) -> Sequence[Row[Any]]:
    query = select(CARD).where(CARD.c.token.in_(tokens)).order_by(CARD.c.id)
    return db.execute(query.with_for_update() if lock else query).all()
