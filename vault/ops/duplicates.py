"""Finds exact duplicates: cards with the same number under more than one token.

It compares in memory alone, by each number's HMAC under a key that is made for this
run and not kept; no hash of a number is ever written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ..crypto import Mac, new_key
from ..errors import IntegrityFault
from ..store.schema import CARD
from ..web.vault import Card, card_of
from .open_vault import OpenVault, card_rows
from .progress import Step, Tell, Watch

STEP = 1000
# 128 bits: among a hundred million numbers two agree by chance with probability 2^-75.
DIGEST_BYTES = 16

Shape = tuple[str, str, int]


@dataclass(frozen=True)
class Duplicates:
    """Cards in ``groups`` of one number each, oldest first, and how many cards were
    ``left_out`` because they could not be opened."""

    groups: tuple[tuple[Card, ...], ...]
    left_out: int


class Search:
    """Compares every card with every other in ``db``'s reading transaction.

    It makes two passes, so that memory holds all digests but only the cards whose
    digest was met twice.  ``watch`` is called after each page; ``tell`` gets the token
    and the problem of a card that could not be opened.
    """

    def __init__(
        self, vault: OpenVault, db: Connection, watch: Watch, tell: Tell
    ) -> None:
        self._db = db
        self._opened = vault.opener(db)
        self._mac = Mac(new_key())
        self._watch = watch
        self._tell = tell
        self._left_out = 0
        # The digests that were met twice.
        self._twice: set[bytes] = set()
        self._shapes: set[Shape] = set()

    def run(self) -> Duplicates:
        """Find the numbers that are stored more than once."""
        self._compare()
        groups: dict[bytes, list[Card]] = {}
        if self._twice:
            self._collect(groups)
        return Duplicates(tuple(map(tuple, groups.values())), self._left_out)

    def _compare(self) -> None:
        seen: set[bytes] = set()
        for row in self._rows("compare"):
            try:
                digest = self._digest(row)
            except IntegrityFault as fault:
                self._left_out += 1
                self._tell(fault.subject, fault.problem)
                continue
            if digest in seen:
                self._twice.add(digest)
                self._shapes.add(_shape(row))
            seen.add(digest)

    def _collect(self, groups: dict[bytes, list[Card]]) -> None:
        for row in self._rows("collect"):
            if _shape(row) not in self._shapes:
                continue
            with suppress(IntegrityFault):  # reported in the first pass
                digest = self._digest(row)
                if digest in self._twice:
                    groups.setdefault(digest, []).append(card_of(row))

    def _digest(self, row: Row[Any]) -> bytes:
        return self._mac.sign(self._opened(row))[:DIGEST_BYTES]

    def _rows(self, phase: str) -> Iterator[Row[Any]]:
        total = self._db.execute(select(func.count()).select_from(CARD)).scalar_one()
        for place, row in enumerate(card_rows(self._db), 1):
            yield row
            if place % STEP == 0:
                self._watch(Step(phase, place, total))


def _shape(row: Row[Any]) -> Shape:
    return row.prefix, row.last4, row.length
