"""Looks for card numbers in files, so that an auditor can check where there are none.

A finding is a run of digits, or whole groups of one, with a known brand's prefix and
length and a right check digit.  It may be grouped by blanks or hyphens or full-width,
in UTF-8 or UTF-16, in any file's bytes, in SQLite's values or inside gzip.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..card.brands import brand_of, mask
from ..card.pan import luhn_ok

CHUNK = 1 << 20
# More than the longest spelling of a number: 19 digits of two bytes with a gap between
# every two.
OVERLAP = 256
MAX_DIGITS = 19
GZIP = b"\x1f\x8b"
SQLITE = b"SQLite format 3\x00"

_DIGIT = rb"(?:[0-9]|\xef\xbc[\x90-\x99]|[\x10-\x19]\xff|\xff[\x10-\x19])"
_GAP = rb"(?:[ \-\x00]|\xc2\xa0|\xe3\x80\x80){0,3}"
_RUN = re.compile(_DIGIT + rb"(?:" + _GAP + _DIGIT + rb"){13,}")
_ONE = re.compile(_DIGIT)


@dataclass(frozen=True)
class Found:
    """A number: its file, its place there ("byte 17", "card.note, row 3"), its mask."""

    path: Path
    place: str
    masked: str


@dataclass(frozen=True)
class Unread:
    """A file or a folder that could not be read, or not to its end, and ``why``."""

    path: Path
    why: str


def scan(path: Path) -> Iterator[Found | Unread]:
    """Every number in a file, or in every file below a folder; links are not followed.
    A file that can't be read is named, and the scan goes on with the next."""
    try:
        kind = path.lstat().st_mode
        below = sorted(path.iterdir()) if stat.S_ISDIR(kind) else []
    except OSError as error:
        yield Unread(path, _why(error))
        return
    for one in below:
        yield from scan(one)
    if stat.S_ISREG(kind):
        yield from _scan_regular(path)


def _scan_regular(path: Path) -> Iterator[Found | Unread]:
    numbers = _scan_file(path)
    while True:
        try:
            place, masked = next(numbers)
        except StopIteration:
            return
        except OSError as error:
            yield Unread(path, _why(error))
            return
        yield Found(path, place, masked)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _scan_file(path: Path) -> Iterator[tuple[str, str]]:
    told: set[str] = set()
    with path.open("rb") as file:
        begins = file.read(len(SQLITE))
        records = begins == SQLITE
        if records:
            # In a SQLite page two values stand next to each other, so that by bytes
            # alone two telephone numbers would look like one long number.
            for place, masked in _scan_values(path):
                told.add(masked)
                yield place, masked
        file.seek(0)
        for offset, masked in _scan_stream(file, alone=records):
            if masked not in told:
                yield f"byte {offset}", masked
    if begins.startswith(GZIP):
        with gzip.open(path) as inside:
            try:
                for offset, masked in _scan_stream(inside):
                    yield f"byte {offset} inside gzip", masked
            except (EOFError, zlib.error, gzip.BadGzipFile):
                # It is no gzip file, or cut off; its bytes were scanned above.
                return


def _scan_values(path: Path) -> Iterator[tuple[str, str]]:
    """Every number in the values of every table.  A damaged file ends it early; its
    bytes are scanned as well."""
    place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(place, uri=True)) as db:
            db.text_factory = bytes
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                yield from _scan_table(db, table.decode())
    except (sqlite3.Error, UnicodeDecodeError):
        return


def _scan_table(db: sqlite3.Connection, table: str) -> Iterator[tuple[str, str]]:
    quoted = table.replace('"', '""')
    rows = db.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
    names = [column[0] for column in rows.description]
    for number, row in enumerate(rows, 1):
        for name, value in zip(names, row, strict=True):
            held = value if isinstance(value, bytes) else str(value).encode()
            for _, masked in _numbers(held):
                yield f"{table}.{name}, row {number}", masked


def _scan_stream(
    file: BinaryIO | gzip.GzipFile, *, alone: bool = False
) -> Iterator[tuple[int, str]]:
    """The offset and the mask of each number; with ``alone`` only of those with no
    other digit beside them."""
    held, begins = b"", 0
    while chunk := file.read(CHUNK):
        held += chunk
        # A number near the end may go on in the next chunk; it is read again then.
        safe = len(held) - OVERLAP
        for offset, masked in _numbers(held, alone=alone):
            if offset < safe:
                yield begins + offset, masked
        cut = max(safe, 0)
        held, begins = held[cut:], begins + cut
    for offset, masked in _numbers(held, alone=alone):
        yield begins + offset, masked


def _numbers(data: bytes, *, alone: bool = False) -> Iterator[tuple[int, str]]:
    """The offset and the mask of each number in ``data``."""
    for run in _RUN.finditer(data):
        signs = [(one.start(), one.end(), one[0]) for one in _ONE.finditer(run[0])]
        digits = "".join(str(_value(sign)) for _, _, sign in signs)
        # Where each group of digits begins, and the end; a number is made of whole
        # groups.
        borders = [0]
        for at in range(1, len(signs)):
            gap = run[0][signs[at - 1][1] : signs[at][0]]
            if gap.strip(b"\0") and not alone:
                borders.append(at)
        borders.append(len(digits))
        skip = 0
        for start in borders[:-1]:
            size = _number_at(digits, start, borders) if start >= skip else 0
            if size:
                skip = start + size
                found = digits[start:skip]
                where = run.start() + signs[start][0]
                yield where, mask(found[:2], found[-4:], size)


def _number_at(digits: str, start: int, borders: list[int]) -> int:
    """The length of the number of whole groups that begins at ``start``, or 0."""
    brand = brand_of(digits[start : start + MAX_DIGITS])
    for size in sorted(brand.lengths, reverse=True) if brand else ():
        number = digits[start : start + size]
        if start + size in borders and luhn_ok(number):
            return size
    return 0


def _value(sign: bytes) -> int:
    """The digit a sign stands for."""
    if len(sign) == 1:
        return sign[0] - ord("0")
    if len(sign) == 3:
        return sign[2] - 0x90
    return min(sign) - 0x10
