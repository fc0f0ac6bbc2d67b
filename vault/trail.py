"""The audit trail: a chain of entries, each under a MAC with a key of its own.

The key of an entry is derived from the key before it, which is then overwritten, so
whoever takes over the host can't rewrite the entries made before.  An entry's MAC also
covers the MAC before it, so an entry kept elsewhere vouches for all before it.  The
first key (genesis) is sealed under a key of the root's: only the ops side can derive
the keys again, and only it can begin a trail.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from . import crypto
from .card.scrub import one_line, scrub
from .crypto import Cipher, Mac
from .errors import IntegrityFault
from .store.database import add_rows
from .store.row_macs import canonical
from .store.schema import AUDIT_ENTRY, AUDIT_HEAD

PAGE = 1000
# An entry of an import or a rotation names up to some thousand cards, so fewer of them
# are in memory at once where all are read.
CHECKED_PAGE = 50
VIEWED = "audit.viewed"
SET_BACK = "clock.set_back"
# How many seconds the clocks of two hosts that write one trail may differ.
SKEW_SECONDS = 60
# A forged head or entry may have any number; a gap of more entries is not counted out.
MOST_MISSING = 1_000_000
# After bad entries in a row the MAC before the next one may be any of several; at most
# so many are tried.
MOST_TRIED = 8
_LOOK_CLOSER = (
    "look closer with: cardvault audit verify; docs/operations.md says what to do, "
    "under: A broken trail"
)
_MAC_COLUMN = AUDIT_ENTRY.columns.keys().index("mac")

# Built once: building the statement takes longer than executing it.
_LATEST = select(AUDIT_ENTRY.c.at, AUDIT_ENTRY.c.mac).where(
    AUDIT_ENTRY.c.seq == bindparam("seq")
)
_HEAD = select(AUDIT_HEAD.c.seq, AUDIT_HEAD.c.sealed_chain_key).with_for_update(
    of=AUDIT_HEAD
)
_MOVE_HEAD = update(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1)


@dataclass(frozen=True)
class Actor:
    """Who acts (an operator's login ID, or the ops person's account) and from
    where (an IP address, or "command")."""

    name: str
    origin: str


@dataclass(frozen=True)
class NewEntry:
    """The content of an entry to be added; ``at`` is seconds since 1970 UTC, ``detail``
    holds what JSON can."""

    at: int
    event: str
    by: Actor
    outcome: str
    subject: str
    detail: Mapping[str, Any]


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
    """Appends to the chain.  The head is sealed under ``sealing_key``, so that whoever
    reads the database alone can't open it."""

    def __init__(self, vault_id: str, sealing_key: bytes) -> None:
        self._vault_id = vault_id
        self._cipher = Cipher(crypto.derive(sealing_key, "cardvault audit head"))

    def begin(self, db: Connection, genesis: bytes) -> None:
        """Write the head of an empty trail."""
        db.execute(insert(AUDIT_HEAD).values(id=1, **self._head(0, genesis)))

    def lock(self, db: Connection) -> None:
        """Lock the trail's head until this transaction ends.  Lock order: rows of the
        site, rows of the vault, this lock."""
        db.execute(_HEAD)

    def append(self, db: Connection, entries: Sequence[NewEntry]) -> None:
        """Lock the trail and add entries in ``db``'s transaction.  If they can't be
        written, what they are about must not be committed either.

        If an ``at`` is before the latest entry's, the clock was set back, and an entry
        that says so is added first (PCI DSS 10.6.3).
        """
        seq, key, latest, before = self._open_head(db)
        rows = []
        for entry in _with_set_back(entries, latest):
            seq += 1
            values = _row_of(seq, entry)
            before = entry_mac(self._vault_id, key, values, before)
            rows.append((*values, before))
            key = next_chain_key(key)
        add_rows(db, AUDIT_ENTRY.name, AUDIT_ENTRY.columns.keys(), rows)
        self.write_head(db, seq, key)

    def write_head(self, db: Connection, seq: int, key: bytes) -> None:
        """Write how many entries there are and the next one's key."""
        db.execute(_MOVE_HEAD, self._head(seq, key))

    def _open_head(self, db: Connection) -> tuple[int, bytes, int, object]:
        """How many entries there are, the next one's key, the latest one's time and
        its MAC."""
        found: Any = db.execute(_HEAD).first()
        row = _whole_head(found)
        # A second statement is needed: after waiting for the head's lock PostgreSQL
        # would still look for the entry as of before the wait.
        latest = db.execute(_LATEST, {"seq": row.seq}).first()
        at, mac = (latest.at, latest.mac) if latest is not None else (0, None)
        if not isinstance(at, int):
            # Nobody can say whether the clock was set back since that entry.
            raise _unwritten(row.seq)
        return row.seq, self.open_chain_key(row.seq, row.sealed_chain_key), at, mac

    def open_chain_key(self, seq: int, sealed: bytes) -> bytes:
        """The key of the next entry; raises IntegrityFault on an edited head."""
        return self._cipher.open(sealed, self._head_aad(seq), "audit head")

    def _head(self, seq: int, key: bytes) -> dict[str, Any]:
        sealed = self._cipher.seal(key, self._head_aad(seq))
        return {"seq": seq, "sealed_chain_key": sealed}

    def _head_aad(self, seq: int) -> bytes:
        return canonical(("audit head", self._vault_id, seq))


