"""Lays out the lines of an export: which columns, CSV or of fixed width, encoded how."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter

from ...card.token import LENGTH
from ...errors import InputError

TOKEN, NUMBER = "token", "card_number"
# Each way of writing an expiry, from its year and its month.
EXPIRIES: dict[str, Callable[[int, int], str]] = {
    "exp_month": lambda _, month: f"{month:02}",
    "exp_year": lambda year, _: f"{year}",
    "exp_yymm": lambda year, month: f"{year % 100:02}{month:02}",
    "exp_mmyy": lambda year, month: f"{month:02}{year % 100:02}",
    "exp_mm_yy": lambda year, month: f"{month:02}/{year % 100:02}",
    "exp_yyyymm": lambda year, month: f"{year}{month:02}",
}
OWN = (TOKEN, NUMBER, *EXPIRIES)
"""The columns that the vault fills; all others are carried from a file."""
DEFAULT = (TOKEN, NUMBER, "exp_month", "exp_year")
# How long a column of the vault's is, in signs; a card number's length varies.
_LENGTHS = {TOKEN: LENGTH} | {name: len(f(2030, 1)) for name, f in EXPIRIES.items()}
_TO_QUOTE = re.compile(r'[",\r\n]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WIDTH = re.compile(r"(>|0?)([1-9][0-9]{0,3})")

Line = Callable[[str, str, int, Sequence[str]], str]


@dataclass(frozen=True)
class Width:
    """The ``size`` in bytes of one field of a fixed record and what fills it:
    "" blanks after the value, ">" blanks before it, "0" zeros before its digits."""

    size: int
    fill: str = ""

    def fitted(self, text: str, encoding: str) -> str:
        """``text`` in its field; raises ValueError saying why it does not fit."""
        missing = self.size - len(_encoded(text, encoding))
        if missing < 0:
            raise ValueError(f"is longer than {self.size} bytes")
        if _CONTROL.search(text):
            raise ValueError("has a line break or another control character")
        if self.fill == "0":
            if not (text.isascii() and text.isdigit()):
                raise ValueError("is not digits alone, so zeros can't fill it")
            return "0" * missing + text
        return " " * missing + text if self.fill else text + " " * missing


@dataclass(frozen=True)
class Layout:
    """How each line is written.

    ``columns`` are names out of ``OWN`` and ``carried``, which are those of the file
    whose columns go along.  ``widths`` is empty for CSV (RFC 4180), else a width for
    each column; such records have no heading.
    """

    columns: tuple[str, ...] = DEFAULT
    carried: tuple[str, ...] = ()
    heading: bool = True
    encoding: str = "utf-8"
    newline: str = "\r\n"
    widths: tuple[Width, ...] = ()

    def __post_init__(self) -> None:
        """Raise InputError naming the first column that is unknown or can't be
        written."""
        known = {*OWN, *self.carried}
        for name in self.columns:
            if name not in known:
                raise InputError(
                    "--columns", f"there is no {name!r}; there are: {self._choice()}"
                )
            if self.columns.count(name) > 1:
                raise InputError("--columns", f"{name!r} is named twice")
        if self.widths:
            self._require_widths()
        else:
            self._require_names()

    @property
    def widest_number(self) -> int | None:
        """How many digits a card number may have; None for any."""
        if not self.widths or NUMBER not in self.columns:
            return None
        return self.widths[self.columns.index(NUMBER)].size

    def first_line(self) -> str:
        """The heading, or nothing."""
        if self.widths or not self.heading:
            return ""
        return ",".join(map(_quoted, self.columns)) + self.newline

    def check(self, cells: Sequence[str]) -> None:
        """Raise InputError naming the first of a row's carried values that can't be
        written; ``cells`` are in the order of ``carried``."""
        for place, name in enumerate(self.columns):
            if name in OWN:
                continue
            text = cells[self.carried.index(name)]
            try:
                if self.widths:
                    self.widths[place].fitted(text, self.encoding)
                else:
                    _encoded(text, self.encoding)
            except ValueError as error:
                raise InputError(name, str(error)) from None

    def line(self) -> Line:
        """A function that makes a line of a token, a card number, an expiry (YYYYMM)
        and a row's carried values.  It is called for every card."""
        return self._record() if self.widths else self._csv()

    def _csv(self) -> Line:
        # Nothing but a carried value can need quotes, and there are only some hundred
        # expiries: so a line is one of some hundred texts with the rest put into it.
        pool = (TOKEN, NUMBER, *self.carried)
        pick = _picker([pool.index(name) for name in self.columns if name in pool])
        texts: dict[int, str] = {}

        def text_for(expiry: int) -> str:
            forms = dict(zip(EXPIRIES, _forms(expiry), strict=True))
            cells = [forms.get(name, "%s") for name in self.columns]
            return texts.setdefault(expiry, ",".join(cells) + self.newline)

        def line(token: str, number: str, expiry: int, cells: Sequence[str]) -> str:
            text = texts.get(expiry) or text_for(expiry)
            if cells:
                return text % pick((token, number, *map(_quoted, cells)))
            return text % pick((token, number))

        return line

    def _record(self) -> Line:
        pool = (*OWN, *self.carried)
        pick = _picker([pool.index(name) for name in self.columns])
        ends, encoding, widths = self.newline, self.encoding, self.widths

        def line(token: str, number: str, expiry: int, cells: Sequence[str]) -> str:
            texts = pick((token, number, *_forms(expiry), *cells))
            fields = (w.fitted(t, encoding) for w, t in zip(widths, texts, strict=True))
            return "".join(fields) + ends

        return line

    def _choice(self) -> str:
        return ", ".join((*OWN, *self.carried))

    def _require_widths(self) -> None:
        if len(self.widths) != len(self.columns):
            raise InputError(
                "--fixed",
                f"there are {len(self.widths)} widths for {len(self.columns)} columns: "
                + ", ".join(self.columns),
            )
        for name, width in zip(self.columns, self.widths, strict=True):
            needed = _LENGTHS.get(name, 0)
            if width.size < needed:
                raise InputError("--fixed", f"{name} takes {needed}, not {width.size}")
            if width.fill == "0" and name in (TOKEN, "exp_mm_yy"):
                raise InputError(
                    "--fixed", f"{name} is not digits, so no zeros fill it"
                )

    def _require_names(self) -> None:
        for name in self.columns if self.heading else ():
            try:
                _encoded(name, self.encoding)
            except ValueError as error:
                raise InputError(f"the column's name {name!r}", str(error)) from None


