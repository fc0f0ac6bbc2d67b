"""The ops role: everything the web role can, and with the root key, opening."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from . import sealing
from .audit import AuditEntry, check_chain
from .clock import Clock
from .errors import InputError, IntegrityFault, VaultError, WrongRootKey
from .keys import RootKey, WebKey
from .ledger import Ledger
from .rows import canonical
from .schema import CARD, DATA_KEY
from .sealing import Cipher
from .token import Token
from .vault import PLAINTEXT_BYTES, Vault, envelope_aad, wrap_info

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
        if self._root.public.encoded != web_key.root.encoded:
            raise WrongRootKey(
                f"root key {self._root.public.id} is not the root of this vault, "
                f"{web_key.root.id}",
                hint="nothing was written; check VAULT_ROOT_KEY and VAULT_WEB_KEY",
            )
        self._ciphers: dict[int, Cipher] = {}

    def genesis(self, db: Connection) -> bytes:
        """The key of the trail's first entry."""
        sealed = self.state(db).sealed_genesis
        return self._root.unwrap(
            sealed, genesis_info(self.web_key.vault_id), "audit genesis"
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

    def digits(self, db: Connection, row: Row[Any]) -> bytes:
        """The number a card row holds, as ASCII digits.

        The row's MAC is checked first and what was opened is held against the
        row.  Raises IntegrityFault naming the token.
        """
        self.signer.check(CARD, row, row.token)
        try:
            cipher = self.cipher(db, row.data_key_id)
        except IntegrityFault as fault:
            raise IntegrityFault(row.token, f"its {fault}") from None
        aad = envelope_aad(self.web_key.vault_id, row.token, row.data_key_id)
        digits = unpad(cipher.open(row.envelope, aad, row.token), row.token)
        if (
            len(digits) != row.length
            or not digits.startswith(row.prefix.encode())
            or not digits.endswith(row.last4.encode())
        ):
            raise IntegrityFault(row.token, "opens to another number than its row says")
        return digits

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
        for row in card_rows(db):
            yield from self._verify_card(db, row, ledger)
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
        self, db: Connection, row: Row[Any], ledger: Ledger
    ) -> Iterator[Finding]:
        try:
            ledger.meet(row.token)
            Token.parse(row.token)
            self.digits(db, row)
            ledger.check_card(row.token, row.rev)
        except InputError:
            yield Finding(str(row.token), "is not a token")
        except IntegrityFault as fault:
            yield Finding(str(row.token), fault.problem)

    def _unwrap(self, row: Row[Any]) -> Cipher:
        info = wrap_info(self.web_key.vault_id, row.id)
        return Cipher(self._root.unwrap(row.wrapped, info, f"data key {row.id}"))


def card_rows(db: Connection) -> Iterator[Row[Any]]:
    """Every card row in the order of its number, a page at a time."""
    after = 0
    while True:
        query = select(CARD).where(CARD.c.id > after).order_by(CARD.c.id).limit(PAGE)
        page = db.execute(query).all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def unpad(plaintext: bytes, subject: str) -> bytes:
    """The digits inside an envelope; raises IntegrityFault naming ``subject``."""
    digits = plaintext[1 : 1 + plaintext[0]] if plaintext else b""
    rest = plaintext[1 + len(digits) :]
    if len(plaintext) != PLAINTEXT_BYTES or not digits.isdigit() or any(rest):
        raise IntegrityFault(subject, "opens to something that is not a number")
    return digits


def genesis_info(vault_id: str) -> bytes:
    """What the sealed genesis key is bound to."""
    return canonical(("cardvault audit genesis", vault_id))


def new_genesis(web_key: WebKey) -> tuple[bytes, bytes]:
    """A fresh genesis key and the same sealed to the root."""
    key = sealing.new_key()
    return key, web_key.root.wrap(key, genesis_info(web_key.vault_id))