def read_head(db: Connection) -> Row[Any]:
    """The trail's head: ``seq``, how many entries it counts, and ``sealed_chain_key``.
    Raises IntegrityFault when it is missing or a column is of another type; whether it
    is the trail's own head shows when the key is opened."""
    return _whole_head(db.execute(select(AUDIT_HEAD)).first())


def _whole_head(row: Row[Any] | None) -> Row[Any]:
    """The head's row.  A damaged database may hold a value of any type in a column, and
    a text that is no UTF-8 can't even be looked for."""
    if row is None:
        raise IntegrityFault("audit head", "is missing", hint=_LOOK_CLOSER)
    if not (isinstance(row.seq, int) and isinstance(row.sealed_chain_key, bytes)):
        raise IntegrityFault(
            "audit head", "is not as it was written", hint=_LOOK_CLOSER
        )
    return row


def _with_set_back(entries: Iterable[NewEntry], latest: int) -> Iterator[NewEntry]:
    """The entries; before one that is older than the latest entry comes one that says
    that the clock was set back."""
    for entry in entries:
        if entry.at < latest - SKEW_SECONDS:
            clock = Actor("system clock", entry.by.origin)
            yield NewEntry(entry.at, SET_BACK, clock, "success", "", {"from": latest})
        latest = entry.at
        yield entry


def _row_of(seq: int, entry: NewEntry) -> tuple[int | str, ...]:
    """An entry's columns in the table's order, without its MAC."""
    return (
        seq,
        entry.at,
        _clean(entry.by.name),
        entry.event,
        entry.outcome,
        _clean(entry.by.origin),
        _clean(entry.subject),
        json.dumps(_cleaned(entry.detail), ensure_ascii=False),
    )


def entry_mac(vault_id: str, key: bytes, row: Sequence[Any], before: object) -> bytes:
    """The MAC of one entry under its own key, over every other column and the MAC of
    the one ``before`` it (None for the first); ``row`` has the columns in the table's
    order, its own MAC last."""
    return Mac(key).sign(canonical((vault_id, *row[:_MAC_COLUMN], before)))


def next_chain_key(key: bytes) -> bytes:
    """The key of the entry after the one made with ``key``; ``key`` can't be found
    from it."""
    return Mac(key).sign(b"cardvault audit chain")


def read_entries(
    db: Connection,
    *,
    after: int = 0,
    subject: str | None = None,
    views: bool = True,
    events: Collection[str] = (),
) -> Iterator[AuditEntry]:
    """The entries after ``after`` in order, without checking the chain; ``views``
    also those that tell who looked; with ``events`` only those of these kinds."""
    for row in _rows(db, after, subject, views, events=events):
        yield _entry(row)


