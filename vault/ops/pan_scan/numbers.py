"""Finds card numbers in bytes.

A number has a known brand's prefix and length and a right check digit.  It is made of
whole groups of digits.  Between groups as a person may write them there may be blanks
and hyphens; between groups as cards have them any signs, always the same, or the names
of boxes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from itertools import pairwise

from ...card.brands import brand_of, mask
from ...card.pan import luhn_ok
from .spellings import readings

MAX_DIGITS = 19

_RUN = re.compile(rb"[0-9](?:[ \-\x00]{0,3}[0-9]){13,}")
# What stands before the digits of a fraction, which are no number.
_FRACTION = re.compile(rb"(?<![0-9])0\.$")
# So many groups may have any sizes.
_FEW_GROUPS = 3
_BANK_DIGITS = 6
# A colon is left out: it stands between the groups of an IPv6 address.
_GROUPS = re.compile(
    rb"(?<![0-9])[0-9]{4}([\t\r\n !-/;-@\[-`{-~]{1,6})"
    rb"(?:[0-9]{4}\1[0-9]{4}\1[0-9]{2,7}(?:\1[0-9]{1,3})?|[0-9]{6}\1[0-9]{4,5})(?![0-9])"
)
_BOX = re.compile(rb"[=:>\n][ \r\n]{0,3}[\"']?([0-9]{2,7})(?![0-9])")
# As long as the headings of a form's part (multipart/form-data) may be.
_BETWEEN_BOXES = 250
_COUNTING = (string.digits + string.ascii_uppercase).encode()
# How many digits the boxes before the last one have.
_BEFORE_LAST = ((4, 4, 4), (4, 6))
_SCIENTIFIC = re.compile(rb"(?<![0-9.])([1-9])\.([0-9]{11,18})E\+?(1[3-8])(?![0-9])")


def numbers(
    data: bytes, *, alone: bool = False, markup: bool = False
) -> list[tuple[int, str]]:
    """The offset and the mask of each number in ``data``, in order.  With ``alone``
    only of those that have no other digit beside them and no other spelling; with
    ``markup`` ``data`` is XML, whose tags may stand within a number."""
    if alone:
        return sorted(_runs(data, alone=True))
    found: dict[int, str] = {}
    for reading in readings(data, markup=markup):
        for find in (_runs, _groups, _boxes, _scientific):
            for at, masked in find(reading.text):
                found.setdefault(reading.origin(at), masked)
    return sorted(found.items())


def holds_number(text: str) -> bool:
    """Say whether a text, a file's name for example, holds a card number."""
    return bool(numbers(text.encode("utf-8", "surrogateescape")))


def _runs(data: bytes, *, alone: bool = False) -> Iterator[tuple[int, str]]:
    """Numbers in digits that have at most three blanks or hyphens between them."""
    for run in _RUN.finditer(data):
        spots = [at for at, one in enumerate(run[0]) if 0x30 <= one <= 0x39]
        digits = bytes(run[0][at] for at in spots).decode()
        # Where each group of digits begins, and the end; a number is made of whole
        # groups.
        borders = [0]
        for place in range(1, len(spots)):
            gap = run[0][spots[place - 1] + 1 : spots[place]]
            if gap.strip(b"\0") and not alone:
                borders.append(place)
        borders.append(len(digits))
        if _FRACTION.search(data, max(0, run.start() - 3), run.start()):
            borders = borders[1:]
        skip = 0
        for place, start in enumerate(borders[:-1]):
            # As many borders as a number can have: in a chunk of single digits, all of
            # them for each digit would take hours.
            near = borders[place : place + MAX_DIGITS + 1]
            size = _number_at(digits, near) if start >= skip else 0
            if size:
                skip = start + size
                found = digits[start:skip]
                yield run.start() + spots[start], mask(found[:2], found[-4:], size)


def _number_at(digits: str, borders: list[int]) -> int:
    """The length of the longest number of whole groups that begins at the first of
    ``borders``, or 0."""
    start = borders[0]
    brand = brand_of(digits[start : start + MAX_DIGITS])
    if brand is None:
        return 0
    for count in range(len(borders), 1, -1):
        end = borders[count - 1]
        if end - start in brand.lengths and luhn_ok(digits[start:end]):
            sizes = [to - at for at, to in pairwise(borders[:count])]
            if _as_written(sizes):
                return end - start
    return 0


def _as_written(sizes: list[int]) -> bool:
    """Say whether a person writes a number in groups of these sizes: a few of any size,
    or all alike but the last, perhaps behind a bank's six digits.  In a list of other
    numbers any number of groups would give a right check digit one time in ten."""
    if len(sizes) <= _FEW_GROUPS:
        return True
    alike = sizes[1:-1] if sizes[0] == _BANK_DIGITS else sizes[:-1]
    return len(set(alike)) == 1


def _masked(number: str) -> str | None:
    """The mask of ``number``, or None when it is no card's."""
    brand = brand_of(number)
    if brand is None or len(number) not in brand.lengths or not luhn_ok(number):
        return None
    return mask(number[:2], number[-4:], len(number))


def _groups(data: bytes) -> Iterator[tuple[int, str]]:
    """Numbers in groups as cards have them, with the same signs between all."""
    at = 0
    while run := _GROUPS.search(data, at):
        parts = run[0].split(run[1])
        masked = _masked(b"".join(parts).decode())
        if masked is None and len(parts) == 5:
            masked = _masked(b"".join(parts[:4]).decode())
        if masked is None:
            at = run.start() + 4
        else:
            yield run.start(), masked
            at = run.end()


def _boxes(data: bytes) -> Iterator[tuple[int, str]]:
    """Numbers in the boxes of a form, of JSON or of XML: the same name and signs
    stand before each, counted by digits or capital letters."""
    boxes: list[tuple[int, int]] = []
    before = b""
    for box in _BOX.finditer(data):
        if boxes:
            between = data[boxes[-1][1] : box.start(1)]
            name = between.translate(None, _COUNTING)
            if len(between) > _BETWEEN_BOXES:
                boxes = []
            elif name != before:
                boxes = boxes[-1:]
            before = name
        boxes = [*boxes[-3:], box.span(1)]
        for count in (4, 3):
            if len(boxes) < count:
                continue
            parts = [data[begins:ends] for begins, ends in boxes[-count:]]
            if tuple(map(len, parts[:-1])) in _BEFORE_LAST:
                masked = _masked(b"".join(parts).decode())
                if masked:
                    yield boxes[-count][0], masked


def _scientific(data: bytes) -> Iterator[tuple[int, str]]:
    """Whole numbers as a spreadsheet's library may write them: 4.81000000002E15."""
    for found in _SCIENTIFIC.finditer(data):
        first, rest, exponent = (part.decode() for part in found.groups())
        digits = first + rest.ljust(int(exponent), "0")
        masked = _masked(digits) if len(digits) == int(exponent) + 1 else None
        if masked:
            yield found.start(), masked
