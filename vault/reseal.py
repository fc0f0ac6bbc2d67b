"""Re-encrypting a batch of cards: the hot loop of a rotation.

On SQLite one UPDATE does it all, calling a Python function on each row; there is
no moment between reading a row and writing it for an operator's edit to fall
into, and it runs faster than reading and writing in turn.  Elsewhere the rows
are locked, read and written back by id, rev and data key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, select, text

from .errors import IntegrityFault
from .open_vault import OpenVault, agrees
from .rows import NOT_AS_TYPED, card_facts, card_message, card_start
from .schema import CARD, DATA_KEY
from .sealing import Cipher, same
from .vault import aad_ending, aad_start

NOT_AS_WRITTEN = "is not as it was written (MAC)"
# The order of the arguments SQLite passes; all of CARD's columns.
_COLUMNS = tuple(column.name for column in CARD.columns)

_RANGE = """
    SELECT max(id), count(*)
    FROM (SELECT id FROM card WHERE id > :after ORDER BY id LIMIT :size) AS page
"""
# The names put in are the schema's own.
_UPDATE = f"""
    UPDATE card SET envelope = new_envelope(id), mac = new_mac(id),
        data_key_id = :key, rev = rev + 1
    WHERE id > :after AND id <= :last AND reseal({", ".join(_COLUMNS)})
"""  # noqa: S608
_UPDATE_ROW = """
    UPDATE card SET envelope = :envelope, mac = :mac, data_key_id = :key,
        rev = rev + 1
    WHERE id = :id AND rev = :rev AND data_key_id = :old_key
"""


@dataclass(frozen=True)
class Batch:
    """What one batch came to: ``last`` is the highest id seen (None at the end),
    ``revs`` the new rev of each card re-encrypted, ``newer`` how many cards
    were of this generation already, ``bad`` what is wrong with the others, by
    (card id, token)."""

    last: int | None
    revs: dict[str, int]
    newer: int
    bad: dict[tuple[int, str], str]


Opener = Callable[[bytes, bytes, str], bytes]


class Resealer:
    """Re-encrypts the cards of generations before ``generation`` under one data
    key of it."""

    def __init__(
        self, vault: OpenVault, generation: int, key_id: int, cipher: Cipher
    ) -> None:
        self._vault = vault
        self._generation = generation
        self._key_id = key_id
        self._cipher = cipher
        # Filled by one batch and emptied before the next.
        self._new: dict[int, tuple[bytes, bytes]] = {}
        self._revs: dict[str, int] = {}
        self._bad: dict[tuple[int, str], str] = {}
        # How to open what each data key sealed: its opener and the ending of
        # its AAD, or why it can't; None for a key of this generation.
        self._openers: dict[int, tuple[Opener, bytes] | None] = {}
        self._reseal = self._make_reseal()

    def run(self, db: Connection, after: int, size: int) -> Batch:
        """Re-encrypt up to ``size`` cards with ids above ``after`` in ``db``."""
        for filled in (self._new, self._revs, self._bad):
            filled.clear()
        last, count = db.execute(text(_RANGE), {"after": after, "size": size}).one()
        if last is None:
            return Batch(None, {}, 0, {})
        self._load_keys(db)
        if db.dialect.name == "sqlite":
            self._update_in_place(db, after, last)
        else:
            self._update_by_rows(db, after, last)
        newer = count - len(self._revs) - len(self._bad)
        return Batch(last, dict(self._revs), newer, dict(self._bad))

    def _load_keys(self, db: Connection) -> None:
        """Have an opener for every data key; web processes mint while we run."""
        keys = db.execute(select(DATA_KEY.c.id, DATA_KEY.c.generation))
        for key_id, generation in keys:
            if key_id not in self._openers:
                older = generation < self._generation
                self._openers[key_id] = self._opener(db, key_id) if older else None

    def _opener(self, db: Connection, key_id: int) -> tuple[Opener, bytes]:
        try:
            return self._vault.cipher(db, key_id).open, aad_ending(key_id)
        except IntegrityFault as fault:
            problem = f"its {fault}"

        def lost(_envelope: bytes, _aad: bytes, token: str) -> bytes:
            raise IntegrityFault(token, problem)

        return lost, b""

    def _update_in_place(self, db: Connection, after: int, last: int) -> None:
        raw = cast(sqlite3.Connection, db.connection.dbapi_connection)
        new = self._new
        raw.create_function("reseal", len(_COLUMNS), self._reseal)
        raw.create_function("new_envelope", 1, lambda card_id: new[card_id][0])
        raw.create_function("new_mac", 1, lambda card_id: new[card_id][1])
        raw.execute(_UPDATE, {"key": self._key_id, "after": after, "last": last})

    def _update_by_rows(self, db: Connection, after: int, last: int) -> None:
        query = select(CARD).where(CARD.c.id > after, CARD.c.id <= last)
        rows = db.execute(query.with_for_update()).all()
        changes = [
            {
                "envelope": self._new[row.id][0],
                "mac": self._new[row.id][1],
                "key": self._key_id,
                "id": row.id,
                "rev": row.rev,
                "old_key": row.data_key_id,
            }
            for row in rows
            if self._reseal(*row)
        ]
        if changes:
            db.execute(text(_UPDATE_ROW), changes)

    def _make_reseal(self) -> Callable[..., bool]:
        """The function that makes one card's new envelope and MAC; it says False
        to leave the row alone.

        The row's MAC is checked, the envelope opened and held against the row,
        sealed anew, opened again and compared, and only then signed.  A closure:
        looking names up in locals is a tenth of the whole loop.
        """
        openers, new, revs, bad = self._openers, self._new, self._revs, self._bad
        key_id, seal, reopen = self._key_id, self._cipher.seal, self._cipher.open
        vault_id, sign = self._vault.web_key.vault_id, self._vault.signer.mac.sign
        start, aad_head, ending = (
            card_start(vault_id),
            aad_start(vault_id),
            aad_ending(key_id),
        )

        def reseal(
            card_id: int,
            token: str,
            data_key_id: int,
            rev: int,
            envelope: bytes,
            brand: str,
            prefix: str,
            last4: str,
            length: int,
            expiry: int,
            created_at: int,
            updated_at: int,
            mac: bytes,
        ) -> bool:
            try:
                facts = card_facts(
                    card_id,
                    token,
                    brand,
                    prefix,
                    last4,
                    length,
                    expiry,
                    created_at,
                    updated_at,
                )
                signed = sign(card_message(start, facts, data_key_id, rev, envelope))
                if not same(mac, signed):
                    raise IntegrityFault(token, NOT_AS_WRITTEN)
                opener = openers[data_key_id]
                if opener is None:
                    return False
                aad = aad_head + token.encode()
                plain = opener[0](envelope, aad + opener[1], token)
                aad += ending
                fresh = seal(plain, aad)
                if not agrees(plain, prefix, last4, length):
                    raise IntegrityFault(token, "opens to another number")
                if reopen(fresh, aad, token) != plain:
                    raise IntegrityFault(token, "did not open again when sealed")
                message = card_message(start, facts, key_id, rev + 1, fresh)
            except NOT_AS_TYPED:
                bad[card_id, str(token)] = NOT_AS_WRITTEN
            except IntegrityFault as fault:
                bad[card_id, str(token)] = fault.problem
            else:
                new[card_id] = (fresh, sign(message))
                revs[token] = rev + 1
                return True
            return False

        return reseal