class Chain:
    """Checks the trail from its first entry to its last; called again, it goes on with
    the entries written since.

    The key of an entry depends only on how many entries came before it, so entries
    after a bad one can still be checked: their MAC covers the bad entry's, either the
    one that is stored or the one that should be.  Entries after a missing one can't.
    """

    def __init__(self, vault_id: str, genesis: bytes) -> None:
        self._vault_id = vault_id
        self._key = genesis
        self._next = 1
        # The MACs that the entry before the next one has, or should have.
        self._before: tuple[object, ...] = (None,)

    def entries(self, db: Connection, trail: Trail) -> Iterator[AuditEntry]:
        """Yield every entry in order, each checked against the chain.

        Raises IntegrityFault naming the first place that is not as it was written:
        an edited, missing, added or moved entry, or a head that doesn't follow.
        """
        for found in self.walk(db, trail):
            if isinstance(found, IntegrityFault):
                raise found
            yield found

    def walk(
        self, db: Connection, trail: Trail
    ) -> Iterator[AuditEntry | IntegrityFault]:
        """Yield every entry in order, or, where one is not as it was written, the
        fault that names it."""
        head, fault = _head_or_fault(db, trail)
        # Without a head it is not known where the trail ends.
        last = head.seq if head is not None else None
        if self._next == 1:
            early = select(AUDIT_ENTRY.c.seq).where(AUDIT_ENTRY.c.seq < 1)
            yield from map(_unwritten, db.execute(early).scalars())
        for row in _rows(db, self._next - 1, None, size=CHECKED_PAGE):
            if row.seq > (last or row.seq) or row.seq - self._next > MOST_MISSING:
                yield _unwritten(row.seq)
                continue
            yield from self._gap(row.seq)
            yield self._check(row)
            self._step()
        if fault is not None:
            yield fault
        elif head is not None:
            yield from self._check_head(trail, head)

    @property
    def end(self) -> tuple[int, bytes]:
        """How many entries were walked, and the key of the one that comes next."""
        return self._next - 1, self._key

    def _check(self, row: Row[Any]) -> AuditEntry | IntegrityFault:
        macs = [
            entry_mac(self._vault_id, self._key, row, before) for before in self._before
        ]
        found = _checked(row, macs)
        good = isinstance(found, AuditEntry)
        self._before = (row.mac,) if good else (row.mac, *macs)[:MOST_TRIED]
        return found

    def _check_head(self, trail: Trail, head: Row[Any]) -> Iterator[IntegrityFault]:
        if head.seq - self._next <= MOST_MISSING:
            yield from self._gap(head.seq + 1)
        key = trail.open_chain_key(head.seq, head.sealed_chain_key)
        if head.seq != self._next - 1 or not crypto.same(key, self._key):
            yield IntegrityFault("audit head", "does not follow its entries")

    def _gap(self, seq: int) -> Iterator[IntegrityFault]:
        """Yield a fault for the entries missing before number ``seq``, and step the
        keys over them."""
        if self._next < seq:
            ends = f", with those up to {seq - 1}" if seq - 1 > self._next else ""
            yield IntegrityFault(f"audit entry {self._next}", f"is missing{ends}")
            self._before = ()
        while self._next < seq:
            self._step()

    def _step(self) -> None:
        self._key, self._next = next_chain_key(self._key), self._next + 1


def _head_or_fault(
    db: Connection, trail: Trail
) -> tuple[Row[Any] | None, IntegrityFault | None]:
    """The head, or what is wrong with it: it is missing or its key can't be opened."""
    try:
        head = read_head(db)
        trail.open_chain_key(head.seq, head.sealed_chain_key)
    except IntegrityFault as fault:
        return None, fault
    return head, None


def _checked(row: Row[Any], macs: Sequence[bytes]) -> AuditEntry | IntegrityFault:
    """The entry when its MAC is one of ``macs``, else the fault; with no ``macs`` it
    can't be checked."""
    if not macs:
        return IntegrityFault(f"audit entry {row.seq}", "follows one that is missing")
    try:
        if any(crypto.same(row.mac, mac) for mac in macs):
            return _entry(row)
    except TypeError:
        pass
    return _unwritten(row.seq)


def _unwritten(seq: object) -> IntegrityFault:
    return IntegrityFault(
        f"audit entry {seq}", "is not as it was written", hint=_LOOK_CLOSER
    )


def _rows(
    db: Connection,
    after: int,
    subject: str | None,
    views: bool = True,
    size: int = PAGE,
    events: Collection[str] = (),
) -> Iterator[Row[Any]]:
    query = select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq).limit(size)
    if subject is not None:
        query = query.where(AUDIT_ENTRY.c.subject == subject)
    if not views:
        query = query.where(AUDIT_ENTRY.c.event != VIEWED)
    if events:
        query = query.where(AUDIT_ENTRY.c.event.in_(events))
    while True:
        page = db.execute(query.where(AUDIT_ENTRY.c.seq > after)).all()
        yield from page
        if len(page) < size:
            return
        after = page[-1].seq


def _entry(row: Row[Any]) -> AuditEntry:
    seq, at, actor, event, outcome, origin, subject, detail, _ = tuple(row)
    return AuditEntry(
        seq, at, actor, event, outcome, origin, subject, _read_detail(detail)
    )


def _read_detail(text: Any) -> dict[str, Any]:
    """An entry's detail as a dict.  An entry that nobody checked, or that somebody with
    the web key wrote, may hold anything: what is no JSON object becomes a note that the
    detail is unreadable."""
    try:
        detail = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        detail = None
    return detail if isinstance(detail, dict) else {"unreadable": True}


def _clean(text: str) -> str:
    return scrub(one_line(text))


def _cleaned(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _clean(value) if isinstance(value, str) else value
        for name, value in detail.items()
    }
