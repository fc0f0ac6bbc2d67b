"""The ops role: everything the web role can, and with the root key, opening."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from . import sealing
from .audit import Actor, AuditEntry, check_chain
from .clock import Clock
from .errors import InputError, IntegrityFault, VaultError, WrongRootKey
from .keys import RootKey, WebKey
from .ledger import Ledger
from .opening import Opener, opener
from .rows import canonical
from .schema import CARD, DATA_KEY, PURGED
from .sealing import Cipher
from .token import Token
from .vault import Vault, wrap_info

PAGE = 1000


@dataclass(frozen=True)
class Finding:
    """Something ``verify`` found: which row (a token, a data key, an audit entry)
    and what is wrong with it."""

    subject: str
    problem: str


class OpenVault(Vault):
    """A Vault that holds the root key.  Never made in a web process."""

    def __init__(
        self, web_key: WebKey, root_key: RootKey, engine: Engine, clock: Clock
    ) -> None:
        """Raises WrongRootKey when the root key is not this web key's."""
        super().__init__(web_key, engine, clock)
        self._root = root_key.secret()
        self._require_root(root_key)
        self._ciphers: dict[int, Cipher] = {}

    def _require_root(self, root_key: RootKey) -> None:
        if root_key.vault_id != self.web_key.vault_id:
            raise WrongRootKey(
                f"the root key is of vault {root_key.vault_id}, "
                f"this is vault {self.web_key.vault_id}",
                hint="nothing was written; check VAULT_ROOT_KEY and VAULT_WEB_KEY",
            )

    def state(self, db: Connection, *, keep: bool = False) -> Row[Any]:
        """The vault's own row, checked; raises WrongRootKey too, when this root
        is neither the vault's root nor the one that is to come."""
        row = super().state(db, keep=keep)
        if self.root_id not in (row.root_id, row.next_root_id):
            raise WrongRootKey(
                f"root key {self.root_id} is not the root of this vault, {row.root_id}",
                hint="nothing was written; check VAULT_ROOT_KEY",
            )
        return row

    @property
    def root_id(self) -> str:
        """The name of the root this object opens with."""
        return self._root.public.id

    def genesis(self, db: Connection) -> bytes:
        """The key of the trail's first entry."""
        row = self.state(db)
        mine = self.root_id == row.root_id
        return self._root.unwrap(
            row.sealed_genesis if mine else row.next_genesis,
            genesis_info(self.web_key.vault_id),
            "audit genesis",
        )

    def cipher(self, db: Connection, key_id: int) -> Cipher:
        """The cipher of a data key; raises IntegrityFault naming the key."""
        if key_id not in self._ciphers:
            subject = f"data key {key_id}"
            row = db.execute(select(DATA_KEY).where(DATA_KEY.c.id == key_id)).first()
            if row is None:
                raise IntegrityFault(subject, "is missing")
            self.signer.check(DATA_KEY, row, subject)
            self._ciphers[key_id] = self._unwrap(row)
        return self._ciphers[key_id]

    def opener(self, db: Connection) -> Opener:
        """``digits`` for many whole card rows, many times as fast."""

        def cipher(key_id: int) -> Cipher:
            return self._ciphers.get(key_id) or self.cipher(db, key_id)

        return opener(self.signer, cipher)

    def digits(self, db: Connection, row: Row[Any]) -> bytes:
        """The number a card row holds, as ASCII digits.

        The row's MAC is checked first and what was opened is held against the
        row.  Raises IntegrityFault naming the token.
        """
        return self.opener(db)(row)

    def verify(self, db: Connection) -> Iterator[Finding]:
        """Open every card and check everything; yields what is wrong.

        Order: the vault's row, the trail, data keys, cards, and cards and keys
        against the trail.  ``db`` is one reading transaction.
        """
        try:
            self.state(db)
        except VaultError as fault:
            yield Finding("vault row", str(fault))
            return
        ledger = Ledger()
        yield from self._verify_trail(db, ledger)
        for row in db.execute(select(DATA_KEY).order_by(DATA_KEY.c.id)):
            yield from self._verify_key(row, ledger)
        opened = self.opener(db)
        for row in card_rows(db):
            yield from self._verify_card(opened, row, ledger)
        for token in db.execute(select(PURGED.c.token)).scalars():
            yield from self._verify_purged(token, ledger)
        for subject, problem in ledger.missing():
            yield Finding(subject, problem)

    def trail_entries(self, db: Connection) -> Iterator[AuditEntry]:
        """Every entry of the trail, checked; raises IntegrityFault at the first
        bad place."""
        return check_chain(db, self.web_key.vault_id, self.genesis(db), self.trail)

    def _verify_trail(self, db: Connection, ledger: Ledger) -> Iterator[Finding]:
        try:
            for entry in self.trail_entries(db):
                ledger.read(entry)
        except IntegrityFault as fault:
            # What follows can't be trusted, so rows aren't held against it.
            ledger.give_up()
            yield Finding(fault.subject, fault.problem)

    def _verify_key(self, row: Row[Any], ledger: Ledger) -> Iterator[Finding]:
        subject = f"data key {row.id}"
        try:
            self.signer.check(DATA_KEY, row, subject)
            if row.state != "destroyed":
                self._ciphers[row.id] = self._unwrap(row)
            ledger.check_key(row.id, row.state)
        except IntegrityFault as fault:
            yield Finding(subject, fault.problem)

    def _verify_card(
        self, opened: Opener, row: Row[Any], ledger: Ledger
    ) -> Iterator[Finding]:
        try:
            ledger.meet(row.token)
            Token.parse(row.token)
            opened(row)
            ledger.check_card(row.token, row.rev)
        except InputError:
            yield Finding(str(row.token), "is not a token")
        except IntegrityFault as fault:
            yield Finding(str(row.token), fault.problem)

    def _verify_purged(self, token: str, ledger: Ledger) -> Iterator[Finding]:
        try:
            ledger.check_purged(token)
        except IntegrityFault as fault:
            yield Finding(fault.subject, fault.problem)

    def destroy_key(self, db: Connection, row: Row[Any], by: Actor) -> None:
        """Overwrite a data key's wrapped bytes.  The row stays as evidence; the
        database refuses while a card is still sealed under it."""
        self.set_key(
            db,
            row,
            opens=None,
            state="destroyed",
            wrapped=b"",
            next_root_id=None,
            next_wrapped=None,
            destroyed_at=self.clock(),
        )
        self.record(db, "key.destroyed", by, subject=f"data key {row.id}")

    def _unwrap(self, row: Row[Any]) -> Cipher:
        return Cipher(self.unwrap_key(row))

    def unwrap_key(self, row: Row[Any]) -> bytes:
        """A checked data key row's key; raises IntegrityFault naming it."""
        wrapped = row.wrapped if row.root_id == self.root_id else row.next_wrapped
        info = wrap_info(self.web_key.vault_id, row.id)
        return self._root.unwrap(wrapped or b"", info, f"data key {row.id}")


def card_page(db: Connection, after: int, size: int) -> Sequence[Row[Any]]:
    """Up to ``size`` card rows with numbers above ``after``, in order."""
    query = select(CARD).where(CARD.c.id > after).order_by(CARD.c.id).limit(size)
    return db.execute(query).all()


def card_rows(db: Connection) -> Iterator[Row[Any]]:
    """Every card row in the order of its number, a page at a time."""
    after = 0
    while True:
        page = card_page(db, after, PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def genesis_info(vault_id: str) -> bytes:
    """What the sealed genesis key is bound to."""
    return canonical(("cardvault audit genesis", vault_id))


def new_genesis(web_key: WebKey) -> tuple[bytes, bytes]:
    """A fresh genesis key and the same sealed to the root."""
    key = sealing.new_key()
    return key, web_key.root.wrap(key, genesis_info(web_key.vault_id))
