"""Reads entries of the trail for a page to show, without checking them.

The web role can't check the trail, because only the root opens its first key.  So an
entry may hold anything that somebody wrote into the database, and none of it may make
a page fail.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ..store.schema import AUDIT_ENTRY
from ..trail import VIEWED, AuditEntry

_TEXTS = ("actor", "event", "outcome", "origin", "subject")
# The end of the year 9999, the last that datetime can show, less a day for time zones.
_LAST_SECOND = 253402300800 - 86400


def readable(db: Connection, subject: str) -> Iterator[AuditEntry]:
    """The entries about ``subject`` in order, without those about viewing and without
    those that can't be read: a value of another type, a detail that is no JSON object,
    bytes that are no text."""
    query = select(AUDIT_ENTRY).where(AUDIT_ENTRY.c.subject == subject)
    query = query.where(AUDIT_ENTRY.c.event != VIEWED).order_by(AUDIT_ENTRY.c.seq)
    yield from _sound(db.execute(query).all())


def latest(
    db: Connection, subjects: Collection[str], event: str
) -> Iterator[AuditEntry]:
    """The newest entry of an ``event`` about each of ``subjects`` that has one, without
    those that can't be read."""
    newest = select(func.max(AUDIT_ENTRY.c.seq)).group_by(AUDIT_ENTRY.c.subject)
    newest = newest.where(
        AUDIT_ENTRY.c.subject.in_(subjects), AUDIT_ENTRY.c.event == event
    )
    query = select(AUDIT_ENTRY).where(AUDIT_ENTRY.c.seq.in_(newest))
    yield from _sound(db.execute(query).all())


def replaced_since(db: Connection, seq: int) -> set[str]:
    """The tokens of the cards in whose place others were sealed, by the entries from
    number ``seq`` on."""
    query = select(AUDIT_ENTRY).where(
        AUDIT_ENTRY.c.seq >= seq,
        AUDIT_ENTRY.c.event.in_(("card.registered", "card.replaced")),
        AUDIT_ENTRY.c.detail.contains("instead_of"),
    )
    named = (entry.detail.get("instead_of") for entry in _sound(db.execute(query)))
    return {token for token in named if isinstance(token, str)}


def _sound(rows: Iterable[Row[Any]]) -> Iterator[AuditEntry]:
    return filter(None, map(_entry, rows))


def names(entry: AuditEntry, token: str) -> bool:
    """Say whether ``entry``, a purge's, names ``token``."""
    cards = entry.detail.get("cards")
    return isinstance(cards, list | dict) and token in cards


def _entry(row: Row[Any]) -> AuditEntry | None:
    values = {name: row._mapping[name] for name in AuditEntry.__dataclass_fields__}
    try:
        values["detail"] = json.loads(values["detail"])
        # Bytes that were no text are lone surrogates here, which no page can encode.
        json.dumps(values, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    texts = all(isinstance(values[name], str) for name in _TEXTS)
    at = isinstance(values["at"], int) and 0 <= values["at"] <= _LAST_SECOND
    sound = texts and at and isinstance(values["detail"], dict)
    return AuditEntry(**values) if sound else None
