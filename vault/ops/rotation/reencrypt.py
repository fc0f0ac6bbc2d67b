"""Re-encrypts a batch of cards; this is the hot loop of a rotation.

On SQLite one UPDATE does it all, calling a Python function on each row: an operator's
edit can't come between reading a row and writing it, and it is faster than reading and
writing in turn.  A batch with text that is no UTF-8, which SQLite can't hand to a
function, is read and written in turn.  On PostgreSQL the rows are locked, read and
written back by id, rev and data key in one statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection, Row, select, text

from ...card.envelope import aad_ending, aad_start, agrees
from ...crypto import Cipher
from ...errors import IntegrityFault
from ...store.row_macs import (
    NOT_AS_TYPED,
    NOT_AS_WRITTEN,
    card_checker,
    card_start,
    moved_numbers,
)
from ...store.schema import CARD, DATA_KEY, CardRow
from ..open_vault import OpenVault

# The order of the arguments SQLite passes; all of CARD's columns.
_COLUMNS = CardRow._fields

_RANGE = text("""
    SELECT max(id), count(*) FROM (
        SELECT id FROM card WHERE id > :after AND id <= :last ORDER BY id LIMIT :size
    ) AS page
""")
# The names that are put in are the schema's own.
_UPDATE = f"""
    UPDATE card SET envelope = new_envelope(id), mac = new_mac(id),
        data_key_id = :key, rev = rev + 1
    WHERE id > :after AND id <= :last AND reencrypt({", ".join(_COLUMNS)})
"""  # noqa: S608
_PAGE = select(CARD).order_by(CARD.c.id).with_for_update(key_share=True)
# %b is psycopg's binary form, which sends bytes unchanged and not in hexadecimal.  With
# the bounds the planner reads only the page's rows, whatever it estimates for the
# arrays.
_UPDATE_PAGE = """
    UPDATE card SET envelope = new.envelope, mac = new.mac, data_key_id = %b,
        rev = card.rev + 1
    FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::bytea[], %b::bytea[])
        AS new (id, rev, key, envelope, mac)
    WHERE card.id = new.id AND card.rev = new.rev AND card.data_key_id = new.key
        AND card.id > %b AND card.id <= %b
"""
# The same on SQLite, for a batch with a row that it can't give to a function.
_UPDATE_ROW = """
    UPDATE card SET envelope = ?, mac = ?, data_key_id = ?, rev = rev + 1
    WHERE id = ? AND rev = ? AND data_key_id = ?