def read_columns(text: str) -> tuple[str, ...]:
    """The names in ``text``, between commas."""
    return tuple(name.strip() for name in text.split(","))


def read_widths(text: str) -> tuple[Width, ...]:
    """The widths in ``text``, between commas: 16 fills with blanks at the right, >16
    at the left, 016 with zeros at the left.  Raises InputError."""
    widths = []
    for part in text.split(","):
        found = _WIDTH.fullmatch(part.strip())
        if found is None:
            raise InputError(
                "--fixed", f"{part.strip()!r} is not a width like 16 or 010"
            )
        widths.append(Width(int(found[2]), found[1]))
    return tuple(widths)


def _picker(places: Sequence[int]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """A function that picks what stands at ``places`` out of a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    # Of a single place itemgetter would return the thing itself.
    return itemgetter(slice(places[0], places[0] + 1) if places else slice(0))


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        raise ValueError(f"has a character that {encoding} does not have") from None


def _quoted(text: str) -> str:
    if text.isalnum() or not _TO_QUOTE.search(text):
        return text
    return '"' + text.replace('"', '""') + '"'


@cache
def _forms(expiry: int) -> tuple[str, ...]:
    """Every way of writing an expiry; cached, as there are only some hundred."""
    year, month = divmod(expiry, 100)
    return tuple(form(year, month) for form in EXPIRIES.values())


CSV = Layout()
"""The layout of an export that asks for none."""
