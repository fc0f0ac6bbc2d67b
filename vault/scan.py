"""Looking for card numbers in files, so that an auditor need not take our word.

A finding is a run of digits with a known brand's prefix and length and a right check
digit: as text, grouped by blanks or hyphens, full-width, in UTF-8 or UTF-16, in plain
files, in SQLite's, and inside gzip.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .brands import brand_of, mask
from .pan import luhn_ok

CHUNK = 1 << 20
# The longest a number can be written: 19 digits of two bytes with a gap between all.
OVERLAP = 256
MIN_DIGITS, MAX_DIGITS = 14, 19
GZIP = b"\x1f\x8b"

_DIGIT = rb"(?:[0-9]|\xef\xbc[\x90-\x99]|[\x10-\x19]\xff|\xff[\x10-\x19])"
_GAP = rb"(?:[ \-\x00]|\xc2\xa0|\xe3\x80\x80){0,3}"
_RUN = re.compile(_DIGIT + rb"(?:" + _GAP + _DIGIT + rb"){13,}")
_ONE = re.compile(_DIGIT)


@dataclass(frozen=True)
class Found:
    """A number: the file, the byte it begins at (of what a gzip file holds, when
    ``packed``), and its mask."""

    path: Path
    offset: int
    packed: bool
    masked: str


def scan(path: Path) -> Iterator[Found]:
    """Every number in a file, or in every file below a folder; links are not
    followed.  Raises OSError when a file can't be read."""
    if path.is_dir() and not path.is_symlink():
        for below in sorted(path.iterdir()):
            yield from scan(below)
        return
    if path.is_symlink() or not path.is_file():
        return
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        yield from _scan_stream(path, file, packed=False)
    if packed:
        with gzip.open(path) as inside:
            try:
                yield from _scan_stream(path, inside, packed=True)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                # Not gzip after all, or cut off: the bytes themselves were read.
                return


def _scan_stream(
    path: Path, file: BinaryIO | gzip.GzipFile, *, packed: bool
) -> Iterator[Found]:
    held, begins = b"", 0
    while chunk := file.read(CHUNK):
        held += chunk
        # What touches the end may go on in the next chunk: it is looked at then.
        safe = len(held) - OVERLAP
        for offset, masked in _numbers(held):
            if offset < safe:
                yield Found(path, begins + offset, packed, masked)
        cut = max(safe, 0)
        held, begins = held[cut:], begins + cut
    for offset, masked in _numbers(held):
        yield Found(path, begins + offset, packed, masked)


def _numbers(data: bytes) -> Iterator[tuple[int, str]]:
    """The offset and the mask of each number in ``data``."""
    for run in _RUN.finditer(data):
        places = [(run.start() + one.start(), one[0]) for one in _ONE.finditer(run[0])]
        digits = "".join(str(_value(sign)) for _, sign in places)
        skip = 0
        for start in range(len(digits) - MIN_DIGITS + 1):
            size = _number_at(digits, start) if start >= skip else 0
            if size:
                skip = start + size
                found = digits[start:skip]
                yield places[start][0], mask(found[:2], found[-4:], size)


def _number_at(digits: str, start: int) -> int:
    """The length of the number that begins at ``start``; 0 when none does."""
    brand = brand_of(digits[start : start + MAX_DIGITS])
    for size in sorted(brand.lengths, reverse=True) if brand else ():
        number = digits[start : start + size]
        if len(number) == size and luhn_ok(number):
            return size
    return 0


def _value(sign: bytes) -> int:
    """The digit a sign stands for."""
    if len(sign) == 1:
        return sign[0] - ord("0")
    if len(sign) == 3:
        return sign[2] - 0x90
    return min(sign) - 0x10
