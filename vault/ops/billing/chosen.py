"""Finds the cards that a file names, and names the lines that name none."""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, bindparam, null, select

from ...card.token import ALPHABET, LENGTH, PREFIX, Token
from ...errors import InputError
from ...store.schema import CARD
from ...store.sqlite import plain_rows
from ...web.vault import Vault
from .layout import NUMBER, Layout
from .sheet import Record, Sheet

PAGE = 200
# Longer than any token, so that a line without an end is not read into memory.
MAX_LINE = 200
MAX_FAULTS = 20
MEND = "nothing was written; mend the file and run the same command again"
_UNREADABLE = "is not a token"
_GONE = {
    "purged": "its card was purged",
    "given up": "its card was given up",
    "missing": "no card has this token",
}
_SHAPE = re.compile(f"{PREFIX}[{ALPHABET}]{{{LENGTH - len(PREFIX)}}}")

_GIVEN = CARD.c.token.in_(bindparam("tokens", expanding=True))
_NUMBERS = select(CARD.c.token, CARD.c.id, null()).where(_GIVEN)
_LENGTHS = select(CARD.c.token, CARD.c.id, CARD.c.length).where(_GIVEN)

Fault = tuple[int, str]
"""A line's number and what is wrong there; never what stands there, since somebody may
have typed a card number."""


def numbers_of(vault: Vault, db: Connection, path: Path) -> array[int]:
    """The row numbers of the cards a file names, a token a line, in order, each once;
    raises InputError with the lines that name no card."""
    numbers: set[int] = set()
    faults: list[Fault] = []
    for page in _token_pages(path, faults):
        query = select(CARD.c.token, CARD.c.id).where(CARD.c.token.in_(page))
        found = {row.token: row.id for row in db.execute(query)}
        numbers.update(found.values())
        gone = _gone(vault, db, page.keys() - found.keys())
        faults += [(page[token], _GONE[why]) for token, why in gone.items()]
        if len(faults) >= MAX_FAULTS:
            break
    _require_none(path, faults)
    if not numbers:
        raise InputError(str(path), "names no card", hint=MEND)
    return array("q", sorted(numbers))


def numbers_of_rows(
    vault: Vault, db: Connection, sheet: Sheet, layout: Layout
) -> array[int]:
    """The row number of each of a sheet's cards, in its order; raises InputError with
    the lines that name no card or hold what ``layout`` can't write."""
    numbers = array("q")
    faults: list[Fault] = []
    for page in pages_of(sheet):
        cards = _cards(db, page, layout)
        unknown = {one.token for one in page} - cards.keys()
        gone = _gone(vault, db, {token for token in unknown if _is_token(token)})
        for one in page:
            why = one.fault
            if not why and one.token in cards:
                number, length = cards[one.token]
                numbers.append(number)
                why = _unwritable(one, length, layout)
            elif not why:
                why = _unknown(one.token, gone)
            if why:
                faults.append((one.line, why))
        if len(faults) >= MAX_FAULTS:
            break
    _require_none(sheet.path, faults)
    if not numbers:
        raise InputError(str(sheet.path), "has a heading and no row", hint=MEND)
    return numbers


def require_room(db: Connection, numbers: array[int] | None, layout: Layout) -> None:
    """Raise InputError naming the cards, of those with these row numbers or of all,
    whose card number is longer than its field."""
    if layout.widest_number is None:
        return
    query = select(CARD.c.id, CARD.c.token).where(CARD.c.length > layout.widest_number)
    wanted = None if numbers is None else set(numbers)
    long = [
        row.token
        for row in db.execute(query.order_by(CARD.c.id))
        if wanted is None or row.id in wanted
    ]
    if long:
        raise InputError(
            "--fixed",
            f"{len(long)} card numbers are longer than {layout.widest_number} bytes: "
            + ", ".join(long[:MAX_FAULTS]),
            hint="nothing was written; give card_number 19 bytes, the most it has",
        )


def pages_of(sheet: Sheet) -> Iterator[list[Record]]:
    """The rows of a sheet, a page at a time."""
    records = sheet.records()
    while page := list(islice(records, PAGE)):
        yield page


def _gone(vault: Vault, db: Connection, tokens: Collection[str]) -> dict[str, str]:
    return vault.missing(db, tokens) if tokens else {}


def _cards(
    db: Connection, page: Sequence[Record], layout: Layout
) -> dict[str, tuple[int, object]]:
    """The row number of each of a page's cards, by token, and how many digits it has if
    ``layout`` limits them.  What is not a token by its shape is not asked for, because
    it may be a card number."""
    tokens = {one.token for one in page if _SHAPE.fullmatch(one.token)}
    # Without the length the index of the tokens has the answer.
    query = _NUMBERS if layout.widest_number is None else _LENGTHS
    rows = plain_rows(db, query, {"tokens": list(tokens)})
    return {token: (number, length) for token, number, length in rows}


def _is_token(text: str) -> bool:
    try:
        Token.parse(text)
    except InputError:
        return False
    return True


def _unknown(token: str, gone: dict[str, str]) -> str:
    if not token:
        return "has no token"
    return _GONE[gone[token]] if token in gone else _UNREADABLE


def _unwritable(one: Record, length: object, layout: Layout) -> str:
    """Why a row can't be written as ``layout`` says, or nothing.  A card whose
    ``length`` is no number is left out later, by its MAC."""
    most = layout.widest_number
    if most is not None and isinstance(length, int) and length > most:
        return f"{NUMBER}: is longer than {most} bytes"
    try:
        layout.check(one.cells)
    except InputError as error:
        return str(error)
    return ""


def _require_none(path: Path, faults: list[Fault]) -> None:
    if faults:
        named = [f"line {line}: {what}" for line, what in sorted(faults)[:MAX_FAULTS]]
        raise InputError(str(path), "; ".join(named), hint=MEND)


def _token_pages(path: Path, faults: list[Fault]) -> Iterator[dict[str, int]]:
    """Pages of tokens with their line numbers.  A line that is no token goes to
    ``faults``."""
    page: dict[str, int] = {}
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 1):
            if not line.strip():
                continue
            try:
                page[Token.parse(line.strip())] = number
            except InputError:
                faults.append((number, _UNREADABLE))
            if len(page) == PAGE or len(faults) == MAX_FAULTS:
                yield page
                page = {}
    yield page
