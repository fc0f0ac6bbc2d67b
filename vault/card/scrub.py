"""Cuts card numbers, and signs that forge lines, out of text to be stored or logged."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_plus

from .pan import luhn_ok

MIN_DIGITS, MAX_DIGITS = 13, 19

_DIGIT = "0-9０-９"
_GAP = r"[\s\-‐‑‒–—―⁃−﹘﹣－ーｰ─━.・/_,]{0,3}"
# Any other sign may stand between the digits too, but only between groups as cards have
# them: else times, ports and IPv6 addresses, which have colons, would look like
# numbers.
_GROUPS = re.compile(f"(?<![{_DIGIT}])[{_DIGIT}]+(?:[\\W_]{{1,4}}[{_DIGIT}]+){{2,}}")
_GROUP = re.compile(f"[{_DIGIT}]+")
_SHAPES = (
    *((4, 4, 4, 4, last) for last in (3, 2, 1)),
    (4, 4, 4, 4),
    (4, 6, 5),
    (4, 6, 4),
)
# Whole groups are tried before groups that touch other digits, so that fewer digits
# that belong to no number are cut.
_WAYS = [(alone, shape) for alone in (True, False) for shape in _SHAPES]
# A number has so many digits, also when they are spelled as %XX, which has one at least.
_ENOUGH = re.compile(f"(?:[^{_DIGIT}]*+[{_DIGIT}]){{{MIN_DIGITS}}}")
_RUN = re.compile(f"[{_DIGIT}](?:{_GAP}[{_DIGIT}]){{{MIN_DIGITS - 1},}}")
# In an address a blank or a full-width digit is spelled as several bytes (%XX).
_CODED = re.compile(rf"(?:%[0-9A-Fa-f]{{2}}|[{_DIGIT}+.,_\-])+")
_TO_ASCII = {ord(full): str(digit) for digit, full in enumerate("０１２３４５６７８９")}
# Unicode counts these as letters or marks, but nothing is seen of them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
CUT = "[カード番号を消しました]"


def scrub(text: str) -> str:
    """``text`` with every Luhn-valid run of 13 to 19 digits cut out.

    Digits may be full-width and have blanks or hyphens between them, also spelled as
    in an address (``%20``, ``+``).  A longer run that holds such a number anywhere is
    cut whole (PCI DSS 3.5.1).  Between groups as a card has them there may be one to
    four signs of any kind but letters.
    """
    if not _ENOUGH.match(text):
        return text
    text = _RUN.sub(lambda run: CUT if _holds_number(run[0]) else run[0], text)
    if "%" in text or "+" in text:
        text = _CODED.sub(lambda run: CUT if _holds_coded(run[0]) else run[0], text)
    return _GROUPS.sub(lambda run: _without_groups(run[0]), text)


def holds_card_number(text: str) -> bool:
    """Say whether ``text`` holds what ``scrub`` would cut."""
    coded = (run[0] for run in _CODED.finditer(text))
    return _holds_plain(text) or any(map(_holds_coded, coded))


def _holds_coded(run: str) -> bool:
    return ("%" in run or "+" in run) and _holds_plain(unquote_plus(run))


def _holds_plain(text: str) -> bool:
    return any(_holds_number(run[0]) for run in _RUN.finditer(text)) or any(
        _span_of_groups(run[0]) for run in _GROUPS.finditer(text)
    )


def _without_groups(run: str) -> str:
    kept = ""
    while span := _span_of_groups(run):
        kept, run = kept + run[: span[0]] + CUT, run[span[1] :]
    return kept + run


def _span_of_groups(run: str) -> tuple[int, int] | None:
    """Where the first number of ``run`` in a card's groups begins and ends."""
    run = run.translate(_TO_ASCII)
    groups = [group.span() for group in _GROUP.finditer(run)]
    # No shape has fewer than three groups.
    for at in range(len(groups) - 2):
        for alone, shape in _WAYS:
            some = groups[at : at + len(shape)]
            inner = some if alone else _inner(some, shape)
            number = [run[begins:ends] for begins, ends in inner]
            if tuple(map(len, number)) == shape and luhn_ok("".join(number)):
                return inner[0][0], inner[-1][1]
    return None


def _inner(
    groups: list[tuple[int, int]], shape: tuple[int, ...]
) -> list[tuple[int, int]]:
    """``groups`` without the digits that would touch a number of ``shape``."""
    (first, ends), *between, (begins, last) = groups
    return [
        (max(first, ends - shape[0]), ends),
        *between,
        (begins, min(last, begins + shape[-1])),
    ]


def _holds_number(run: str) -> bool:
    digits = "".join(c for c in run.translate(_TO_ASCII) if c.isascii() and c.isdigit())
    return any(
        luhn_ok(digits[start : start + size])
        for size in range(MIN_DIGITS, MAX_DIGITS + 1)
        for start in range(len(digits) - size + 1)
    )


def one_line(text: str) -> str:
    """``text`` with control, line-breaking, bidi and invisible characters as U+FFFD,
    so that nothing typed can forge a line of a log or of the trail."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\ufffd"
        if c in _INVISIBLE or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else c
        for c in text
    )
