"""The type of a card number: it parses and masks, and shows no digits by itself."""

from __future__ import annotations

import hmac
from typing import NoReturn

from ..errors import InputError
from .brands import Brand, brand_of, mask

_WHOLE = 13

# Full-width digits and every sign people type for a hyphen.  This is a table, because
# NFKC would also turn a circled one into "1".
HYPHENS = "-‐‑‒–—―⁃−﹘﹣－ーｰ─━"
_BLANKS = " \u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t"
# Bidi and zero-width characters, which come along with copied text and are never seen:
# soft hyphen, Arabic letter mark, Mongolian vowel separator, and the ranges of General
# Punctuation, with the byte order mark.
UNSEEN = (
    "\u00ad\u061c\u180e"
    + "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F))))
    + "".join(map(chr, range(0x2060, 0x2070)))
    + "\ufeff"
)
FOLD: dict[int, str | None] = {
    **{ord(full): str(digit) for digit, full in enumerate("０１２３４５６７８９")},
    **{ord(sign): None for sign in HYPHENS + _BLANKS + UNSEEN},
}


# Codes have letters too.
_FULL_LETTERS: dict[int, str | None] = {
    **{0xFF21 + place: chr(0x41 + place) for place in range(26)},
    **{0xFF41 + place: chr(0x61 + place) for place in range(26)},
}


def fold_typed(text: str) -> str:
    """``text`` with full-width digits and letters as ASCII, without blanks and
    hyphen-like signs."""
    return text.translate(FOLD | _FULL_LETTERS)


# Each digit's byte as the sum of the digits of its double.
_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_PLAIN = bytes.maketrans(b"0123456789", bytes(range(10)))


def luhn_ok(digits: str) -> bool:
    """Say whether ASCII ``digits`` end in their right check digit (ISO/IEC 7812-1)."""
    last_first = digits.encode()[::-1]
    plain, doubled = last_first[::2], last_first[1::2]
    total = sum(plain.translate(_PLAIN)) + sum(doubled.translate(_DOUBLED))
    return total % 10 == 0


class Pan:
    """A card number (primary account number), 14 to 19 ASCII digits.

    It prints, formats and raises as its mask, refuses to be pickled or hashed,
    and gives its digits out of one method, ``expose_digits`` (PCI DSS 3.4.1).
    """

    __slots__ = ("__digits", "brand")

    brand: Brand

    def __init__(self, digits: str, brand: Brand) -> None:
        self.__digits = digits
        self.brand = brand

    @classmethod
    def parse(cls, *boxes: str, luhn_exempt: frozenset[str] = frozenset()) -> Pan:
        """Read a number from one text, or from boxes typed side by side.

        Full-width digits, blanks and hyphen-like signs are folded.  The whole
        number in one box alone, or the same whole number in every box, counts
        once.  ``luhn_exempt`` names brands whose check digit is not asked for.

        Raises InputError("card_number", reason) with the first that fails of:
        ``empty``, ``not_digits``, ``brand``, ``length``, ``check_digit``.
        """
        parts = [box.translate(FOLD) for box in boxes]
        whole = len(parts) > 1 and len(parts[0]) >= _WHOLE and len(set(parts)) == 1
        digits = parts[0] if whole else "".join(parts)
        if not digits:
            raise InputError("card_number", "empty")
        if not (digits.isascii() and digits.isdigit()):
            raise InputError("card_number", "not_digits")
        brand = brand_of(digits)
        if brand is None:
            raise InputError("card_number", "brand")
        if len(digits) not in brand.lengths:
            raise InputError("card_number", "length")
        if brand.name not in luhn_exempt and not luhn_ok(digits):
            raise InputError("card_number", "check_digit")
        return cls(digits, brand)

    @property
    def prefix(self) -> str:
        """The first two digits, which may be shown."""
        return self.__digits[:2]

    @property
    def last4(self) -> str:
        """The last four digits, which may be shown."""
        return self.__digits[-4:]

    @property
    def length(self) -> int:
        """How many digits the number has."""
        return len(self.__digits)

    @property
    def masked(self) -> str:
        """The number as it may be shown, e.g. ``48**-****-****-0000``."""
        return mask(self.prefix, self.last4, self.length)

    def expose_digits(self) -> bytes:
        """The whole number as ASCII digits; only sealing calls it."""
        return self.__digits.encode("ascii")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pan):
            return NotImplemented
        return hmac.compare_digest(self.__digits, other.__digits)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Pan {self.masked}>"

    def __str__(self) -> str:
        return self.masked

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a card number is never pickled or copied")
