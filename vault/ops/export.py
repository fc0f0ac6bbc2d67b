"""Exports whole card numbers, encrypted with age while they are written.

The plain text exists a page at a time in memory and nowhere else.  The encrypted file
(https://age-encryption.org/v1) gets its name when it is complete and the trail has the
entry about it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from ..errors import IntegrityFault
from ..kill_points import kill_point
from ..store.database import reading
from ..store.files import NewFile
from ..store.schema import CARD, EXPIRY, ID, REV, TOKEN
from ..store.sqlite import plain_rows
from ..trail import Actor
from .age_file import encrypt, require_recipients
from .billing.chosen import numbers_of, numbers_of_rows, pages_of, require_room
from .billing.layout import CSV, DEFAULT, Layout
from .billing.sheet import Sheet
from .expected_rows import ExpectedRows
from .open_vault import OpenVault
from .progress import Step, Tell, Watch
from .verify import TrailReading

# Smaller pages are faster: there are fewer objects for the garbage collector to scan.
PAGE = 200
# What the trail says of so many cards is kept whole, and of more in little memory.
WHOLE = 100_000

# Below the number of any card.
_FIRST = -(2**63)

_AFTER = (
    select(CARD)
    .where(CARD.c.id > bindparam("after"))
    .order_by(CARD.c.id)
    .limit(bindparam("size"))
)
_NUMBERED = select(CARD).where(CARD.c.id.in_(bindparam("numbers", expanding=True)))

CardRow = Sequence[Any]
Rows = tuple[Sequence[CardRow], Iterable[Sequence[str]]]
"""A page of card rows, and what goes along with each."""


@dataclass(frozen=True)
class Order:
    """What was asked for: the new file, the age recipients, the reason and who asks.
    ``tokens`` is a file with a token a line, for an export of those cards only;
    ``sheet`` one whose rows go along, each beside its card, in the file's order."""

    path: Path
    recipients: tuple[str, ...]
    reason: str
    by: Actor
    tokens: Path | None = None
    sheet: Sheet | None = None
    layout: Layout = CSV


@dataclass(frozen=True)
class Exported:
    """The result: how many ``cards`` are in the file and how many were ``left_out``;
    with a sheet both count its rows, in which a card may stand twice."""

    cards: int
    left_out: int


def export(vault: OpenVault, order: Order, watch: Watch, tell: Tell) -> Exported:
    """Write the cards, as they are at one moment, into the new file ``order.path``.

    ``watch`` is called after each page and may raise to stop.  ``tell`` gets the token
    and the problem of a card that is left out, because it could not be opened or the
    trail has another rev of it (the row was replaced by an older version, or put back
    after its deletion).  Raises InputError for a bad recipient, and for lines of
    ``order.tokens`` or ``order.sheet`` that name no card or can't be written, before
    anything is written; FileRefused when something is in the way or the sheet changes
    meanwhile; and IntegrityFault when the trail is broken, so that it can't be
    compared.
    """
    keys = require_recipients(order.recipients)
    with reading(vault.engine) as db:
        chosen = _chosen(vault, db, order)
        known = _known(vault, db)
        with NewFile(order.path) as part:
            lines = _Lines(vault, db, chosen, order.layout, known, watch, tell)
            # The first entry is written before the first card is opened, because the
            # recipient can read the ciphertext that a killed export leaves.
            _record(vault, order, "cards.export_started", count=lines.total)
            encrypt(lines.pages(), part.file, keys)
            part.sync()
            kill_point("export-written")
            result = Exported(lines.done, lines.left_out)
            _record(
                vault,
                order,
                "cards.exported",
                count=result.cards,
                left_out=result.left_out,
            )
            kill_point("export-recorded")
            part.publish()
    kill_point("export-named")
    return result


@dataclass(frozen=True)
class _Chosen:
    """Which cards are exported: how many lines there will be, and the pages of rows."""

    total: int
    pages: Iterator[Rows]


