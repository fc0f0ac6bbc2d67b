"""Exports whole card numbers as CSV, encrypted with age while they are written.

The plain text exists a page at a time in memory and nowhere else.  The encrypted file
(https://age-encryption.org/v1) gets its name when it is complete and the trail has the
entry about it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ..card.token import Token
from ..errors import InputError, IntegrityFault
from ..kill_points import kill_point
from ..store.database import reading
from ..store.files import NewFile
from ..store.schema import CARD, EXPIRY, REV, TOKEN
from ..trail import Actor
from ..web.vault import Vault
from .age_file import encrypt, require_recipients
from .expected_rows import ExpectedRows
from .open_vault import OpenVault
from .progress import Step, Tell, Watch
from .verify import TrailReading

HEADING = b"token,card_number,exp_month,exp_year\r\n"
# Smaller pages are faster: there are fewer objects for the garbage collector to scan.
PAGE = 200
# Longer than any token, so that a line without an end is not read into memory.
MAX_LINE = 200
MAX_FAULTS = 20
_GONE = {
    "purged": "its card was purged",
    "given up": "its card was given up",
    "missing": "no card has this token",
}


@dataclass(frozen=True)
class Order:
    """What was asked for: the new file, the age recipients, the reason and who asks.
    ``tokens`` is a file with a token a line, for an export of those cards only."""

    path: Path
    recipients: tuple[str, ...]
    reason: str
    by: Actor
    tokens: Path | None = None


@dataclass(frozen=True)
class Exported:
    """The result: how many ``cards`` are in the file and how many were ``left_out``."""

    cards: int
    left_out: int


def export(vault: OpenVault, order: Order, watch: Watch, tell: Tell) -> Exported:
    """Write the cards, as they are at one moment, into the new file ``order.path``.

    ``watch`` is called after each page and may raise to stop.  ``tell`` gets the token
    and the problem of a card that is left out, because it could not be opened or the
    trail has another rev of it (the row was replaced by an older version, or put back
    after its deletion).  Raises InputError for a bad recipient or bad lines of
    ``order.tokens`` before anything is written, FileRefused when something is in the
    way, and IntegrityFault when the trail is broken, so that it can't be compared.
    """
    keys = require_recipients(order.recipients)
    with reading(vault.engine) as db:
        wanted = _wanted(vault, db, order.tokens) if order.tokens else None
        known = _known(vault, db)
        with NewFile(order.path) as part:
            csv = _Csv(vault, db, wanted, known, watch, tell)
            # The first entry is written before the first card is opened, because the
            # recipient can read the ciphertext that a killed export leaves.
            _record(vault, order, "cards.export_started", count=csv.total)
            encrypt(csv.pages(), part.file, keys)
            part.sync()
            kill_point("export-written")
            result = Exported(csv.done, csv.left_out)
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


class _Csv:
    """The CSV of the cards with the numbers ``wanted``, or of all."""

    def __init__(
        self,
        vault: OpenVault,
        db: Connection,
        wanted: array[int] | None,
        known: ExpectedRows,
        watch: Watch,
        tell: Tell,
    ) -> None:
        self._db = db
        self._opened = vault.opener(db)
        self._check = known.check_card
        self._wanted = wanted
        self._watch = watch
        self._tell = tell
        count = select(func.count()).select_from(CARD)
        self.total: int = (
            db.execute(count).scalar_one() if wanted is None else len(wanted)
        )
        self.done = self.left_out = 0

    def pages(self) -> Iterator[bytes]:
        """The heading, then a page of cards at a time (RFC 4180; no value needs
        quotes)."""
        yield HEADING
        opened, check = self._opened, self._check
        for rows in self._rows():
            lines = []
            for row in rows:
                try:
                    number = opened(row).decode()
                    check(row[TOKEN], row[REV])
                except IntegrityFault as fault:
                    self.left_out += 1
                    self._tell(fault.subject, fault.problem)
                else:
                    ends = _month_and_year(row[EXPIRY])
                    lines.append(f"{row[TOKEN]},{number},{ends}")
            self.done += len(lines)
            yield "".join(lines).encode()
            self._watch(Step("export", self.done + self.left_out, self.total))

    def _rows(self) -> Iterator[Sequence[Row[Any]]]:
        query = select(CARD).order_by(CARD.c.id)
        if self._wanted is None:
            streamed = query.execution_options(yield_per=PAGE)
            yield from self._db.execute(streamed).partitions()
            return
        for start in range(0, len(self._wanted), PAGE):
            page = self._wanted[start : start + PAGE]
            yield self._db.execute(query.where(CARD.c.id.in_(page))).all()


def _known(vault: OpenVault, db: Connection) -> ExpectedRows:
    """The rows the trail expects; raises IntegrityFault naming its first bad entry,
    which may have been about a deletion."""
    trail = TrailReading(vault)
    for fault in trail.read_on(db):
        raise IntegrityFault(
            fault.subject,
            fault.problem,
            hint="no card was opened; docs/operations.md says how to mend the trail",
        )
    return trail.expected


@cache
def _month_and_year(expiry: int) -> str:
    """The last two columns of a line; cached, as there are only some hundred."""
    year, month = divmod(expiry, 100)
    return f"{month:02},{year}\r\n"


def _record(vault: Vault, order: Order, event: str, **counts: int) -> None:
    """Record the export in the trail, in a transaction of its own."""
    detail = {
        **counts,
        "reason": order.reason,
        "recipients": ", ".join(order.recipients),
    }
    with vault.engine.begin() as db:
        vault.record(db, event, order.by, subject=order.path.name, detail=detail)


def _wanted(vault: Vault, db: Connection, path: Path) -> array[int]:
    """The row numbers of the cards a file names, in order, each once; raises InputError
    with the lines that name no card."""
    numbers: set[int] = set()
    faults: list[tuple[int, str]] = []
    for page in _token_pages(path, faults):
        found = _numbers(db, page)
        numbers.update(found.values())
        gone = vault.missing(db, page.keys() - found.keys())
        faults += [(page[token], _GONE[why]) for token, why in gone.items()]
        if len(faults) >= MAX_FAULTS:
            break
    if not faults and not numbers:
        raise InputError(str(path), "names no card")
    if faults:
        named = [f"line {line}: {what}" for line, what in sorted(faults)[:MAX_FAULTS]]
        raise InputError(str(path), "; ".join(named))
    return array("q", sorted(numbers))


def _token_pages(path: Path, faults: list[tuple[int, str]]) -> Iterator[dict[str, int]]:
    """Pages of tokens with their line numbers.  A line that is no token goes to
    ``faults`` by its number alone, because it may hold a card number."""
    page: dict[str, int] = {}
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for place, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 1):
            if not line.strip():
                continue
            try:
                page[Token.parse(line.strip())] = place
            except InputError:
                faults.append((place, "is not a token"))
            if len(page) == PAGE or len(faults) == MAX_FAULTS:
                yield page
                page = {}
    yield page


def _numbers(db: Connection, tokens: dict[str, int]) -> dict[str, int]:
    query = select(CARD.c.token, CARD.c.id).where(CARD.c.token.in_(tokens))
    return {row.token: row.id for row in db.execute(query)}
