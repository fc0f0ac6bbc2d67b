"""The trail's head, kept elsewhere to find an older database put back."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, select

from .errors import IntegrityFault
from .schema import AUDIT_ENTRY
from .sealing import same

FORMAT = "cardvault audit anchor 1"


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
        """The head of the trail in ``db``."""
        query = select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)
        last = db.execute(query).one()
        return cls(vault_id, last.seq, last.mac.hex(), last.at)

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read what ``cardvault audit anchor`` printed; raises ValueError."""
        try:
            return cls.from_object(json.loads(text))
        except (KeyError, TypeError):
            raise ValueError("not an anchor") from None

    @classmethod
    def from_object(cls, kept: dict[str, object]) -> Anchor:
        """Raises KeyError, TypeError or ValueError on anything but an anchor."""
        return cls(
            vault_id=str(kept["vault"]),
            entries=int(str(kept["entries"])),
            mac=str(kept["mac"]),
            at=int(str(kept.get("at", 0))),
        )

    def as_object(self) -> dict[str, object]:
        """The anchor as it is printed and kept."""
        return {
            "format": FORMAT,
            "vault": self.vault_id,
            "entries": self.entries,
            "mac": self.mac,
            "at": self.at,
        }

    def check(self, found: bytes | None) -> None:
        """Hold the MAC of entry number ``entries`` of a trail (None when it has no
        such entry) against the anchor; raises IntegrityFault."""
        subject = f"audit entry {self.entries}"
        if found is None:
            raise IntegrityFault(
                subject, "was anchored and is missing: an older database"
            )
        if not same(found.hex().encode(), self.mac.encode(errors="replace")):
            raise IntegrityFault(subject, "is another one than was anchored")
