"""The vault as the ops role has it: what the web role can do, and opening.

Rows and files that only the root may make are checked for its MAC before they are
used: the vault's row, rotations and their ranges, quarantine rows, the keys that a
rotation seals under, and the web key file itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from .. import crypto
from ..clock import Clock
from ..crypto import Cipher
from ..errors import IntegrityFault, NotMadeByRoot, WrongRootKey
from ..store.row_macs import OpsSigner, canonical
from ..store.schema import CARD, DATA_KEY, VAULT
from ..trail import Actor, AuditEntry, Chain
from ..web.data_keys import wrap_info
from ..web.vault import Vault
from ..web.web_key import WebKey
from .open_cards import Opener, opener
from .root_key import RootKey

PAGE = 1000


class OpenVault(Vault):
    """A Vault with the root key.  No web process makes one."""

    signer: OpsSigner

    def __init__(
        self, web_key: WebKey, root_key: RootKey, engine: Engine, clock: Clock
    ) -> None:
        """Raises WrongRootKey when the root key is not this web key's."""
        super().__init__(web_key, engine, clock)
        self.root_key = root_key
        self._root = root_key.secret()
        self._require_root(root_key)
        self.signer = OpsSigner(web_key.vault_id, web_key.sealing_key, self._root.ops)
        self._ciphers: dict[int, Cipher] = {}

    def _require_root(self, root_key: RootKey) -> None:
        if root_key.vault_id != self.web_key.vault_id:
            raise WrongRootKey(
                f"the root key is of vault {root_key.vault_id}, "
                f"this is vault {self.web_key.vault_id}",
                hint="nothing was written; check VAULT_ROOT_KEY and VAULT_WEB_KEY",
            )

    def _check_state(self, row: Row[Any]) -> None:
        """Check the vault's own row, that this root is the vault's, and that it made
        the row and the web key; raises WrongRootKey and NotMadeByRoot too."""
        self.signer.check_sealing(VAULT, row, "vault row")
        self.check_root(row)
        self.require_own_web_key()

    def check_root(self, row: Row[Any]) -> None:
        """Check that this root is the vault's and that it made the vault's own row;
        raises WrongRootKey and NotMadeByRoot.  The sealing key is not needed."""
        if self.root_id == row.next_root_id:
            raise WrongRootKey(
                f"root key {self.root_id} is prepared and is not this vault's root yet",
                hint=f"use root {row.root_id}, or make the new one the root with: "
                "cardvault root rotate --finalize",
            )
        if self.root_id != row.root_id:
            raise WrongRootKey(
                f"root key {self.root_id} is not the root of this vault, {row.root_id}",
                hint="nothing was written; check VAULT_ROOT_KEY",
            )
        self.signer.check_ops(VAULT, row, "vault row")

    def require_own_web_key(self) -> None:
        """Raise NotMadeByRoot naming the web key file unless this root made it."""
        self.web_key.require_made_by(self._root.ops)

    def under(self, web_key: WebKey) -> OpenVault:
        """The same vault with this root key and another web key."""
        return OpenVault(web_key, self.root_key, self.engine, self.clock)

    @property
    def root_id(self) -> str:
        """The name of the root this object opens with."""
        return self._root.public.id

    @property
    def ops(self) -> crypto.OpsKeys:
        """The keys derived from this root's seed, which only the ops side has."""
        return self._root.ops

    def genesis(self, db: Connection) -> bytes:
        """The key of the trail's first entry.  Raises IntegrityFault when it was not
        sealed by this root."""
        row = db.execute(select(VAULT)).first()
        if row is None:
            raise IntegrityFault("vault row", "is missing")
        return self.ops.open_genesis(
            row.sealed_genesis, genesis_info(self.web_key.vault_id)
        )

    def cipher(self, db: Connection, key_id: int) -> Cipher:
        """The cipher of a data key; raises IntegrityFault naming the key."""
        if key_id not in self._ciphers:
            self._ciphers[key_id] = self.open_key(self._key_row(db, key_id))
        return self._ciphers[key_id]

    def rotation_cipher(self, db: Connection, key_id: int, generation: int) -> Cipher:
        """The cipher of the key that a rotation to ``generation`` seals under.

        Raises NotMadeByRoot unless the ops side minted it for that generation, because
        whoever has the web key can wrap a key of their own to the root.
        """
        row = self._key_row(db, key_id)
        if (row.suite, row.generation) != (crypto.OPS_SUITE, generation):
            raise NotMadeByRoot(f"data key {key_id}")
        return self.open_key(row)

    def _key_row(self, db: Connection, key_id: int) -> Row[Any]:
        subject = f"data key {key_id}"
        row = db.execute(select(DATA_KEY).where(DATA_KEY.c.id == key_id)).first()
        if row is None:
            raise IntegrityFault(subject, "is missing")
        self.signer.check(DATA_KEY, row, subject)
        return row

    def opener(self, db: Connection) -> Opener:
        """Like ``digits``, for many rows of the whole ``card`` table: it looks up keys
        and builds AADs once."""

        def cipher(key_id: int) -> Cipher:
            return self._ciphers.get(key_id) or self.cipher(db, key_id)

        return opener(self.signer, cipher)

    def digits(self, db: Connection, row: Row[Any]) -> bytes:
        """The number a card row holds, as ASCII digits.

        The row's MAC is checked first, and what was opened is compared with the row.
        Raises IntegrityFault naming the token.
        """
        return self.opener(db)(row)

    def trail_entries(self, db: Connection) -> Iterator[AuditEntry]:
        """Every entry of the trail, checked; raises IntegrityFault at the first bad
        entry."""
        chain = Chain(self.web_key.vault_id, self.genesis(db))
        return chain.entries(db, self.trail)

    def destroy_key(self, db: Connection, row: Row[Any], by: Actor) -> None:
        """Delete a data key's wrapped bytes.  The row stays as a record.  The database
        refuses while a card is still sealed under the key."""
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

    def open_key(self, row: Row[Any]) -> Cipher:
        """A data key row's cipher; raises IntegrityFault naming the key."""
        return Cipher(self.unwrap_key(row))

    def unwrap_key(self, row: Row[Any]) -> bytes:
        """A data key row's 32 bytes; raises IntegrityFault naming it."""
        mine = row.root_id == self.root_id
        return unwrap(
            self._root, self.web_key.vault_id, row, row.wrapped if mine else None
        )

    def _wrap(self, secret: bytes, info: bytes) -> dict[str, Any]:
        # Whoever has the web key can wrap a key to the root's public half, so a
        # rotation seals only under keys that were wrapped here, with a key of the
        # root's.
        wrapped = self.ops.wrap(secret, info)
        return {
            "suite": crypto.OPS_SUITE,
            "root_id": self.root_id,
            "wrapped": wrapped,
        }

    @property
    def _maker(self) -> dict[str, str]:
        return {"root": self.root_id}


def unwrap(
    root: crypto.RootSecret, vault_id: str, row: Row[Any], wrapped: bytes | None
) -> bytes:
    """The data key (32 bytes) in ``wrapped``, which is one of the row's two wrappings,
    opened with ``root``; raises IntegrityFault naming the key."""
    subject = f"data key {row.id}"
    info = wrap_info(vault_id, row.id, row.generation)
    if row.suite == crypto.OPS_SUITE:
        secret = root.ops.unwrap(wrapped or b"", info, subject)
    elif row.suite == crypto.SUITE:
        secret = root.unwrap(wrapped or b"", info, subject)
    else:
        raise IntegrityFault(subject, "is wrapped in a way this code doesn't know")
    if len(secret) != crypto.KEY_BYTES:
        raise IntegrityFault(subject, f"is not {crypto.KEY_BYTES} bytes long")
    return secret


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
    """The bytes the sealed genesis key is bound to."""
    return canonical(("cardvault audit genesis", vault_id))
