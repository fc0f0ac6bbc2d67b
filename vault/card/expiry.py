"""A card's expiry: a month of a year, at whose end in Japan the card expires."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache

from ..clock import JAPAN_OFFSET
from ..errors import InputError
from .pan import FOLD, HYPHENS

MAX_YEARS_AHEAD = 20
# A month and a year in one box, as the card prints them.
_BOTH = re.compile(r"([0-9]{1,2})[/／]([0-9]{2}|[0-9]{4})")
# A hyphen between the digits of a card number means nothing, but -1 is no month.
_KEPT: dict[int, str | None] = {ord(sign): sign for sign in HYPHENS}


# A file of many cards asks for the same second.
@lru_cache(maxsize=16)
def months_now(now: int) -> int:
    """The month ``now`` (seconds since 1970 UTC) lies in, in Japan time, as
    12 * year + month - 1."""
    japan = time.gmtime(now + JAPAN_OFFSET)
    return 12 * japan.tm_year + japan.tm_mon - 1


@dataclass(frozen=True, order=True)
class Expiry:
    """``year`` (four digits) and ``month`` (1 to 12)."""

    year: int
    month: int

    @classmethod
    def parse(cls, month: str, year: str, now: int) -> Expiry:
        """Read what was typed; ``now`` is seconds since 1970 UTC.  The month may be
        written ``12月`` or, with an empty year or the same one, ``12/30``.

        Raises InputError("expiry", reason) with the first that fails of:
        ``empty``, ``half``, ``month``, ``year``, ``past``, ``far``.
        """
        return _read(month, year, months_now(now))

    @classmethod
    def from_key(cls, key: int) -> Expiry:
        """The expiry a stored ``key`` (YYYYMM) means."""
        return cls(*divmod(key, 100))

    @property
    def key(self) -> int:
        """The stored form, YYYYMM; orders as time does."""
        return self.year * 100 + self.month

    @property
    def months(self) -> int:
        """The month's number as ``months_now`` counts."""
        return 12 * self.year + self.month - 1

    def is_over(self, now: int) -> bool:
        """Say whether the month has ended in Japan at ``now`` (seconds UTC)."""
        return self.months < months_now(now)

    def __str__(self) -> str:
        return f"{self.month:02d}/{self.year:04d}"


def _folded(text: str, unit: str) -> str:
    return text.translate(FOLD | _KEPT).removesuffix(unit)


def _is_number(text: str, least: int, most: int) -> bool:
    return text.isascii() and text.isdigit() and least <= len(text) <= most


# Many cards share few expiries.  What is refused is not kept.
@lru_cache(maxsize=1000)
def _read(month: str, year: str, this_month: int) -> Expiry:
    month, year = _folded(month, "月"), _folded(year, "年")
    both = _BOTH.fullmatch(month)
    if both and (not year or year[-2:] == both[2][-2:]):
        month, year = both[1], year or both[2]
    if not month and not year:
        raise InputError("expiry", "empty")
    if not month or not year:
        raise InputError("expiry", "half")
    if not _is_number(month, 1, 2) or not 1 <= int(month) <= 12:
        raise InputError("expiry", "month")
    if not (_is_number(year, 4, 4) or _is_number(year, 2, 2)):
        raise InputError("expiry", "year")
    expiry = Expiry(int(year) if len(year) == 4 else 2000 + int(year), int(month))
    ahead = expiry.months - this_month
    if ahead < 0:
        raise InputError("expiry", "past")
    if ahead > 12 * MAX_YEARS_AHEAD:
        raise InputError("expiry", "far")
    return expiry
