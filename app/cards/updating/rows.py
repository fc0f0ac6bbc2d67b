"""Reads what each row of the file asks for, by the rules of the form.

A blank cell keeps what is stored.  Nothing here knows the customer.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vault import Expiry, Pan, Token
from vault.errors import InputError

from .. import rules, texts
from ..importing import spoiled
from ..importing.file import Record
from ..importing.rows import Faults, expiry_of, number_of
from ..typed import phone_of
from .heading import KEYS, NUMBER

_PUBLIC_ID = re.compile(r"[a-z]{1,32}", re.ASCII)


@dataclass(frozen=True)
class Asked:
    """A row after checking: whom it names by ``key`` ("" when that can't be read), and
    what they are to be changed to; None keeps what is stored.  With ``faults``, by
    column, nothing is changed."""

    line: int
    key: str
    name: str | None = None
    phone: str | None = None
    pan: Pan | None = None
    expiry: Expiry | None = None
    stopped: bool = False
    faults: Faults = ()

    @property
    def names_nobody(self) -> bool:
        """Say whether the row's only fault is a key that nobody can have."""
        return not self.key and {column for column, _ in self.faults} <= set(KEYS)


@dataclass(frozen=True)
class Reader:
    """Reads rows.  ``key`` is the column that names the customer, ``now`` seconds since
    1970 UTC, ``stopped_values`` what ``status`` says of a stopped card."""

    key: str
    now: int
    luhn_exempt: frozenset[str]
    stopped_values: Iterable[str]

    def read(self, records: Iterable[Record]) -> Iterator[Asked]:
        """What each row asks for, in order."""
        known = frozenset(map(_folded, self.stopped_values))
        for record in records:
            yield self._asked(record, known)

    def _asked(self, record: Record, stopped_values: frozenset[str]) -> Asked:
        if not record.cells:
            return Asked(
                record.line, "", faults=(("", texts.wrong_width(record.width)),)
            )
        cells = _Cells(record)
        key = cells.key(self.key)
        asked = Asked(
            record.line,
            key,
            name=cells.name(),
            phone=cells.phone(),
            pan=cells.pan(self.luhn_exempt),
            expiry=cells.expiry(self.now),
            stopped=cells.stopped(stopped_values),
        )
        if asked.stopped and asked.pan:
            cells.faults.append(("status", texts.STOPPED_WITH_NUMBER))
        if cells.faults:
            return Asked(record.line, key, faults=tuple(cells.faults))
        return asked


class _Cells:
    """The cells of one row, each None when it is blank; ``faults`` collects what is wrong
    with them, in the order in which they are asked for."""

    def __init__(self, record: Record) -> None:
        self._cells = record.cells
        self.faults: list[tuple[str, str]] = []

    def _filled(self, column: str) -> str:
        """A cell, or "" for a blank one and a column that is not there."""
        cell = self._cells.get(column, "")
        return cell if cell.strip() else ""

    def key(self, column: str) -> str:
        """Whom the row names, or "" when nobody can have such a key."""
        cell = self._filled(column).strip()
        if _is_token(cell) if column == "token" else _PUBLIC_ID.fullmatch(cell):
            return cell
        self.faults.append((column, texts.KEY_FORMS[column]))
        return ""

    def name(self) -> str | None:
        """The customer's name."""
        cell = self._filled("customer_name")
        if not cell:
            return None
        name = rules.name_of(cell)
        if fault := rules.name_fault(name) or spoiled.name_fault(name):
            self.faults.append(("customer_name", fault))
        return name

    def phone(self) -> str | None:
        """The telephone number."""
        cell = self._filled("phone")
        if not cell:
            return None
        phone = phone_of(cell)
        if fault := rules.phone_fault(phone):
            self.faults.append(("phone", spoiled.phone_fault(cell) or fault))
        return phone

    def pan(self, luhn_exempt: frozenset[str]) -> Pan | None:
        """The card number."""
        cell = self._filled(NUMBER)
        if not cell:
            return None
        pan, fault = number_of(cell, luhn_exempt)
        if fault:
            self.faults.append((NUMBER, fault))
        return pan

    def expiry(self, now: int) -> Expiry | None:
        """The expiry, of two cells; None when both are blank."""
        month, year = self._filled("exp_month"), self._filled("exp_year")
        if not month and not year:
            return None
        expiry, column, fault = expiry_of(month, year, now)
        if fault:
            self.faults.append((column, fault))
        return expiry

    def stopped(self, values: frozenset[str]) -> bool:
        """Say whether the status is one of ``values``, which stand for a stopped card."""
        said = _folded(self._filled("status"))
        if said and said not in values:
            self.faults.append(("status", texts.STATUS_UNKNOWN))
        return said in values


def _is_token(cell: str) -> bool:
    try:
        Token.parse(cell)
    except InputError:
        return False
    return True


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def with_fault(asked: Asked, column: str, text: str) -> Asked:
    """A row with one more fault, so that it changes nothing."""
    return replace(asked, faults=(*asked.faults, (column, text)))


class Digest:
    """SHA-256 of what a file's rows ask for, by which the same file is known again.

    A mask stands in the place of each card number, and of a row that has a fault only
    the fault counts, because its cells may hold a number in the wrong place.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, asked: Asked) -> None:
        """Add the next row."""
        pan, expiry = asked.pan, asked.expiry
        said = (
            asked.key,
            asked.name,
            asked.phone,
            pan and (pan.brand.name, pan.masked),
            expiry and expiry.key,
            asked.stopped,
            asked.faults,
        )
        self._hash.update(json.dumps(said).encode() + b"\n")

    def text(self) -> str:
        """The digest so far, as 64 hexadecimal digits."""
        return self._hash.hexdigest()
