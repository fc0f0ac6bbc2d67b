"""Folds typed text for storing, for searching and for showing it again."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from vault.card.scrub import holds_card_number

HYPHENS = "‐‑‒–—―⁃−﹘﹣－ーｰ─━"
BLANKS = " \u00a0\u3000\t"
MAX_SHOWN_DIGITS = 11

_PHONE: dict[int, str | None] = {
    **{ord(full): str(digit) for digit, full in enumerate("０１２３４５６７８９")},
    **{ord(sign): "-" for sign in HYPHENS},
    **{ord(blank): None for blank in BLANKS},
}
_HIRAGANA_TO_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def digits_of(text: str) -> str:
    """Every digit in ``text``, of any script or shape, as ASCII."""
    values = (unicodedata.digit(character, None) for character in text)
    return "".join(str(value) for value in values if value is not None)


def shortened(text: str) -> str:
    """``text`` with every run of 12 or more digits cut to its last four.

    Whatever is no letter may stand between the digits of a run.
    """
    kept, after = [], 0
    for run in _runs(text):
        if len(run) > MAX_SHOWN_DIGITS:
            begins, ends = run[0], run[-1] + 1
            kept += [text[after:begins], digits_of(text[begins:ends])[-4:]]
            after = ends
    return "".join([*kept, text[after:]])


def _runs(text: str) -> Iterator[list[int]]:
    """The positions of the digits in each piece of ``text`` between two letters."""
    run: list[int] = []
    for place, character in enumerate(text):
        if unicodedata.digit(character, None) is not None:
            run.append(place)
        elif character.isalpha() and character not in HYPHENS:
            yield run
            run = []
    yield run


def phone_of(text: str) -> str:
    """A telephone number with ASCII digits and hyphens; hyphens stay where they were
    typed."""
    return text.translate(_PHONE)


def search_key(text: str) -> str:
    """A name as the search compares it: width, case, kana and blanks folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(folded.translate(_HIRAGANA_TO_KATAKANA).split())


def has_unseen(text: str) -> bool:
    """Say whether ``text`` holds control, bidi or other invisible characters."""
    return any(unicodedata.category(character) in _UNSEEN for character in text)


def shown(text: object) -> str:
    """A typed text as a form may show it again: empty if it holds so many
    digits that they may be a card number (a telephone number has 11)."""
    typed = str(text)
    if len(digits_of(typed)) > MAX_SHOWN_DIGITS or holds_card_number(typed):
        return ""
    return typed
