"""Folds typed text for storing, for searching and for showing it again."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from vault.card.pan import HYPHENS, UNSEEN
from vault.card.scrub import holds_card_number

from .search.variants import COMPANY_FORMS, VARIANTS

BLANKS = " \u00a0\u3000\t"
MAX_SHOWN_DIGITS = 11
# NFKC makes 18 characters of some, and PostgreSQL indexes no text over 2,700 bytes.
MAX_KEY = 400

_PHONE: dict[int, str | None] = {
    **{ord(full): str(digit) for digit, full in enumerate("０１２３４５６７８９")},
    **{ord(sign): "-" for sign in HYPHENS},
    **{ord(blank): None for blank in BLANKS + UNSEEN},
    **dict(zip(map(ord, "（）．＋"), "().+", strict=True)),
}
# How people write a telephone number otherwise: +81 90, (090)0000, 03(1234), 090.0000.
PHONE_FORMS = (
    (re.compile(r"^\+81-?(?:\(0\)|0)?-?(?=[1-9])"), "0"),
    (re.compile(r"^\(([0-9]+)\)-?"), r"\1-"),
    (re.compile(r"(?<=[0-9])-?\(([0-9]+)\)-?"), r"-\1-"),
    (re.compile(r"(?<=[0-9])\.(?=[0-9])"), "-"),
)
_PLAIN = re.compile(r"[0-9-]*")
_NO_DIGITS = re.compile(r"[^0-9]+")
_SEEN: dict[int, None] = {ord(character): None for character in UNSEEN}
# Variants become kanji, "~" and "ー", and so no hiragana.
_VARIANTS_AND_HIRAGANA: dict[int, int | str | None] = {
    **{code: code + 0x60 for code in range(0x3041, 0x3097)},
    **VARIANTS,
}
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def digits_of(text: str) -> str:
    """Every digit in ``text``, of any script or shape, as ASCII."""
    if text.isascii():
        return _NO_DIGITS.sub("", text)
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
    for index, character in enumerate(text):
        if unicodedata.digit(character, None) is not None:
            run.append(index)
        elif character.isalpha() and character not in HYPHENS:
            yield run
            run = []
    yield run


def phone_of(text: str) -> str:
    """A telephone number with ASCII digits and hyphens.  Hyphens stay where they were
    typed; brackets and dots become hyphens, and +81 becomes 0."""
    phone = text.translate(_PHONE)
    if _PLAIN.fullmatch(phone):
        return phone
    for form, written in PHONE_FORMS:
        phone = form.sub(written, phone)
    return phone


def without_unseen(text: str) -> str:
    """``text`` without bidi and zero-width characters, which nobody types."""
    return text.translate(_SEEN)


def search_key(text: str) -> str:
    """A name as the search compares it, at most MAX_KEY characters: width, case, kana,
    blanks, hyphens, variant characters and company forms folded."""
    # Fold variants before NFKC, which takes some of them for others, and after it.
    folded = unicodedata.normalize("NFKC", text.translate(VARIANTS)).casefold()
    folded = "".join(folded.translate(_VARIANTS_AND_HIRAGANA).split())
    if "(" in folded:
        for short, whole in COMPANY_FORMS.items():
            folded = folded.replace(short, whole)
    return folded[:MAX_KEY]


def has_unseen(text: str) -> bool:
    """Say whether ``text`` holds control, bidi or other invisible characters."""
    # What is printable is of none of these categories.
    return not text.isprintable() and any(
        unicodedata.category(character) in _UNSEEN for character in text
    )


def shown(text: object) -> str:
    """A typed text as a form may show it again: empty if it holds so many
    digits that they may be a card number (a telephone number has 11)."""
    typed = str(text)
    if len(digits_of(typed)) > MAX_SHOWN_DIGITS or holds_card_number(typed):
        return ""
    return typed