def _chosen(vault: OpenVault, db: Connection, order: Order) -> _Chosen:
    """The cards that were asked for; raises InputError when one of them is unknown or
    can't be written as was asked."""
    if order.sheet is not None:
        rows = numbers_of_rows(vault, db, order.sheet, order.layout)
        return _Chosen(len(rows), _beside(db, order.sheet, rows))
    numbers = numbers_of(vault, db, order.tokens) if order.tokens else None
    require_room(db, numbers, order.layout)
    if numbers is not None:
        return _Chosen(len(numbers), _named(db, numbers))
    count = select(func.count()).select_from(CARD)
    return _Chosen(db.execute(count).scalar_one(), _all(db))


def _all(db: Connection) -> Iterator[Rows]:
    after = _FIRST
    while rows := plain_rows(db, _AFTER, {"after": after, "size": PAGE}):
        yield rows, repeat(())
        after = rows[-1][ID]


def _named(db: Connection, numbers: array[int]) -> Iterator[Rows]:
    for start in range(0, len(numbers), PAGE):
        page = numbers[start : start + PAGE]
        cards = _numbered(db, page)
        yield [cards[number] for number in page], repeat(())


def _beside(db: Connection, sheet: Sheet, numbers: array[int]) -> Iterator[Rows]:
    """The cards of a sheet that was checked, in its order; ``numbers`` has each row's
    card."""
    start = 0
    for page in pages_of(sheet):
        wanted = numbers[start : start + len(page)]
        cards = _numbered(db, wanted)
        rows = [cards[number] for number in wanted]
        if [row[TOKEN] for row in rows] != [one.token for one in page]:
            raise sheet.changed()
        yield rows, [one.cells for one in page]
        start += len(page)
    sheet.require_unchanged()


def _numbered(db: Connection, numbers: array[int]) -> dict[int, CardRow]:
    """The cards with these row numbers, by number."""
    rows = plain_rows(db, _NUMBERED, {"numbers": list(numbers)})
    return {row[ID]: row for row in rows}


class _Lines:
    """The text of the export, a page at a time, and how many lines it has."""

    def __init__(
        self,
        vault: OpenVault,
        db: Connection,
        chosen: _Chosen,
        layout: Layout,
        known: ExpectedRows,
        watch: Watch,
        tell: Tell,
    ) -> None:
        self._opened = vault.opener(db)
        self._check = known.check_card
        self._pages = chosen.pages
        self._layout = layout
        self._watch = watch
        self._tell = tell
        self.total = chosen.total
        self.done = self.left_out = 0

    def pages(self) -> Iterator[bytes]:
        """The heading, then a page of cards at a time."""
        encoding = self._layout.encoding
        yield self._layout.first_line().encode(encoding)
        opened, check, line = self._opened, self._check, self._layout.line()
        for rows, beside in self._pages:
            lines = []
            for row, cells in zip(rows, beside, strict=False):
                try:
                    number = opened(row).decode()
                    check(row[TOKEN], row[REV])
                except IntegrityFault as fault:
                    self.left_out += 1
                    self._tell(fault.subject, fault.problem)
                else:
                    lines.append(line(row[TOKEN], number, row[EXPIRY], cells))
            self.done += len(lines)
            yield "".join(lines).encode(encoding)
            self._watch(Step("export", self.done + self.left_out, self.total))


def _known(vault: OpenVault, db: Connection) -> ExpectedRows:
    """The rows the trail expects; raises IntegrityFault naming its first bad entry,
    which may have been about a deletion."""
    trail = TrailReading(vault, WHOLE)
    for fault in trail.read_on(db):
        raise IntegrityFault(
            fault.subject,
            fault.problem,
            hint="no card was opened; docs/operations.md says how to mend the trail",
        )
    return trail.expected


def _record(vault: OpenVault, order: Order, event: str, **counts: int) -> None:
    """Record the export in the trail, in a transaction of its own."""
    detail: dict[str, Any] = {
        **counts,
        "reason": order.reason,
        "recipients": ", ".join(order.recipients),
    }
    if order.layout.columns != DEFAULT:
        detail["columns"] = ", ".join(order.layout.columns)
    if order.sheet is not None:
        detail["with"] = order.sheet.path.name
    with vault.engine.begin() as db:
        vault.record(db, event, order.by, subject=order.path.name, detail=detail)
