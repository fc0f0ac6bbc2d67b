"""The vault as the web role has it: seals, replaces, deletes and describes cards."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    delete,
    select,
    update,
)

from .. import crypto, trail
from ..card.brands import mask
from ..card.envelope import aad_ending, aad_start, pad
from ..card.expiry import Expiry
from ..card.pan import Pan
from ..card.token import ALL, Share, Token
from ..clock import Clock
from ..errors import IntegrityFault, UnknownToken
from ..settings import VaultSettings
from ..store.database import add_rows, connect
from ..store.row_macs import card_checker, card_signer
from ..store.schema import CARD, PURGED, CardRow
from ..trail import Actor, AuditEntry
from . import card_history
from .data_keys import DataKeys
from .live_key import LiveKey
from .vault_database import lock_numbers, next_id
from .web_key import WebKey


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


class Vault(DataKeys):
    """Seals, replaces, deletes and describes cards, and writes the trail.

    Every method takes an open transaction on ``engine`` and leaves the commit to the
    caller.  All threads of a process share one object; after a fork it mints a data
    key of its own.

    Every method that reads or writes rows may raise IntegrityFault, naming a row that
    is not as it was written, and one that seals also KeyWornOut.
    """

    @classmethod
    def open(
        cls, settings: VaultSettings, clock: Clock, pool: int | None = None
    ) -> Vault:
        """The vault that ``settings`` name, after testing the ciphers (VLT-01);
        ``pool`` is that of ``database.connect``.

        Raises FileRefused when the web key file is missing, damaged or readable by
        others.
        """
        crypto.self_test()
        web_key = WebKey.read(settings.web_key)
        return cls(web_key, connect(settings.database_url, pool=pool), clock)

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

        Raises IntegrityFault when the vault's row or its data key's is not as it was
        written, KeyWornOut when a data key has reached its limit, WrongVault when the
        database belongs to another vault, FileRefused when the web key is for another
        root.  The commit raises IntegrityFault when the trail's head is not as it was
        written.
        """
        detail = {"instead_of": instead_of} if instead_of else {}
        return self._register(db, pan, expiry, by, "card.registered", detail)

    def tokenize_many(
        self,
        db: Connection,
        cards: Sequence[tuple[Pan, Expiry]],
        by: Actor,
        subject: str = "",
        share: Share = ALL,
    ) -> list[Token]:
        """Seal a batch of new cards under one data key, with one entry in the trail
        that names them all; returns the tokens in the batch's order.  ``share`` is the
        batch's part of all tokens, when it is one of many batches.  Raises
        IntegrityFault, KeyWornOut, WrongVault and FileRefused as ``tokenize`` does; an
        empty batch raises nothing."""
        if not cards:
            return []
        tokens = self.seal_many(db, cards, by, share)
        detail = {"cards": dict.fromkeys(tokens, 1)}
        self.record(db, "card.imported", by, subject=subject, detail=detail)
        return tokens

    def seal_many(
        self,
        db: Connection,
        cards: Sequence[tuple[Pan, Expiry]],
        by: Actor,
        share: Share = ALL,
    ) -> list[Token]:
        """Seal new cards as ``tokenize_many`` does, for a caller who records each of
        them in the same transaction: a card without an entry is a finding of verify."""
        if not cards:
            return []
        lock_numbers(db)
        key = self._sealing_key(db, by, len(cards))
        return self._seal(db, key, cards, share)

    def replace(
        self, db: Connection, token: Token, pan: Pan, expiry: Expiry, by: Actor
    ) -> Token:
        """Seal the card that replaces ``token``'s and return its new token.  The old
        card stays until ``delete``, so that after a crash in between the customer
        still has one of the two.  Raises UnknownToken, and as ``tokenize`` does."""
        # Lock order: the numbers, then the old card's row, so that a writer that draws
        # a number never waits for a card.
        lock_numbers(db)
        before = self.show(self._find(db, token))
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
        detail = {"before": self.show(row)}
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
        return {token: self._why_missing(db, token) for token in gone}

    def purged_at(self, db: Connection, token: str) -> int | None:
        """When a card was purged (seconds since 1970 UTC), or None.  A mark whose MAC
        is wrong does not count."""
        row = db.execute(select(PURGED).where(PURGED.c.token == token)).first()
        if row is None or not self.is_signed(PURGED, row):
            return None
        at: int = row.at
        return at

    def _why_missing(self, db: Connection, token: str) -> str:
        if self.purged_at(db, token) is not None:
            return "purged"
        events = [entry.event for entry in card_history.readable(db, token)]
        return "given up" if "card.given_up" in events else "missing"

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

    def latest(
        self, db: Connection, tokens: Collection[str], event: str
    ) -> dict[str, AuditEntry]:
        """By token the newest entry of an ``event`` about each of the cards ``tokens``
        that has one.  As in ``history``, entries are not checked."""
        found = card_history.latest(db, tokens, event)
        return {entry.subject: entry for entry in found}

    def replaced_since(self, db: Connection, seq: int) -> set[str]:
        """The tokens of the cards in whose place others were sealed, by the trail from
        entry ``seq`` on; it reads every entry since."""
        return card_history.replaced_since(db, seq)

    def _purge_of(self, db: Connection, token: str) -> list[AuditEntry]:
        at = self.purged_at(db, token)
        if at is None:
            return []
        entries = card_history.readable(db, purge_subject(at))
        return [entry for entry in entries if card_history.names(entry, token)]

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
        (token,) = self._seal(db, self._sealing_key(db, by, 1), [(pan, expiry)])
        detail |= {"rev": 1, "after": f"{pan.masked} {expiry}"}
        self.record(db, event, by, subject=token, detail=detail)
        return token

    def _seal(
        self,
        db: Connection,
        key: LiveKey,
        cards: Sequence[tuple[Pan, Expiry]],
        share: Share = ALL,
    ) -> list[Token]:
        """Write new cards, sealed under ``key`` and signed; returns their tokens.  The
        caller has called ``lock_numbers``."""
        tokens, now = Token.several(len(cards), share), self.clock()
        seal, mac = key.cipher.sealer(len(cards)), card_signer(self.signer)
        start, ending = aad_start(self.web_key.vault_id), aad_ending(key.id)
        number, rows = next_id(db, CARD), []
        for token, (pan, expiry) in zip(tokens, cards, strict=True):
            envelope = seal(pad(pan), start + token.encode() + ending)
            # fmt: off
            row = (number, str(token), key.id, 1, envelope, pan.brand.name, pan.prefix,
                   pan.last4, pan.length, expiry.key, now, now)
            # fmt: on
            rows.append((*row, mac(row)))
            number += 1
        add_rows(db, CARD.name, CardRow._fields, rows)
        return tokens

    def _find(self, db: Connection, token: Token, *, lock: bool = True) -> Row[Any]:
        query = select(CARD).where(CARD.c.token == str(token))
        row = db.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise UnknownToken(f"no card has the token {token}")
        return row

    def show(self, row: Row[Any]) -> str:
        """A row's mask for the trail, or a word that the row is damaged."""
        try:
            card_checker(self.signer)(row)
        except IntegrityFault:
            return "damaged row"
        masked = mask(row.prefix, row.last4, row.length)
        return f"{masked} {Expiry.from_key(row.expiry)}"


def purge_subject(at: int) -> str:
    """The subject of the trail's entries about cards purged ``at`` (seconds since
    1970 UTC): a card's own entry is found by it without reading the others."""
    return f"purge {at}"


def card_of(row: Row[Any]) -> Card:
    """A checked row as a ``Card``."""
    values = {name: row._mapping[name] for name in Card.__dataclass_fields__}
    values |= {"token": Token(row.token), "expiry": Expiry.from_key(row.expiry)}
    return Card(**values)
