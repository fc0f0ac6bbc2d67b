"""The rules for a customer's name and telephone number, typed or imported."""

from __future__ import annotations

import re
import unicodedata

from . import texts
from .typed import BLANKS, digits_of, has_unseen

MAX_NAME = 100
CARD_DIGITS = 12
PHONE = re.compile(r"0(-?[0-9]){9,10}")

# Three or four digits that may be a security code noted beside a name.  Japanese has no
# blanks between words, so a kanji or kana before the group doesn't make it part of a
# word; a Latin letter before it, or any letter after it (109号室), does.
LONE_GROUP = re.compile(r"(?<![0-9A-Za-z])[0-9]{3,4}(?!\w)")


def name_of(text: str) -> str:
    """A name as it is stored: composed (NFC), without blanks around it."""
    return unicodedata.normalize("NFC", text.strip(BLANKS))


def name_fault(name: str) -> str:
    """What is wrong with a name, or "".  A name is 1 to 100 characters without a card
    number and without invisible characters."""
    if not name:
        return texts.NAME_EMPTY
    if len(name) > MAX_NAME:
        return texts.NAME_LONG
    if has_unseen(name):
        return texts.NAME_CHARACTERS
    flat = unicodedata.normalize("NFKC", name)
    if len(digits_of(flat)) >= CARD_DIGITS or LONE_GROUP.search(flat):
        return texts.NAME_DIGITS
    return ""


def phone_fault(phone: str) -> str:
    """What is wrong with a folded telephone number, or "".  A number is ten or eleven
    digits, the first a 0, with hyphens anywhere between them."""
    if not phone:
        return texts.PHONE_EMPTY
    return "" if PHONE.fullmatch(phone) else texts.PHONE_FORM
