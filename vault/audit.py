"""The audit trail: one chain of entries, each made with a key of its own.

The key of an entry is derived from the one before it and the old one is
replaced, so whoever takes the host today can't rewrite yesterday.  The first
key (genesis) is sealed to the root: the ops side derives them all again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from . import sealing
from .errors import IntegrityFault
from .rows import canonical
from .schema import AUDIT_ENTRY, AUDIT_HEAD
from .scrub import one_line, scrub
from .sealing import Cipher, Mac

PAGE = 1000
VIEWED = "audit.viewed"
SET_BACK = "clock.set_back"
# How far the clocks of two hosts that write one trail may be apart.
SKEW_SECONDS = 60

# Made once: to build a statement costs more than to run it.
_LATEST = select(AUDIT_ENTRY.c.at).where(AUDIT_ENTRY.c.seq == AUDIT_HEAD.c.seq)
_HEAD = select(
    AUDIT_HEAD.c.seq,
    AUDIT_HEAD.c.sealed_chain_key,
    _LATEST.correlate(AUDIT_HEAD).scalar_subquery().label("latest"),
).with_for_update(of=AUDIT_HEAD)
_ADD = insert(AUDIT_ENTRY)
_MOVE_HEAD = update(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1)


@dataclass(frozen=True)
class Actor:
    """Who acts (an operator's login ID, or the ops person's account) and from
    where (an IP address, or "command")."""

    name: str
    origin: str


@dataclass(frozen=True)
class AuditEntry:
    """One entry of the trail (PCI DSS 10.2.2's six fields and ``detail``);
    ``at`` is seconds since 1970 UTC, ``subject`` a token, a key or a login ID."""

    seq: int
    at: int
    actor: str
    event: str
    outcome: str
    origin: str
    subject: str
    detail: dict[str, Any]


class Trail:
    """Appends to the chain.  ``sealing_key`` closes the head to readers of the
    database alone."""

    def __init__(self, vault_id: str, sealing_key: bytes) -> None:
        self._vault_id = vault_id
        self._cipher = Cipher(sealing.derive(sealing_key, "cardvault audit head"))

    def begin(self, db: Connection, genesis: bytes) -> None:
        """Write the head of an empty trail."""
        db.execute(insert(AUDIT_HEAD).values(id=1, **self._head(0, genesis)))

    def lock(self, db: Connection) -> None:
        """Wait for every other writer of the trail and keep them out until this
        transaction ends."""
        db.execute(_HEAD)

    def append(
        self,
        db: Connection,
        at: int,
        event: str,
        by: Actor,
        *,
        outcome: str,
        subject: str,
        detail: Mapping[str, Any],
    ) -> None:
        """Add an entry in ``db``'s transaction; if it can't be written the
        transaction's act must not be either.

        An ``at`` before the latest entry's is of a clock that was set back: an
        entry of its own says so first (PCI DSS 10.6.3).
        """
        seq, key, latest = self._open_head(db)
        if at < latest - SKEW_SECONDS and event != SET_BACK:
            clock, told = Actor("system clock", by.origin), {"from": latest}
            self.append(
                db, at, SET_BACK, clock, outcome="success", subject="", detail=told
            )
            seq, key, _ = self._open_head(db)
        values = {
            "seq": seq + 1,
            "at": at,
            "actor": _clean(by.name),
            "event": event,
            "outcome": outcome,
            "origin": _clean(by.origin),
            "subject": _clean(subject),
            "detail": json.dumps(_cleaned(detail), ensure_ascii=False),
        }
        mac = entry_mac(self._vault_id, key, values)
        db.execute(_ADD, {**values, "mac": mac})
        self.write_head(db, seq + 1, next_chain_key(key))

    def write_head(self, db: Connection, seq: int, key: bytes) -> None:
        """Write how many entries there are and the next one's key."""
        db.execute(_MOVE_HEAD, self._head(seq, key))

    def _open_head(self, db: Connection) -> tuple[int, bytes, int]:
        """How many entries there are, the next one's key, the latest one's time."""
        row = db.execute(_HEAD).one_or_none()
        if row is None:
            raise IntegrityFault("audit head", "is missing")
        key = self.open_chain_key(row.seq, row.sealed_chain_key)
        return row.seq, key, row.latest or 0

    def open_chain_key(self, seq: int, sealed: bytes) -> bytes:
        """The key of the next entry; raises IntegrityFault on an edited head."""
        return self._cipher.open(sealed, self._head_aad(seq), "audit head")

    def _head(self, seq: int, key: bytes) -> dict[str, Any]:
        sealed = self._cipher.seal(key, self._head_aad(seq))
        return {"seq": seq, "sealed_chain_key": sealed}

    def _head_aad(self, seq: int) -> bytes:
        return canonical(("audit head", self._vault_id, seq))


def entry_mac(vault_id: str, key: bytes, values: Mapping[Any, Any]) -> bytes:
    """The MAC of one entry under its own key, over every other column."""
    names = [column.name for column in AUDIT_ENTRY.columns if column.name != "mac"]
    return Mac(key).sign(canonical((vault_id, *(values[name] for name in names))))


def next_chain_key(key: bytes) -> bytes:
    """The key of the entry after the one made with ``key``; can't be undone."""
    return Mac(key).sign(b"cardvault audit chain")


def read_entries(
    db: Connection, *, after: int = 0, subject: str | None = None, views: bool = True
) -> Iterator[AuditEntry]:
    """The entries after ``after`` in order, without checking the chain; ``views``
    also those that tell who looked."""
    for row in _rows(db, after, subject, views):
        yield _unchecked(row)


def check_chain(
    db: Connection, vault_id: str, genesis: bytes, trail: Trail
) -> Iterator[AuditEntry]:
    """Yield every entry in order, each checked against the chain.

    Raises IntegrityFault naming the first place that is not as it was written:
    an edited, missing, added or moved entry, or a head that doesn't follow.
    """
    key, expected = genesis, 1
    for row in _rows(db, 0, None):
        subject = f"audit entry {expected}"
        if row.seq != expected:
            raise IntegrityFault(subject, f"is missing, entry {row.seq} follows")
        try:
            good = sealing.same(row.mac, entry_mac(vault_id, key, row._mapping))
            entry = _entry(row) if good else None
        except (TypeError, ValueError):
            entry = None
        if entry is None:
            raise IntegrityFault(subject, "is not as it was written")
        yield entry
        key, expected = next_chain_key(key), expected + 1
    head = db.execute(select(AUDIT_HEAD)).one_or_none()
    if head is None:
        raise IntegrityFault("audit head", "is missing")
    if head.seq != expected - 1:
        raise IntegrityFault(
            f"audit entry {expected}", f"is missing, the head counts {head.seq}"
        )
    if not sealing.same(trail.open_chain_key(head.seq, head.sealed_chain_key), key):
        raise IntegrityFault("audit head", "does not follow its entries")


def _rows(
    db: Connection, after: int, subject: str | None, views: bool = True
) -> Iterator[Row[Any]]:
    query = select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq).limit(PAGE)
    if subject is not None:
        query = query.where(AUDIT_ENTRY.c.subject == subject)
    if not views:
        query = query.where(AUDIT_ENTRY.c.event != VIEWED)
    while True:
        page = db.execute(query.where(AUDIT_ENTRY.c.seq > after)).all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].seq


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**{**_values(row), "detail": json.loads(row.detail)})


def _values(row: Row[Any]) -> dict[str, Any]:
    return {name: row._mapping[name] for name in AuditEntry.__dataclass_fields__}


def _unchecked(row: Row[Any]) -> AuditEntry:
    """An entry to be shown although nobody has checked it: a detail that is no JSON
    object is left out and said to be unreadable."""
    try:
        entry = _entry(row)
        if isinstance(entry.detail, dict):
            return entry
    except (RecursionError, TypeError, ValueError):
        pass
    return AuditEntry(**{**_values(row), "detail": {"unreadable": True}})


def _clean(text: str) -> str:
    return scrub(one_line(text))


def _cleaned(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _clean(value) if isinstance(value, str) else value
        for name, value in detail.items()
    }
