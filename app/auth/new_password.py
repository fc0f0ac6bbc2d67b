"""Checks what a new password must be, with the ``zxcvbn`` library's estimate of how many
guesses find it.

The library knows English words, names and common passwords; Japanese words and the years
it doesn't know yet are added from ``common_words.txt``, the most usual first.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path

from zxcvbn import matching, scoring

from vault.card.scrub import holds_card_number

from .passwords import folded

MIN_LENGTH, MAX_LENGTH = 15, 128
# Of a longer password the beginning decides, because the time grows with the square of
# the length.
LOOKED_AT = 48
# What the library calls safe against whoever has the hashes, if they are slow to make.
FEWEST_GUESSES = 10**10
# The library tries each combination of the letters that signs may stand for, and of
# this many on the signs are read in one way only.
MOST_COMBINATIONS = 16
_LETTERS = str.maketrans("@$!|+([{<%", "asiltccccx")
_REPEATED = re.compile(r"(.{3,}?)\1+", re.DOTALL)
_HIRAGANA = {code: code - 0x60 for code in range(ord("ァ"), ord("ヶ") + 1)}
# A person's or the site's words are looked for from this length on; a Japanese one may
# be shorter.
MIN_OWN, MIN_OWN_JAPANESE = 3, 2


class Fault(Enum):
    """What is wrong with a new password: its LENGTH, a character that can't be typed
    (UNPRINTABLE), no letter or no digit (KINDS), a CARD_NUMBER in it, or that it is
    guessed easily, because most of it is what OWN, WORD, REPEAT, KEYBOARD, ORDER and
    DATE name."""

    LENGTH = auto()
    UNPRINTABLE = auto()
    KINDS = auto()
    CARD_NUMBER = auto()
    OWN = auto()
    WORD = auto()
    REPEAT = auto()
    KEYBOARD = auto()
    ORDER = auto()
    DATE = auto()


_PATTERNS = {
    "dictionary": Fault.WORD,
    "repeat": Fault.REPEAT,
    "spatial": Fault.KEYBOARD,
    "sequence": Fault.ORDER,
    "date": Fault.DATE,
    "regex": Fault.DATE,
}


def find_fault(password: str, own: Iterable[str]) -> Fault | None:
    """What is wrong with a new password, or None (PCI DSS 8.3.6, NIST SP 800-63B-4
    section 3.1.1.2).

    ``own`` are names that a guesser tries first and that therefore count for nothing:
    login ID, the person's name, their addresses, the site's name.
    """
    password = folded(password)
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return Fault.LENGTH
    # Control characters and those that nobody sees: whoever pasted one could not type
    # the password again.
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in password):
        return Fault.UNPRINTABLE
    if not (any(c.isalpha() for c in password) and any(c.isdigit() for c in password)):
        return Fault.KINDS
    # A card number as a password would be stored as a hash of a card number.
    if holds_card_number(password.casefold()):
        return Fault.CARD_NUMBER
    return _guessable(_plain(password), own)


@lru_cache(maxsize=1)
def word_lists() -> dict[str, dict[str, int]]:
    """The library's lists and ours: words by the list's name, each with its rank."""
    listed = Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8")
    ours = dict.fromkeys(_plain(word) for word in listed.split())
    ranked = matching.build_ranked_dict(list(ours))
    return {**matching.RANKED_DICTIONARIES, "japanese": ranked}


def _plain(text: str) -> str:
    """A text without what makes two spellings of a word: width, case, katakana."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_HIRAGANA)


def _guessable(plain: str, own: Iterable[str]) -> Fault | None:
    """Why a password is guessed easily, or None."""
    rest = plain
    for word in sorted(_words_of(own), key=len, reverse=True):
        rest = rest.replace(word, "")
    # The library misses a repetition that begins with the sign before it.
    once = _REPEATED.sub(r"\1", rest)
    fault = _pattern(once) if once else Fault.OWN
    if fault is None or rest != plain:
        return fault and Fault.OWN
    return fault if once == rest else Fault.REPEAT


def _words_of(own: Iterable[str]) -> set[str]:
    """Each of the names, and the words in it, that are long enough to be one."""
    names = [_plain(name) for name in own]
    words = {word for name in names for word in re.findall(r"[^\W\d_]+", name)}
    return {word for word in words.union(names) if len(word) >= _least(word)}


def _least(word: str) -> int:
    return MIN_OWN if word.isascii() else MIN_OWN_JAPANESE


def _pattern(plain: str) -> Fault | None:
    """What most of an easily guessed text is; None when it takes enough guesses."""
    text = plain[:LOOKED_AT]
    signs = matching.relevant_l33t_subtable(text, matching.L33T_TABLE)
    if math.prod(map(len, signs.values())) > MOST_COMBINATIONS:
        text = text.translate(_LETTERS)
    # Without the library's addition for each part, by which a word, a sign and a word
    # would be as good as twelve random digits.
    found = scoring.most_guessable_match_sequence(
        text, matching.omnimatch(text, word_lists()), _exclude_additive=True
    )
    if found["guesses"] >= FEWEST_GUESSES:
        return None
    parts = [part for part in found["sequence"] if part["pattern"] in _PATTERNS]
    longest = max(parts, key=lambda part: len(part["token"]), default=None)
    return _PATTERNS[longest["pattern"]] if longest else Fault.WORD
