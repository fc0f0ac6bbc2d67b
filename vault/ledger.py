"""What the trail says the tables must hold: each card's rev, each key's state."""

from __future__ import annotations

from collections.abc import Iterator

from .audit import AuditEntry
from .errors import IntegrityFault

_BIRTHS = ("card.registered", "card.replaced")
_DEATHS = ("card.deleted", "card.given_up")
_PURGE = "card.purged"
_KEY_STATES = {
    "key.minted": "live",
    "key.retired": "retired",
    "key.destroyed": "destroyed",
}


class Ledger:
    """Read every entry in order, then hold the rows against it."""

    def __init__(self) -> None:
        self._revs: dict[str, int] = {}
        self._met: set[str] = set()
        self._keys: dict[str, str] = {}
        self._purged: set[str] = set()
        self._trusted = True

    def give_up(self) -> None:
        """The trail is broken: hold nothing against it."""
        self._trusted = False

    def read(self, entry: AuditEntry) -> None:
        """Take in the next entry."""
        if entry.event in _DEATHS:
            self._revs.pop(entry.subject, None)
        elif entry.event in _BIRTHS or "rev" in entry.detail:
            self._revs[entry.subject] = entry.detail["rev"]
        elif entry.event in _KEY_STATES:
            self._keys[entry.subject] = _KEY_STATES[entry.event]
        for token, rev in entry.detail.get("cards", {}).items():
            if entry.event == _PURGE:
                self._revs.pop(token, None)
                self._purged.add(token)
            else:
                self._revs[token] = rev

    def meet(self, token: str) -> None:
        """Note that the card table has this token."""
        self._met.add(token)

    def check_card(self, token: str, rev: int) -> None:
        """Raise IntegrityFault unless the trail ends at this rev of the card."""
        if not self._trusted:
            return
        last = self._revs.get(token)
        if last is None:
            raise IntegrityFault(token, "has no entry in the trail")
        if rev != last:
            raise IntegrityFault(token, f"is at rev {rev}, the trail at rev {last}")

    def check_key(self, key_id: int, state: str) -> None:
        """Raise IntegrityFault unless the trail leaves the key in this state."""
        if not self._trusted:
            return
        subject = f"data key {key_id}"
        last = self._keys.pop(subject, None)
        if last != state:
            raise IntegrityFault(
                subject, f"is {state}, the trail says {last or 'nothing'}"
            )

    def check_purged(self, token: str) -> None:
        """Raise IntegrityFault unless the trail says that the card was purged."""
        if self._trusted and token not in self._purged:
            raise IntegrityFault(token, "is marked as purged, the trail says nothing")
        self._purged.discard(token)

    def missing(self) -> Iterator[tuple[str, str]]:
        """What the trail knows and the tables don't hold."""
        if self._trusted:
            for token in self._revs.keys() - self._met:
                yield token, "is in the trail, but its row is missing"
            for token in self._purged:
                yield token, "was purged, but is not marked so"
            for subject in self._keys:
                yield subject, "is in the trail, but its row is missing"
