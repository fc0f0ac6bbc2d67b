"""Verifies a vault: opens every card and checks every row of every table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from ..card.token import Token
from ..crypto import OPS_SUITE, Cipher
from ..errors import InputError, IntegrityFault
from ..store.row_macs import CardCheck
from ..store.schema import (
    CARD,
    DATA_KEY,
    PURGED,
    QUARANTINE,
    ROTATION,
    ROTATION_RANGE,
    VAULT,
)
from ..store.triggers import triggers
from ..trail import AuditEntry, Chain
from .expected_rows import ExpectedRows, mark_name
from .open_cards import opener
from .open_vault import OpenVault

PAGE = 1000


@dataclass(frozen=True)
class Finding:
    """A row that is wrong (``subject``: a token, a data key, an audit entry) and what
    is wrong with it."""

    subject: str
    problem: str


def verify(
    vault: OpenVault, db: Connection, check: CardCheck | None = None
) -> Iterator[Finding]:
    """Open every card and check every row; yields what is wrong.

    It goes on after each finding, and whatever a row's columns hold.  ``db`` is one
    transaction.  ``check`` is as ``opener`` has it.
    """
    return _Verification(vault, db, check).run()


class TrailReading:
    """Checks the trail's entries and gives them to ``expected``; called again, it goes on
    with the entries written since.

    After a bad entry no row is compared with the trail any more, because the entry may
    have been about a deletion.
    """

    def __init__(self, vault: OpenVault, whole: int | None = None) -> None:
        """``whole`` is as in ExpectedRows."""
        self.expected = ExpectedRows(whole)
        self._vault = vault
        self._chain: Chain | None = None

    def read_on(self, db: Connection) -> list[IntegrityFault]:
        """Read the new entries in ``db``; returns the faults among them."""
        try:
            self._chain = self._chain or Chain(
                self._vault.web_key.vault_id, self._vault.genesis(db)
            )
        except IntegrityFault as fault:
            self.expected.give_up(fault)
            return [fault]
        faults: list[IntegrityFault] = []
        for found in self._chain.walk(db, self._vault.trail):
            bad = (
                _take(self.expected, found) if isinstance(found, AuditEntry) else found
            )
            if bad is not None:
                self.expected.give_up(bad)
                faults.append(bad)
        return faults


def _take(expected: ExpectedRows, entry: AuditEntry) -> IntegrityFault | None:
    try:
        expected.read(entry)
    except (AttributeError, KeyError, TypeError, ValueError):
        # Whoever has the web key can write an entry with any content.
        subject = f"audit entry {entry.seq}"
        return IntegrityFault(subject, "says what this program never writes")
    return None


class _Verification:
    """One run over one moment's tables."""

    def __init__(
        self, vault: OpenVault, db: Connection, check: CardCheck | None = None
    ) -> None:
        self._vault = vault
        self._db = db
        self._trail = TrailReading(vault)
        self._ledger = self._trail.expected
        # The highest generation in rows that the root signed; no web process may be
        # ahead.
        self._generation = 1
        self._minted: dict[str, int] = {}
        self._ciphers: dict[int, Cipher] = {}
        self._opened = opener(vault.signer, self._cipher_of, check)

    def run(self) -> Iterator[Finding]:
        """Check the web key, the trail, every table, and then what is missing."""
        try:
            self._vault.require_own_web_key()
        except IntegrityFault as fault:
            yield Finding(fault.subject, fault.problem)
        for name in triggers(self._db):
            yield Finding(name, "is not of this program's making")
        for bad in self._trail.read_on(self._db):
            yield Finding(bad.subject, bad.problem)
        for table, check in self._checks().items():
            for row in self._rows(table):
                yield from self._row(table, row, check)
        yield from self._ahead()
        for subject, problem in self._ledger.missing():
            yield Finding(subject, problem)

    def _checks(self) -> Mapping[Table, Callable[[Row[Any]], None]]:
        """How a row of each table is checked beyond its MACs.  Cards come after the
        keys that open them, and the vault's row after the rows that tell its
        generation."""
        return {
            DATA_KEY: self._check_key,
            ROTATION: self._check_rotation,
            VAULT: self._check_state,
            ROTATION_RANGE: _no_more,
            QUARANTINE: _no_more,
            PURGED: lambda row: self._ledger.check_purged(row.token),
            CARD: self._check_card,
        }

    def _rows(self, table: Table) -> Iterator[Row[Any]]:
        # Rows are not paged by their number, because an edited one may be anything.
        query = select(table).execution_options(yield_per=PAGE)
        return iter(self._db.execute(query))

    def _row(
        self, table: Table, row: Row[Any], check: Callable[[Row[Any]], None]
    ) -> Iterator[Finding]:
        subject = name_of(table, row)
        self._ledger.meet(subject)
        try:
            if table is DATA_KEY:
                self._keep_cipher(row)
            if table is not CARD:
                self._vault.signer.check(table, row, subject)
            check(row)
        except IntegrityFault as fault:
            yield Finding(subject, fault.problem)

    def _keep_cipher(self, row: Row[Any]) -> None:
        """Keep the cipher of a key that opens, even if its row was edited: then the row
        is named, and not every card under the key."""
        if row.state != "destroyed":
            with suppress(IntegrityFault, TypeError, ValueError):
                self._ciphers[row.id] = self._vault.open_key(row)

    def _cipher_of(self, key_id: int) -> Cipher:
        if key_id not in self._ciphers:
            raise IntegrityFault(f"data key {key_id}", "is missing or can't be opened")
        return self._ciphers[key_id]

    def _check_key(self, row: Row[Any]) -> None:
        if row.suite == OPS_SUITE:
            self._generation = max(self._generation, row.generation)
        elif isinstance(row.generation, int):
            self._minted[name_of(DATA_KEY, row)] = row.generation
        if row.state != "destroyed":
            self._vault.open_key(row)
        self._ledger.check_key(row)

    def _check_rotation(self, row: Row[Any]) -> None:
        self._generation = max(self._generation, row.generation)
        self._ledger.check_rotation(row.id, row.state)

    def _check_state(self, row: Row[Any]) -> None:
        if row.generation < self._generation:
            # Somebody replaced the vault's row by an older version.
            problem = f"is at generation {row.generation}, not {self._generation}"
            raise IntegrityFault("vault row", problem)
        self._generation = row.generation

    def _ahead(self) -> Iterator[Finding]:
        """Findings for data keys of a future generation, which whoever has the web key
        can make."""
        for subject, generation in self._minted.items():
            if generation > self._generation:
                problem = f"is of generation {generation}, the vault at "
                yield Finding(subject, f"{problem}{self._generation}")

    def _check_card(self, row: Row[Any]) -> None:
        if not _is_token(row.token):
            raise IntegrityFault("card", "has a token that is none")
        self._opened(row)
        self._ledger.check_card(row.token, row.rev)


def _no_more(_row: Row[Any]) -> None:
    """Check nothing beyond the MACs."""


def _is_token(value: object) -> bool:
    try:
        Token.parse(value)  # type: ignore[arg-type]
    except (InputError, TypeError, AttributeError):
        return False
    return True


def name_of(table: Table, row: Row[Any]) -> str:
    """How a row is named in a finding: a card by its token, if that is one."""
    if table is CARD and _is_token(row.token):
        return str(row.token)
    if table is PURGED:
        return mark_name(row.token)
    if table is VAULT:
        return "vault row"
    return f"{table.name.replace('_', ' ')} {row[0]}"
