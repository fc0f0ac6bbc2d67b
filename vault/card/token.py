"""Makes and reads tokens, the names that cards have outside the vault.

A token is ``card_``, thirty random letters (129 bits) and a check letter.  The
alphabet is twenty consonants: no digit, so a token can't hold a card number or be
taken for one, and no vowel, so it spells no word.  The check letter is ISO/IEC
7064's hybrid system for 20 characters; it catches every single wrong letter without
asking a database.
"""

from __future__ import annotations

import secrets
from array import array
from itertools import product
from typing import NamedTuple

from ..errors import InputError

ALPHABET = "bcdfghjklmnpqrstvwxz"
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
# Maps a random byte to a letter: 240 of the 256 values share out evenly, the others are
# dropped.  Drawing all letters at once takes a fiftieth of the time of one by one.
_TO_LETTERS = (ALPHABET * 13)[:256].encode()
_UNEVEN = bytes(range(256 - 256 % len(ALPHABET), 256))
# What a letter makes of the check letter's running product, at that product.
_AFTER = {
    letter: [
        ((product + value) % 20 or 20) * 2 % 21 for product in range(len(ALPHABET) + 1)
    ]
    for letter, value in _VALUES.items()
}
# Each pair of letters, by its place in their order.
_PAIRS = tuple(map("".join, product(ALPHABET, repeat=2)))
# How many first letters decide which share of all words a word is in.
_LEADING = 6
_LEADS = len(ALPHABET) ** _LEADING
PREFIX = "card_"
RANDOM_LETTERS = 30
LENGTH = len(PREFIX) + RANDOM_LETTERS + 1


def random_letters(count: int = RANDOM_LETTERS) -> str:
    """``count`` random letters, 4.3 bits each, that hold no digit."""
    letters = b""
    while len(letters) < count:
        letters += secrets.token_bytes(2 * count).translate(_TO_LETTERS, _UNEVEN)
    return letters[:count].decode()


def random_words(count: int, size: int) -> list[str]:
    """``count`` texts of ``size`` random letters each, drawn at once."""
    letters = random_letters(count * size)
    return [letters[at : at + size] for at in range(0, len(letters), size)]


class Share(NamedTuple):
    """A part of all words in their order: from ``begins`` to ``ends`` of ``total``."""

    begins: int
    ends: int
    total: int


ALL = Share(0, 1, 1)


def sorted_words(count: int, size: int, share: Share = ALL) -> list[str]:
    """``count`` random words of ``size`` letters (7 or more) within ``share``, in their
    order, because an index takes neighbours faster.

    Whoever writes many in batches gives each batch the next share, so that a batch
    changes few pages of an index.  The words of all batches together are spread as
    random ones are, so one is as hard to guess; only where a word stands among them
    tells in which batch it was written.
    """
    begins, ends, total = share
    drawn = sorted(array("Q", secrets.token_bytes(8 * count)))
    leads = [
        ((begins << 64) + (ends - begins) * one) * _LEADS // (total << 64)
        for one in drawn
    ]
    tails = random_words(count, size - _LEADING)
    # Some may have the same leading letters.
    return sorted(
        _PAIRS[lead // 160_000] + _PAIRS[lead // 400 % 400] + _PAIRS[lead % 400] + tail
        for lead, tail in zip(leads, tails, strict=True)
    )


def _check_letter(letters: str) -> str:
    size = len(ALPHABET)
    product = size
    for letter in letters:
        product = _AFTER[letter][product]
    return ALPHABET[(size + 1 - product) % size]


class Token(str):
    """A well-formed token; made by ``new`` or read by ``parse``."""

    __slots__ = ()

    @classmethod
    def new(cls) -> Token:
        """A fresh token, unrelated to the card it will name."""
        return cls.several(1)[0]

    @classmethod
    def several(cls, count: int, share: Share = ALL) -> list[Token]:
        """``count`` fresh tokens, drawn at once, as ``sorted_words`` draws them."""
        return [
            cls(PREFIX + letters + _check_letter(letters))
            for letters in sorted_words(count, RANDOM_LETTERS, share)
        ]

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a typed token.

        Raises InputError("token", "form") when the shape or the check letter
        is wrong.
        """
        letters, check = text[len(PREFIX) : -1], text[-1:]
        well_formed = (
            len(text) == LENGTH
            and text.startswith(PREFIX)
            and set(text[len(PREFIX) :]) <= set(ALPHABET)
        )
        if not well_formed or _check_letter(letters) != check:
            raise InputError("token", "form")
        return cls(text)