"""
NO_KEY = "its data key is missing"
END = 2**63 - 1
"""A card number no card reaches."""


Reencrypt = Callable[..., bool]


@dataclass
class Batch:
    """The result of one batch: ``last`` is the highest id seen (None at the end),
    ``new`` the new envelope and MAC by card id, ``revs`` the new rev of each
    re-encrypted card, ``newer`` how many cards were of this generation already, ``bad``
    what is wrong with the others, by (card id, token)."""

    last: int | None
    new: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    revs: dict[str, int] = field(default_factory=dict)
    newer: int = 0
    bad: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        """How many cards the batch had."""
        return len(self.revs) + self.newer + len(self.bad)


class Reencryptor:
    """Re-encrypts the cards of generations before ``generation`` under one data
    key of it."""

    def __init__(
        self, vault: OpenVault, generation: int, key_id: int, cipher: Cipher
    ) -> None:
        self._vault = vault
        self._generation = generation
        self._key_id = key_id
        self._cipher = cipher
        # Each data key's cipher and the ending of its AAD; None for a key of this
        # generation.  A key that can't be unwrapped is in ``_lost`` with the reason.
        self._ciphers: dict[int, tuple[Cipher, bytes] | None] = {}
        self._lost: dict[int, str] = {}

    def run(self, db: Connection, after: int, size: int, last: int = END) -> Batch:
        """Re-encrypt up to ``size`` cards with ids above ``after``, up to ``last``,
        in ``db``."""
        if db.dialect.name == "sqlite":
            try:
                return self._in_place(db, after, size, last)
            except sqlite3.OperationalError as error:
                if "user-defined function" not in str(error):
                    raise
        return self._by_page(db, after, size, last)

    def _load_keys(self, db: Connection) -> None:
        """Load the data keys that web processes minted since the last batch."""
        there = set(db.execute(select(DATA_KEY.c.id)).scalars())
        new = there - self._ciphers.keys() - self._lost.keys()
        if not new:
            return
        for key in db.execute(select(DATA_KEY).where(DATA_KEY.c.id.in_(new))):
            try:
                self._ciphers[key.id] = self._cipher_of(key)
            except IntegrityFault as fault:
                self._lost[key.id] = f"its {fault}"

    def _cipher_of(self, key: Row[Any]) -> tuple[Cipher, bytes] | None:
        # What an edited row says of its generation is not believed.
        if self._vault.is_whole(key) and key.generation >= self._generation:
            return None
        self._vault.signer.check(DATA_KEY, key, f"data key {key.id}")
        return self._vault.open_key(key), aad_ending(key.id)

    def _in_place(self, db: Connection, after: int, size: int, last: int) -> Batch:
        bounds = {"after": after, "last": last, "size": size}
        highest, count = db.execute(_RANGE, bounds).one()
        batch = Batch(highest)
        if highest is None:
            return batch
        self._load_keys(db)
        raw = cast(sqlite3.Connection, db.connection.dbapi_connection)
        new = batch.new
        raw.create_function("reencrypt", len(_COLUMNS), self._function(batch, count))
        raw.create_function("new_envelope", 1, lambda card_id: new[card_id][0])
        raw.create_function("new_mac", 1, lambda card_id: new[card_id][1])
        raw.execute(_UPDATE, {"key": self._key_id, "after": after, "last": highest})
        batch.newer = count - len(batch.revs) - len(batch.bad)
        return batch

    def _by_page(self, db: Connection, after: int, size: int, last: int) -> Batch:
        query = _PAGE.where(CARD.c.id > after, CARD.c.id <= last).limit(size)
        rows = db.execute(query).all()
        batch = Batch(rows[-1].id if rows else None)
        # Load keys after reading the cards: a new card may be under a new key.
        self._load_keys(db)
        reencrypt = self._function(batch, len(rows))
        changed = [row for row in rows if reencrypt(*row)]
        batch.newer = len(rows) - len(changed) - len(batch.bad)
        if changed:
            self._write_page(db, after, batch, changed)
        return batch

    def _write_page(
        self, db: Connection, after: int, batch: Batch, changed: Sequence[Row[Any]]
    ) -> None:
        """Write the new envelopes of ``changed`` rows, every one or none."""
        fresh = [batch.new[row.id] for row in changed]
        if db.dialect.name == "sqlite":
            rows = [
                (*new, self._key_id, row.id, row.rev, row.data_key_id)
                for new, row in zip(fresh, changed, strict=True)
            ]
            done = db.exec_driver_sql(_UPDATE_ROW, rows)
        else:
            columns = (
                [row.id for row in changed],
                [row.rev for row in changed],
                [row.data_key_id for row in changed],
                [envelope for envelope, _ in fresh],
                [mac for _, mac in fresh],
            )
            bounds = (after, batch.last)
            done = db.exec_driver_sql(_UPDATE_PAGE, (self._key_id, *columns, *bounds))
        if done.rowcount != len(changed):
            raise IntegrityFault(
                f"cards {after + 1} to {batch.last}",
                f"{done.rowcount} of {len(changed)} were written, and so none is",
            )

    def _function(self, batch: Batch, count: int) -> Reencrypt:
        """The function that makes one card's new envelope and MAC; it says False
        to leave the row alone.

        The row's MAC is checked, the envelope opened and held against the row,
        sealed anew, opened again and compared, and only then signed.  A closure:
        looking names up in locals is a tenth of the whole loop.
        """
        new, revs, bad = batch.new, batch.revs, batch.bad
        ciphers, lost = self._ciphers, self._lost
        key_id, move = self._key_id, self._cipher.mover(count)
        signer, vault_id = self._vault.signer, self._vault.web_key.vault_id
        check, sign = card_checker(signer), signer.mac.sign
        start, aad_head = card_start(vault_id), aad_start(vault_id)
        ending = aad_ending(key_id)

        def reencrypt(*row: Any) -> bool:
            # fmt: off
            (card_id, token, data_key_id, rev, envelope, _, prefix, last4, length,
             _, _, _, _) = row
            # fmt: on
            try:
                facts = check(row)
                old = ciphers[data_key_id]
                if old is None:
                    return False
                aad = aad_head + token.encode()
                plain, fresh = move(old[0], envelope, aad + old[1], aad + ending, token)
                if not agrees(plain, prefix, last4, length):
                    raise IntegrityFault(token, "opens to another number")
                moved = moved_numbers(key_id, rev + 1)
            except NOT_AS_TYPED:
                bad[card_id, str(token)] = NOT_AS_WRITTEN
            except IntegrityFault as fault:
                bad[card_id, str(token)] = fault.problem
            except KeyError:
                bad[card_id, str(token)] = lost.get(data_key_id, NO_KEY)
            else:
                new[card_id] = fresh, sign(start + moved + facts + fresh)
                revs[token] = rev + 1
                return True
            return False

        return reencrypt
