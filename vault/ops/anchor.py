"""Anchors: copies of the trail's head, kept elsewhere, that show a restored older
database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ..crypto import same
from ..errors import IntegrityFault
from ..store.schema import AUDIT_ENTRY

FORMAT = "cardvault audit anchor 1"
GIVEN, NOT_GIVEN = "audit.anchored", "audit.anchor_failed"
SUBJECT = "anchor"
"""The subject of both events: the newest is found by the index on it."""
_MAX_ENTRIES = 2**63 - 1
# The year 36812: Python shows no later time.
_MAX_AT = 2**40


@dataclass(frozen=True)
class Anchor:
    """How many ``entries`` a vault's trail had, the last one's MAC in hex and its
    time ``at``, in seconds since 1970 UTC."""

    vault_id: str
    entries: int
    mac: str
    at: int

    @classmethod
    def of(cls, db: Connection, vault_id: str) -> Anchor:
        """The anchor of the trail in ``db``; raises IntegrityFault when its head can't
        be one."""
        query = select(AUDIT_ENTRY.c.seq, AUDIT_ENTRY.c.mac, AUDIT_ENTRY.c.at)
        last = db.execute(query.order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)).first()
        if last is None:
            raise IntegrityFault("audit entry 1", "is missing")
        if not (isinstance(last.mac, bytes) and isinstance(last.at, int)):
            raise IntegrityFault(f"audit entry {last.seq}", "is not as it was written")
        return cls(vault_id, last.seq, last.mac.hex(), last.at)

    @classmethod
    def from_object(cls, kept: dict[str, object]) -> Anchor:
        """The anchor that ``as_object`` gave; raises KeyError, TypeError or ValueError
        on anything else."""
        if kept["format"] != FORMAT:
            raise ValueError("not an anchor")
        entries, at = int(str(kept["entries"])), int(str(kept.get("at", 0)))
        if not (1 <= entries <= _MAX_ENTRIES and 0 <= at <= _MAX_AT):
            raise ValueError("not an anchor")
        return cls(str(kept["vault"]), entries, str(kept["mac"]), at)

    def as_object(self) -> dict[str, object]:
        """The anchor as it is printed and kept."""
        return {
            "format": FORMAT,
            "vault": self.vault_id,
            "entries": self.entries,
            "mac": self.mac,
            "at": self.at,
        }

    def line(self) -> str:
        """The anchor as one line of JSON."""
        return json.dumps(self.as_object())

    def check(self, found: bytes | None) -> None:
        """Compare ``found``, the MAC of a trail's entry number ``entries`` (None when
        the trail has no such entry), with the anchor's; raises IntegrityFault."""
        subject = f"audit entry {self.entries}"
        if found is None:
            raise IntegrityFault(
                subject, "was anchored and is missing: an older database"
            )
        whole = isinstance(found, bytes)
        if not whole or not same(
            found.hex().encode(), self.mac.encode(errors="replace")
        ):
            raise IntegrityFault(subject, "is another one than was anchored")


def parse_anchors(text: str) -> list[Anchor]:
    """Read what ``cardvault audit anchor`` printed, once or many times over: one
    JSON object, or one a line.  The oldest comes first.

    Raises ValueError when there is none, or anything else among them: a line that
    can't be read may be the very anchor that the trail doesn't have.
    """
    anchors = sorted(_objects(text), key=lambda anchor: anchor.entries)
    if not anchors:
        raise ValueError("no anchor")
    return anchors


def _objects(text: str) -> Iterator[Anchor]:
    for line in _pieces(text):
        try:
            yield Anchor.from_object(json.loads(line))
        except (KeyError, TypeError, RecursionError):
            raise ValueError("not an anchor") from None


def _pieces(text: str) -> list[str]:
    """The whole text when it is one JSON value, over however many lines; else its lines
    without the blank ones."""
    try:
        json.loads(text)
    except ValueError:
        return [line for line in text.splitlines() if line.strip()]
    except RecursionError:
        raise ValueError("not an anchor") from None
    return [text]


@dataclass(frozen=True)
class Given:
    """What the trail says about anchors sent away: ``at``, when the newest was (seconds
    since 1970 UTC; None when none ever was), and ``failed_since``, whether sending a
    later one failed.

    This is a reminder and no proof, because whoever has the web key can write such an
    entry.  Only an anchor that was kept elsewhere is a proof.
    """

    at: int | None
    failed_since: bool


def newest_given(db: Connection) -> Given:
    """When an anchor was last sent away, by the trail's entries about it."""
    given, failed = _newest(db, GIVEN), _newest(db, NOT_GIVEN)
    if given is None:
        return Given(None, failed is not None)
    return Given(given[1], failed is not None and failed[0] > given[0])


def _newest(db: Connection, event: str) -> tuple[int, int] | None:
    """Number and time of the newest entry of this kind."""
    query = select(AUDIT_ENTRY.c.seq, AUDIT_ENTRY.c.at).where(
        AUDIT_ENTRY.c.subject == SUBJECT, AUDIT_ENTRY.c.event == event
    )
    row = db.execute(query.order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)).first()
    if row is None or not isinstance(row.at, int):
        return None
    return row.seq, row.at
