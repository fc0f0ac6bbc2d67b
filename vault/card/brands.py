"""The table of card brands, with their prefixes and lengths, and the mask of a number.

The table is the owner's (prefixes as first digits, ranges inclusive).  It decides
what may be typed and is never asked about stored cards, because a brand may change
its ranges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

MASK_CHARACTER = "*"


@dataclass(frozen=True)
class Brand:
    """One card brand.

    ``name`` is the stored word, ``label`` what a person reads, ``prefixes``
    inclusive ranges of first digits (both ends of equal width), ``lengths`` the
    numbers of digits it issues.
    """

    name: str
    label: str
    prefixes: tuple[tuple[str, str], ...]
    lengths: frozenset[int]

    def claims(self, digits: str) -> bool:
        """Say whether ``digits`` begin with one of this brand's prefixes."""
        return any(low <= digits[: len(low)] <= high for low, high in self.prefixes)


def _brand(name: str, label: str, prefixes: str, lengths: str) -> Brand:
    ranges = []
    for part in prefixes.split():
        low, _, high = part.partition("-")
        ranges.append((low, high or low))
    low_length, _, high_length = lengths.partition("-")
    sizes = (
        range(int(low_length), int(high_length) + 1)
        if high_length
        else map(int, lengths.split())
    )
    return Brand(name, label, tuple(ranges), frozenset(sizes))


BRANDS: tuple[Brand, ...] = (
    _brand("visa", "Visa", "4", "16 18 19"),
    _brand("mastercard", "Mastercard", "51-55 2221-2720", "16"),
    _brand(
        "jcb",
        "JCB",
        "3528-3589 3088-3094 3096-3102 3112-3120 3158-3159 3337-3349",
        "16-19",
    ),
    _brand("amex", "American Express", "34 37", "15"),
    _brand("diners", "Diners Club", "300-305 36 38 39", "14 16 19"),
    _brand("discover", "Discover", "6011 644-649 65", "16 19"),
    _brand("unionpay", "UnionPay", "62 810-817", "16-19"),
)

# A brand is told by so many first digits.
LONGEST_PREFIX = max(len(low) for brand in BRANDS for low, _ in brand.prefixes)

BRAND_LABELS: dict[str, str] = {brand.name: brand.label for brand in BRANDS}


def brand_of(digits: str) -> Brand | None:
    """The brand whose prefixes ``digits`` begin with, or None."""
    return _brand_from(digits[:LONGEST_PREFIX])


@lru_cache(maxsize=10_000)
def _brand_from(start: str) -> Brand | None:
    return next((brand for brand in BRANDS if brand.claims(start)), None)


def mask(prefix: str, last4: str, length: int) -> str:
    """Show a card as its first two and last four digits, one star a digit.

    Groups are 4-6-rest up to 15 digits and 4-4-4-rest above, so the last four
    are never split.  Pages, mails, CSV, the trail and the log all use this mask.

    >>> mask("48", "0000", 16)
    '48**-****-****-0000'
    """
    shown = prefix + MASK_CHARACTER * (length - len(prefix) - len(last4)) + last4
    cuts = (4, 10) if length <= 15 else (4, 8, 12)
    starts = (0, *cuts)
    return "-".join(shown[a:b] for a, b in zip(starts, (*cuts, length), strict=True))
