"""Makes the words by which the search finds a customer, and asks for them.

The words of a customer are, in ASCII: for each pair of neighbours in the folded name
``b`` (it begins the name) or ``i`` (it is inside) and four letters for each of the two,
the last character's neighbour being the end; for each place in the telephone number
``t`` and three digits from there; ``k`` and the card's last four.

The words of a search find every customer that matches, and some that don't, because to
have all pairs of a name is not to have the name.  So the search compares the texts too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from sqlalchemy import ColumnElement, or_

from ..models import Customer
from ..typed import phone_of, search_key

BEGIN, INSIDE, PHONE, LAST4 = "b", "i", "t", "k"
# How many digits a run has.  Fewer are in so many telephone numbers that a page of them
# is met at once.
RUN = 3
# A question of more pairs finds hardly fewer.
MOST_PAIRS = 12

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_END = "0000"


def search_words(name_folded: str, phone_digits: str, last4: str) -> str:
    """The words of a customer, divided by blanks, each once and in a fixed order."""
    codes = [*map(_code, name_folded), _END]
    words = [f"{INSIDE}{one}{other}" for one, other in pairwise(codes)]
    words[:1] = [BEGIN + pair[1:] for pair in words[:1]]
    starts = range(len(phone_digits) - RUN + 1)
    words += [PHONE + phone_digits[start : start + RUN] for start in starts]
    words.append(LAST4 + last4)
    return " ".join(dict.fromkeys(words))


@dataclass(frozen=True)
class Language:
    """How an engine writes that it asks for both of two, for either, and for all words
    that begin so."""

    both: str
    either: str
    beginning: str

    def all_of(self, parts: Iterable[str]) -> str:
        """The question for all ``parts``."""
        return "(" + self.both.join(parts) + ")"

    def any_of(self, parts: Iterable[str]) -> str:
        """The question for one of ``parts``."""
        return "(" + self.either.join(parts) + ")"


@dataclass(frozen=True)
class Word:
    """A word of a search: the ``name`` it may be a part of, folded, and the ``digits``
    that a telephone number or the last four may hold, or ""."""

    name: str
    digits: str

    @property
    def is_indexed(self) -> bool:
        """Say whether the words of customers can be asked for it."""
        return not self.digits or len(self.digits) >= RUN

    @property
    def is_name(self) -> bool:
        """Say whether only a name can hold it."""
        return not self.digits

    def is_in(self) -> ColumnElement[bool]:
        """The condition that a customer's texts hold this word."""
        ways: list[ColumnElement[bool]] = []
        if self.name:
            ways.append(Customer.name_folded.contains(self.name, autoescape=True))
        if self.digits:
            ways.append(Customer.phone_digits.contains(self.digits))
            # Four digits alone may be the last four of a card number.
            ways.append(Customer.last4 == self.digits)
        return or_(*ways)

    def asked(self, to: Language) -> str:
        """The question for customers who may hold this word."""
        ways = [self.begins_name(to), self.inside_name(to)] if self.name else []
        if self.digits:
            # Runs side by side, and the last, which ends the digits.
            last = len(self.digits) - RUN
            starts = [*range(0, last, RUN), last]
            runs = [self.digits[start : start + RUN] for start in starts]
            ways.append(to.all_of(PHONE + run for run in runs))
            ways.append(LAST4 + self.digits)
        return to.any_of(ways)

    def begins_name(self, to: Language) -> str:
        """The question for customers whose name may begin with this word."""
        first, *others = self._pairs(to)
        return to.all_of([BEGIN + first, *(INSIDE + pair for pair in others)])

    def inside_name(self, to: Language) -> str:
        """The question for customers in whose name it may stand, but not first."""
        return to.all_of(INSIDE + pair for pair in self._pairs(to))

    def _pairs(self, to: Language) -> list[str]:
        codes = _codes(self.name[: MOST_PAIRS + 1])
        if len(codes) == 1:
            return [codes[0] + to.beginning]
        return [one + other for one, other in pairwise(codes)]


def words_of(q: str) -> list[Word]:
    """The words of a search text, which blanks divide."""
    made = []
    for typed in dict.fromkeys(q.split()):
        digits = phone_of(typed).replace("-", "")
        known = digits.isascii() and digits.isdigit()
        made.append(Word(search_key(typed), digits if known else ""))
    return [word for word in made if word.name or word.digits]


def _codes(text: str) -> list[str]:
    return [_code(character) for character in text]


@lru_cache(maxsize=10_000)
def _code(character: str) -> str:
    """A character as four letters, so that no engine takes it for another or for a
    sign of its own."""
    left, letters = ord(character), ""
    for _ in _END:
        left, place = divmod(left, len(_LETTERS))
        letters = _LETTERS[place] + letters
    return letters
