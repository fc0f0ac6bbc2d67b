"""Cuts card numbers and forged lines out of text that is kept."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_plus

from .pan import luhn_ok

MIN_DIGITS, MAX_DIGITS = 13, 19

_DIGIT = "0-9０-９"
_GAP = r"[\s\-‐‑‒–—―⁃−﹘﹣－ーｰ─━.・/_,]{0,3}"
_RUN = re.compile(f"[{_DIGIT}](?:{_GAP}[{_DIGIT}]){{{MIN_DIGITS - 1},}}")
# As an address spells them: blanks and full-width digits are several bytes each.
_CODED = re.compile(rf"(?:%[0-9A-Fa-f]{{2}}|[{_DIGIT}+.,_\-])+")
_TO_ASCII = {ord(full): str(digit) for digit, full in enumerate("０１２３４５６７８９")}
# Letters and marks by their category, and yet nothing is seen of them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
CUT = "[カード番号を消しました]"


def scrub(text: str) -> str:
    """``text`` with every Luhn-valid run of 13 to 19 digits cut out.

    Digits may be full-width and have blanks or hyphens between them, all of it
    also as in an address (``%20``, ``+``); a longer run that holds such a number
    anywhere is cut whole (PCI DSS 3.5.1).
    """
    text = _RUN.sub(lambda run: CUT if _holds_number(run[0]) else run[0], text)
    if "%" not in text and "+" not in text:
        return text
    return _CODED.sub(lambda run: CUT if _holds_coded(run[0]) else run[0], text)


def holds_card_number(text: str) -> bool:
    """Say whether ``text`` holds what ``scrub`` would cut."""
    runs = (run[0] for run in _RUN.finditer(text))
    coded = (run[0] for run in _CODED.finditer(text))
    return any(map(_holds_number, runs)) or any(map(_holds_coded, coded))


def _holds_coded(run: str) -> bool:
    if "%" not in run and "+" not in run:
        return False
    return any(_holds_number(found[0]) for found in _RUN.finditer(unquote_plus(run)))


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
