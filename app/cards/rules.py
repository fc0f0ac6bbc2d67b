"""The rules for a customer's name and telephone number, typed or imported."""

from __future__ import annotations

import re
import unicodedata

from . import texts
from .typed import BLANKS, digits_of, has_unseen, without_unseen

MAX_NAME = 100
CARD_DIGITS = 12
PHONE = re.compile(r"0(-?[0-9]){9,10}")

# Three or four digits that may be a security code noted beside a name: they stand apart,
# between blanks, brackets or the name's ends, or follow a word for such a code.  Digits
# that are written on to a word (渋谷109, 301号室) are a part of the name.  The script
# has the same patterns, so they keep to what Python and JavaScript read alike.
_EDGE = r"[\s()\[\]{}<>「」『』【】〔〕〈〉《》]"
LONE_GROUP = re.compile(rf"(?:^|{_EDGE})[0-9]{{3,4}}(?:{_EDGE}|$)")
SECURITY_CODE = re.compile(
    r"(?:(?<![A-Za-z])(?:cvv2?|cvc2?|csc|cid|cvn)|セキュリティー?(?:コード|番号)|暗証(?:番号)?)"
    r"[^0-9A-Za-z]{0,3}[0-9]{3,4}(?![0-9])",
    re.IGNORECASE,
)


def name_of(text: str) -> str:
    """A name as it is stored: as typed, because to compose it would write 神 (U+FA19)
    with another character, but without blanks around it and characters nobody sees."""
    return without_unseen(text).strip(BLANKS)


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
    # Of letters and blanks alone none is a digit.
    if not flat.replace(" ", "").isalpha() and _has_number(flat):
        return texts.NAME_DIGITS
    return ""


def _has_number(flat: str) -> bool:
    """Say whether a folded name may hold a card number or a security code."""
    many = len(digits_of(flat)) >= CARD_DIGITS
    return bool(many or LONE_GROUP.search(flat) or SECURITY_CODE.search(flat))


def phone_fault(phone: str) -> str:
    """What is wrong with a folded telephone number, or "".  A number is ten or eleven
    digits, the first a 0, with hyphens anywhere between them."""
    if not phone:
        return texts.PHONE_EMPTY
    return "" if PHONE.fullmatch(phone) else texts.PHONE_FORM
