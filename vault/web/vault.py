"""The vault as the web role has it: seals, replaces, deletes and describes cards."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Table,
    Transaction,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from .. import crypto, trail
from ..card.brands import mask
from ..card.envelope import envelope_aad, pad
from ..card.expiry import Expiry
from ..card.pan import Pan
from ..card.token import Token
from ..clock import Clock
from ..crypto import Cipher
from ..errors import IntegrityFault, KeyFileError, KeyWornOut, UnknownToken
from ..settings import VaultSettings
from ..store.database import (
    before_commit,
    connect,
    is_reading,
    reading,
    takes_several,
    transaction_of,
)
from ..store.migrations import HISTORY
from ..store.row_macs import RowSigner, canonical
from ..store.schema import CARD, DATA_KEY, PURGED, VAULT
from ..trail import Actor, AuditEntry, Told, Trail
from . import card_history
from .live_key import DATA_KEY_SECONDS, KeyMemory, LiveKey
from .web_key import WebKey

DATA_KEY_SEALS = 2**20
MAX_SEALS = 2**31
_VAULT_ID = re.compile("[0-9a-f]{32}")
# The number of the PostgreSQL advisory lock under which numbers for new rows are drawn.
_NUMBERS_LOCK = 0x63617264
# Lock order: every transaction locks rows of the tables in this order.
_ALL_TABLES = "vault, card, data_key, quarantine, purged, rotation, rotation_range"


@dataclass(frozen=True)
class Card:
    """What may be shown of a stored card; times are seconds since 1970 UTC."""

    token: Token
    brand: str
    prefix: str
    last4: str
    length: int
    expiry: Expiry
    rev: int
    created_at: int
    updated_at: int

    @property
    def masked(self) -> str:
        """The number as it may be shown."""
        return mask(self.prefix, self.last4, self.length)


class Vault:
    """Seals, replaces, deletes and describes cards, and writes the trail.

    Every method takes an open transaction on ``engine`` and leaves the commit to the
    caller.  All threads of a process share one object; after a fork it mints a data
    key of its own.

    Every method that reads or writes rows may raise IntegrityFault, naming a row that
    is not as it was written, and one that seals also KeyWornOut.
    """

    def __init__(self, web_key: WebKey, engine: Engine, clock: Clock) -> None:
        self.web_key = web_key
        self.engine = engine
        self.clock = clock
        self.signer = RowSigner(web_key.vault_id, web_key.sealing_key)
        self.trail = Trail(web_key.vault_id, web_key.sealing_key)
        self._memory = KeyMemory()
        self._told: WeakKeyDictionary[Transaction, list[Told]] = WeakKeyDictionary()

    @classmethod
    def open(
        cls, settings: VaultSettings, clock: Clock, pool: int | None = None
    ) -> Vault:
        """The vault that ``settings`` name, after testing the ciphers (VLT-01);
        ``pool`` is that of ``database.connect``.

        Raises KeyFileError when the web key file is missing, damaged or readable by
        others.
        """
        crypto.self_test()
        web_key = WebKey.read(settings.web_key)
        return cls(web_key, connect(settings.database_url, pool=pool), clock)

    def require_ready(self) -> None:
        """Raise SchemaError or KeyFileError unless the database is at this
        code's revision and belongs to this web key."""
        HISTORY.require_head(self.engine, "vault")
        with reading(self.engine) as db:
            self.state(db)

    def is_well(self) -> bool:
        """Say whether the database answers and belongs to this web key."""
        try:
            with reading(self.engine) as db:
                self.state(db)
        except (SQLAlchemyError, IntegrityFault, KeyFileError):
            return False
        return True

    def tokenize(
        self,
        db: Connection,
        pan: Pan,
        expiry: Expiry,
        by: Actor,
        instead_of: Token | None = None,
    ) -> Token:
        """Seal a new card and return its token.  ``instead_of`` is the token of the
        card this customer had before and that no longer exists.

        Raises IntegrityFault when the vault's row, its data key's or the trail's head
        is not as it was written, KeyWornOut when a data key has reached its limit.
        """
        detail = {"instead_of": instead_of} if instead_of else {}
        return self._register(db, pan, expiry, by, "card.registered", detail)

    def tokenize_many(
        self,
        db: Connection,
        cards: Sequence[tuple[Pan, Expiry]],
        by: Actor,
        subject: str = "",
    ) -> list[Token]:
        """Seal a batch of new cards under one data key, with one entry in the trail
        that names them all; returns the tokens in the batch's order.  Raises as
        ``tokenize`` does."""
        if not cards:
            return []
        lock_numbers(db)
        key = self._sealing_key(db, by, len(cards))
        rows = [
            self._row(key, number, pan, expiry)
            for number, (pan, expiry) in enumerate(cards, next_id(db, CARD))
        ]
        db.execute(insert(CARD), rows)
        tokens: list[Token] = [row["token"] for row in rows]
        detail = {"cards": dict.fromkeys(tokens, 1)}
        self.record(db, "card.imported", by, subject=subject, detail=detail)
        return tokens

    def replace(
        self, db: Connection, token: Token, pan: Pan, expiry: Expiry, by: Actor
    ) -> Token:
        """Seal the card that replaces ``token``'s and return its new token.  The old
        card stays until ``delete``, so that after a crash in between the customer
        still has one of the two.  Raises UnknownToken, and as ``tokenize`` does."""
        # Lock order: the numbers, then the old card's row, so that a writer that draws
        # a number never waits for a card.
        lock_numbers(db)
        before = self._show(self._find(db, token))
        detail = {"instead_of": token, "before": before}
        return self._register(db, pan, expiry, by, "card.replaced", detail)

    def set_expiry(
        self, db: Connection, token: Token, expiry: Expiry, by: Actor
    ) -> None:
        """Change a card's expiry.  Raises UnknownToken, IntegrityFault."""
        row = self._find(db, token)
        self.signer.check(CARD, row, token)
        changes: dict[str, Any] = {
            "expiry": expiry.key,
            "rev": row.rev + 1,
            "updated_at": self.clock(),
        }
        changes["mac"] = self.signer.sign(CARD, {**row._mapping, **changes})
        db.execute(update(CARD).where(CARD.c.id == row.id), changes)
        detail = {
            "rev": row.rev + 1,
            "before": str(Expiry.from_key(row.expiry)),
            "after": str(expiry),
        }
        self.record(db, "card.expiry_changed", by, subject=token, detail=detail)

    def delete(self, db: Connection, token: Token, by: Actor) -> None:
        """Delete a card, even if its row is damaged; the trail says which it was.
        Raises UnknownToken."""
        row = self._find(db, token)
        db.execute(delete(CARD).where(CARD.c.id == row.id))
        detail = {"before": self._show(row)}
        self.record(db, "card.deleted", by, subject=token, detail=detail)

    def describe(self, db: Connection, token: Token) -> Card:
        """What may be shown of a card.  Raises UnknownToken, IntegrityFault."""
        row = self._find(db, token, lock=False)
        self.signer.check(CARD, row, token)
        return card_of(row)

    def page_of_cards(
        self, db: Connection, after: int, size: int
    ) -> list[tuple[int, str, int]]:
        """Number, token and time of registration of up to ``size`` cards above the
        number ``after``.  MACs are not checked: only reconciling uses this."""
        query = select(CARD.c.id, CARD.c.token, CARD.c.created_at)
        query = query.where(CARD.c.id > after).order_by(CARD.c.id).limit(size)
        return [(row[0], row[1], row[2]) for row in db.execute(query)]

    def expiries(self, db: Connection, tokens: Collection[str]) -> dict[str, int]:
        """The expiry (YYYYMM) of those of ``tokens`` that name a card.  MACs are not
        checked: only reconciling uses this."""
        query = select(CARD.c.token, CARD.c.expiry).where(CARD.c.token.in_(tokens))
        return {row.token: row.expiry for row in db.execute(query)}

    def missing(self, db: Connection, tokens: Collection[str]) -> dict[str, str]:
        """Which of ``tokens`` name no card, with the reason: "purged", "given up"
        or "missing"."""
        kept = set(db.scalars(select(CARD.c.token).where(CARD.c.token.in_(tokens))))
        gone = set(tokens) - kept
        return {token: self._farewell(db, token) for token in gone}

    def purged_at(self, db: Connection, token: str) -> int | None:
        """When a card was purged (seconds since 1970 UTC), or None.  A mark whose MAC
        is wrong does not count."""
        row = db.execute(select(PURGED).where(PURGED.c.token == token)).first()
        if row is None or not self._is_signed(PURGED, row):
            return None
        at: int = row.at
        return at

    def _farewell(self, db: Connection, token: str) -> str:
        if self.purged_at(db, token) is not None:
            return "purged"
        events = [entry.event for entry in card_history.readable(db, token)]
        return "given up" if "card.given_up" in events else "missing"

    def record(
        self,
        db: Connection,
        event: str,
        by: Actor,
        *,
        outcome: str = "success",
        subject: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append to the audit trail in ``db``'s transaction, when it commits.  Lock
        order: the rows, then the trail's head, so that two writers can't deadlock.  The
        commit raises IntegrityFault when the head is not as it was written."""
        if is_reading(db):
            raise ValueError(f"{event} can't be recorded by who only reads")
        told = Told(self.clock(), event, by, outcome, subject, dict(detail or {}))
        if not self._untold(db):
            before_commit(db, lambda: self._append(db))
        self._untold(db).append(told)

    def _untold(self, db: Connection) -> list[Told]:
        return self._told.setdefault(transaction_of(db), [])

    def enter(self, db: Connection) -> None:
        """Append now what was recorded in ``db``, and lock the trail's head."""
        self._append(db)
        self.trail.lock(db)

    def _append(self, db: Connection) -> None:
        told = self._untold(db)
        if told:
            self.trail.append(db, told)
            told.clear()

    def shut(self, db: Connection) -> None:
        """Wait for every other writer of the vault and keep them out until ``db`` ends,
        for a change of every row."""
        lock_numbers(db)
        if takes_several(db.engine):
            db.exec_driver_sql(f"LOCK TABLE {_ALL_TABLES} IN EXCLUSIVE MODE")
        self.trail.lock(db)

    def history(self, db: Connection, token: Token) -> list[AuditEntry]:
        """The trail's entries about a card and those it replaced, newest first, without
        those about viewing.

        The web role can't check entries: those that can't be read are left out, and
        the walk ends at a card that is said to have replaced itself.
        """
        entries: list[AuditEntry] = []
        seen: set[str] = set()
        subject: str | None = token
        while subject and subject not in seen:
            seen.add(subject)
            of_card = list(card_history.readable(db, subject))
            entries = of_card + self._purge_of(db, subject) + entries
            replaced = (entry.detail.get("instead_of") for entry in of_card)
            named = (earlier for earlier in replaced if isinstance(earlier, str))
            subject = next(filter(None, named), None)
        return sorted(entries, key=lambda entry: -entry.seq)

    def _purge_of(self, db: Connection, token: str) -> list[AuditEntry]:
        at = self.purged_at(db, token)
        if at is None:
            return []
        told = card_history.readable(db, purge_subject(at))
        return [entry for entry in told if card_history.names(entry, token)]

    def entries_about(
        self, db: Connection, token: str, *, views: bool = True
    ) -> Iterator[AuditEntry]:
        """The trail's entries about one card, with the one about its purge, and with
        ``views`` those about viewing it."""
        yield from trail.read_entries(db, subject=token, views=views)
        at = self.purged_at(db, token)
        if at is not None:
            for entry in trail.read_entries(db, subject=purge_subject(at)):
                cards = entry.detail.get("cards")
                if isinstance(cards, dict) and token in cards:
                    yield entry

    def state(self, db: Connection, *, keep: bool = False) -> Row[Any]:
        """The vault's own row, checked; with ``keep`` it is locked until ``db`` ends,
        so that the generation can't be raised.  Raises KeyFileError when the database
        belongs to another vault, IntegrityFault when the row was edited."""
        query = select(VAULT)
        row = db.execute(query.with_for_update(read=True) if keep else query).first()
        if row is None:
            raise IntegrityFault("vault row", "is missing")
        if row.vault_id != self.web_key.vault_id and _VAULT_ID.fullmatch(
            str(row.vault_id)
        ):
            raise KeyFileError(
                f"the web key is of vault {self.web_key.vault_id}, "
                f"the database of vault {row.vault_id}",
                hint="check VAULT_WEB_KEY and VAULT_DATABASE_URL",
            )
        self._check_state(row)
        if self.web_key.root.id not in (row.root_id, row.next_root_id):
            # A card sealed to another root than the vault's could never be opened.
            raise KeyFileError(
                f"the web key is for root {self.web_key.root.id}, "
                f"this vault's root is {row.root_id}",
                hint=f"put the web key file of root {row.root_id} in place and "
                "restart the site",
            )
        return row

    def _check_state(self, row: Row[Any]) -> None:
        """Check the vault's own row."""
        self.signer.check(VAULT, row, "vault row")

    def _register(
        self,
        db: Connection,
        pan: Pan,
        expiry: Expiry,
        by: Actor,
        event: str,
        detail: dict[str, Any],
    ) -> Token:
        lock_numbers(db)
        row = self._row(self._sealing_key(db, by, 1), next_id(db, CARD), pan, expiry)
        db.execute(insert(CARD), row)
        detail |= {"rev": 1, "after": f"{pan.masked} {expiry}"}
        token: Token = row["token"]
        self.record(db, event, by, subject=token, detail=detail)
        return token

    def _row(
        self, key: LiveKey, number: int, pan: Pan, expiry: Expiry
    ) -> dict[str, Any]:
        """A new card's row, sealed under ``key`` and signed."""
        token, now = Token.new(), self.clock()
        aad = envelope_aad(self.web_key.vault_id, token, key.id)
        row = {
            "id": number,
            "token": token,
            "data_key_id": key.id,
            "rev": 1,
            "envelope": key.cipher.seal(pad(pan), aad),
            "brand": pan.brand.name,
            "prefix": pan.prefix,
            "last4": pan.last4,
            "length": pan.length,
            "expiry": expiry.key,
            "created_at": now,
            "updated_at": now,
        }
        return self.signer.signed(CARD, row)

    def _sealing_key(self, db: Connection, by: Actor, count: int) -> LiveKey:
        """This process's live key, after counting ``count`` more seals in ``db``."""
        generation = self.state(db, keep=True).generation
        live, row = self._live, self._live_row(db)
        if live is not None and row is not None:
            age = self.clock() - live.created_at
            if (
                row.state == "live"
                and row.generation == generation
                and row.seals < DATA_KEY_SEALS
                and 0 <= age < DATA_KEY_SECONDS
            ):
                self.set_key(db, row, seals=row.seals + count)
                return live
        # Drop the old key first, so that it is gone even if minting fails.
        self._memory.drop()
        self._retire_stale(db, row, by)
        live = self.mint_key(db, generation, by, seals=count)
        self._memory.keep(live)
        return live

    @property
    def _live(self) -> LiveKey | None:
        return self._memory.key

    def _live_row(self, db: Connection) -> Row[Any] | None:
        """The live key's row, or None when it is not as this process wrote it."""
        live = self._live
        if live is None:
            return None
        query = select(DATA_KEY).where(DATA_KEY.c.id == live.id).with_for_update()
        row = db.execute(query).first()
        # A key whose minting was rolled back may have left its number to
        # another process's key: the wrapped bytes tell them apart.
        if row is None or row.wrapped != live.wrapped or not self.is_whole(row):
            return None
        return row

    def _retire_stale(self, db: Connection, own: Row[Any] | None, by: Actor) -> None:
        """Retire this process's old key and those that ended processes left."""
        oldest = self.clock() - DATA_KEY_SECONDS
        query = select(DATA_KEY).where(
            DATA_KEY.c.state == "live",
            # A key that the ops side minted is retired by its rotation.
            DATA_KEY.c.suite == crypto.SUITE,
            (DATA_KEY.c.created_at < oldest)
            | (DATA_KEY.c.id == (own.id if own else 0)),
        )
        # FOR NO KEY UPDATE, because every card under a key shares a lock on its number.
        query = query.order_by(DATA_KEY.c.id).with_for_update(key_share=True)
        for row in db.execute(query).all():
            # Signing an edited row again would hide the edit; verify names it.
            if self.is_whole(row):
                self.retire_key(db, row, by)

    def is_whole(self, key: Row[Any]) -> bool:
        """Say whether a data key's row has a right MAC."""
        return self._is_signed(DATA_KEY, key)

    def _is_signed(self, table: Table, row: Row[Any]) -> bool:
        try:
            self.signer.check(table, row, table.name)
        except IntegrityFault:
            return False
        return True

    def mint_key(
        self, db: Connection, generation: int, by: Actor, *, seals: int
    ) -> LiveKey:
        """Make a data key, wrap it to the root and write its row in ``db``, so that it
        is committed together with the first card under it, or not at all."""
        key_id, now, secret = next_id(db, DATA_KEY), self.clock(), crypto.new_key()
        info = wrap_info(self.web_key.vault_id, key_id, generation)
        wrapping = self._wrap(secret, info)
        row = {
            "id": key_id,
            "opens": key_id,
            "generation": generation,
            "state": "live",
            **wrapping,
            "next_root_id": None,
            "next_wrapped": None,
            "seals": seals,
            "created_at": now,
            "retired_at": None,
            "destroyed_at": None,
        }
        db.execute(insert(DATA_KEY), self.signer.signed(DATA_KEY, row))
        self.record(
            db,
            "key.minted",
            by,
            subject=f"data key {key_id}",
            detail={"generation": generation},
        )
        return LiveKey(key_id, Cipher(secret), wrapping["wrapped"], now)

    def _wrap(self, secret: bytes, info: bytes) -> dict[str, Any]:
        """The columns that hold a data key: suite, root and wrapped bytes."""
        root = self.web_key.root
        wrapped = root.wrap(secret, info)
        return {"suite": crypto.SUITE, "root_id": root.id, "wrapped": wrapped}

    def retire_key(self, db: Connection, row: Row[Any], by: Actor) -> None:
        """Mark a data key as retired: it opens cards and seals none."""
        self.set_key(db, row, state="retired", retired_at=self.clock())
        detail = self._maker
        self.record(db, "key.retired", by, subject=f"data key {row.id}", detail=detail)

    def set_key(self, db: Connection, row: Row[Any], **changes: Any) -> None:
        """Write ``changes`` and a new MAC to a data key's row.

        Raises KeyWornOut when its seals would pass 2^31."""
        after = {**row._mapping, **changes}
        if after["seals"] > MAX_SEALS:
            raise KeyWornOut(f"data key {row.id} has sealed {row.seals} times")
        changes |= self.signer.macs(DATA_KEY, after)
        # Update the changed columns only: writing ``opens`` makes SQLite check the
        # foreign key against every card.
        db.execute(update(DATA_KEY).where(DATA_KEY.c.id == row.id), changes)

    @property
    def _maker(self) -> dict[str, str]:
        """What the trail's entry says about who retired a key: nothing for a web
        process."""
        return {}

    def _find(self, db: Connection, token: Token, *, lock: bool = True) -> Row[Any]:
        query = select(CARD).where(CARD.c.token == str(token))
        row = db.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise UnknownToken(f"no card has the token {token}")
        return row

    def _show(self, row: Row[Any]) -> str:
        """A row's mask for the trail, or a word that the row is damaged."""
        try:
            self.signer.check(CARD, row, row.token)
        except IntegrityFault:
            return "damaged row"
        card = card_of(row)
        return f"{card.masked} {card.expiry}"


def lock_numbers(db: Connection) -> None:
    """Lock the drawing of numbers for new rows until ``db`` ends, so that no other
    process seals meanwhile.  On SQLite a writer is alone anyway.  Lock order: this
    comes before every row of the vault."""
    if takes_several(db.engine):
        db.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_NUMBERS_LOCK})")


def next_id(db: Connection, table: Table) -> int:
    """The number after the highest; the caller has called ``lock_numbers``."""
    highest: int = db.execute(
        select(func.coalesce(func.max(table.c.id), 0))
    ).scalar_one()
    return highest + 1


def purge_subject(at: int) -> str:
    """The subject of the trail's entries about cards purged ``at`` (seconds since
    1970 UTC): a card's own entry is found by it without reading the others."""
    return f"purge {at}"


def card_of(row: Row[Any]) -> Card:
    """A checked row as a ``Card``."""
    values = {name: row._mapping[name] for name in Card.__dataclass_fields__}
    values |= {"token": Token(row.token), "expiry": Expiry.from_key(row.expiry)}
    return Card(**values)


def wrap_info(vault_id: str, key_id: int, generation: int) -> bytes:
    """What a wrapped data key is bound to (RFC 9180's info, or AES-GCM's AAD)."""
    return canonical(("cardvault data key", vault_id, key_id, generation))
