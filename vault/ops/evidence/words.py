"""Holds what a page of the evidence says, in Japanese and in English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

LANGUAGES = ("ja", "en")


class Words(NamedTuple):
    """A text in both languages."""

    ja: str
    en: str

    def of(self, lang: str) -> str:
        """The text in ``lang``, "ja" or "en"."""
        return self.ja if lang == "ja" else self.en


Cell = str | int | Words | None
"""What stands in a table: a text, a number, or a text in both languages; None is
nothing."""

YES, NO = Words("はい", "yes"), Words("いいえ", "no")
NONE = Words("なし", "none")
NOTHING = Words("", "")


def yes_or_no(value: bool) -> Words:
    """``value`` as a word."""
    return YES if value else NO


@dataclass(frozen=True)
class Table:
    """A table under a heading of its own; ``rows`` are as wide as ``columns``."""

    heading: Words
    columns: Sequence[Words]
    rows: Sequence[Sequence[Cell]]
    note: Words = NOTHING


@dataclass(frozen=True)
class Subject:
    """One subject of the evidence: ``name`` is the stem of its files, ``shows`` says what
    they show, ``requirements`` are PCI DSS v4.0.1's, as "3.7.4, 3.7.5".

    ``data`` is what the JSON file holds; None is for a subject without one.  ``wrong``
    says that something was found that has to be mended, ``missing`` that a part could not
    be looked at or was not given: nothing was found there, because nobody looked."""

    name: str
    title: Words
    shows: Words
    requirements: str
    tables: Sequence[Table] = ()
    data: Any = None
    wrong: bool = False
    missing: bool = False
    files: Sequence[str] = ()
    """Further files that were written for it."""
