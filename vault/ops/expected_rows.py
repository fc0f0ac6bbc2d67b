"""Learns from the trail which cards, keys and rotations the tables must hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from operator import sub
from typing import Any

from ..crypto import SUITE
from ..errors import IntegrityFault
from ..trail import AuditEntry
from .card_revs import ENDED, PURGED, CardRevs

_DEATHS = ("card.deleted", "card.given_up")
_BIRTHS = ("card.registered", "card.replaced", "card.imported")
_PURGE = "card.purged"
_KEY_STATES = {
    "key.minted": "live",
    "key.retired": "retired",
    "key.destroyed": "destroyed",
}
_ROTATION_STATES = {"rotation.started": "running", "rotation.finished": "finished"}
MISSING = "is in the trail, but its row is missing"
# No card comes near it, and SQLite holds it.
_HIGHEST_REV = 2**62


class ExpectedRows:
    """Replays the trail to learn which rows should exist and at which rev; then
    compares the tables.

    A card's rev goes up by one with each change.  An entry that continues from another
    rev shows that the row was replaced by an older version, or put back after its
    deletion, and then changed.  Such a card is reported even though its row and its
    last entry agree again, and so is a token that is registered a second time.
    """

    def __init__(self, whole: int | None = None) -> None:
        """``whole`` limits the memory for cards as in CardRevs; then ``missing`` can't
        be asked."""
        self._revs = CardRevs(whole)
        self._whole_rev = self._revs.whole.get
        self._broken: dict[str, str] = {}
        self._met: set[str] = set()
        self._keys: dict[str, str] = {}
        self._by_ops: set[str] = set()
        self._rotations: dict[str, str] = {}
        # Those that were purged and registered again.
        self._purged_before: set[str] = set()
        self.fault: IntegrityFault | None = None

    def give_up(self, fault: IntegrityFault) -> None:
        """Note that the trail is broken at ``fault``; no row is compared after that."""
        self.fault = self.fault or fault

    def read(self, entry: AuditEntry) -> None:
        """Apply the next entry."""
        event, subject, detail = entry.event, entry.subject, entry.detail
        cards = detail.get("cards")
        if cards is not None:
            self._read_cards(event, cards)
        elif event in _DEATHS:
            self._end((subject,), ENDED)
        elif event in _BIRTHS or "rev" in detail:
            self._read_revs(event, {subject: detail["rev"]})
        elif event in _KEY_STATES:
            self._keys[subject] = _KEY_STATES[event]
            if "root" in detail:
                self._by_ops.add(subject)
        elif event in _ROTATION_STATES:
            self._rotations[subject] = _ROTATION_STATES[event]

    def _read_cards(self, event: str, cards: Mapping[str, int]) -> None:
        if event == _PURGE:
            self._end(cards.keys(), PURGED)
        else:
            self._read_revs(event, cards)

    def _read_revs(self, event: str, cards: Mapping[str, int]) -> None:
        before = self._revs.of(cards.keys())
        if not _all_go_on(event, cards, before):
            for token, rev in cards.items():
                self._require_next(event, token, before.get(token), rev)
        self._revs.update(cards)

    def _require_next(
        self, event: str, token: str, state: int | None, rev: int
    ) -> None:
        """Note the card as broken unless its ``rev`` follows its last one, or it is
        registered and was in no entry before."""
        if not (isinstance(rev, int) and 0 < rev < _HIGHEST_REV):
            raise ValueError("a rev is 1 or more")
        before = state if state not in (None, ENDED, PURGED) else None
        if (before is None) is not (event in _BIRTHS) or (before or 0) + 1 != rev:
            self._break(token, before, rev)
        elif state is not None and before is None:
            self._broken.setdefault(
                token, "was deleted before and then registered again"
            )
        if state == PURGED:
            self._purged_before.add(token)

    def _end(self, tokens: Collection[str], state: int) -> None:
        for token in self._broken.keys() & tokens:
            del self._broken[token]
        ended = dict.fromkeys(tokens, state)
        before = self._revs.of(tokens)
        ended.update((t, PURGED) for t, was in before.items() if was == PURGED)
        self._revs.update(ended)

    def _break(self, token: str, before: int | None, rev: int) -> None:
        was = f"at rev {before}" if before is not None else "in no entry, or deleted,"
        self._broken.setdefault(
            token, f"was {was} and then changed to rev {rev}: an older row was put back"
        )

    def meet(self, subject: str) -> None:
        """Note that a row named ``subject`` exists, right or wrong."""
        self._met.add(subject)

    def check_card(self, token: str, rev: int) -> None:
        """Raise IntegrityFault unless ``rev`` is the card's last one in the trail."""
        # This is called for every card, so the usual case comes first.
        # A deleted card's state is no rev, and no row may pass for having it.
        if self._whole_rev(token) == rev and rev > 0 and not self._broken:
            return
        if self.fault is not None:
            return
        last = self._revs.get(token)
        if last in (None, ENDED, PURGED):
            raise IntegrityFault(token, "has no entry in the trail")
        if rev != last:
            raise IntegrityFault(token, f"is at rev {rev}, the trail at rev {last}")
        if token in self._broken:
            raise IntegrityFault(token, self._broken[token])

    def check_key(self, key: Any) -> None:
        """Raise IntegrityFault unless the data key's state is the last one in the
        trail, and the root signed the row of a key that it retired."""
        if self.fault is not None:
            return
        subject = f"data key {key.id}"
        last = self._keys.get(subject)
        if last != key.state:
            raise IntegrityFault(
                subject, f"is {key.state}, the trail says {last or 'nothing'}"
            )
        if subject in self._by_ops and key.ops_mac is None and key.suite == SUITE:
            raise IntegrityFault(subject, "lacks the mark of the root that retired it")

    def check_rotation(self, number: int, state: str) -> None:
        """Raise IntegrityFault unless the trail has this rotation's beginning, and its
        end when it is finished."""
        if self.fault is not None:
            return
        subject = f"rotation {number}"
        last = self._rotations.get(subject)
        if last != state:
            raise IntegrityFault(
                subject, f"is {state}, the trail says {last or 'nothing'}"
            )

    def check_purged(self, token: str) -> None:
        """Raise IntegrityFault unless the trail says that the card was purged."""
        purged = token in self._purged_before or self._revs.get(token) == PURGED
        if self.fault is None and not purged:
            raise IntegrityFault(token, "is marked as purged, the trail says nothing")

    def missing(self) -> Iterator[tuple[str, str]]:
        """The name and problem of each row the trail expects and no table holds."""
        if self.fault is not None:
            return
        for subject in (*self._keys, *self._rotations):
            if subject not in self._met:
                yield subject, MISSING
        purged = self._purged_before.copy()
        for token, state in self._revs.items():
            if state == PURGED:
                purged.add(token)
            elif state != ENDED and token not in self._met:
                yield token, MISSING
        for token in purged:
            if mark_name(token) not in self._met:
                yield token, "was purged, but is not marked so"


def _all_go_on(event: str, cards: Mapping[str, int], before: Mapping[str, int]) -> bool:
    """Say whether every card is new, or goes on from its last rev: as nearly every
    entry is, and much faster to see for all of them at once."""
    if event in _BIRTHS:
        return not before and {*cards.values()} == {1}
    try:
        lasts = [before[token] for token in cards]
        steps = set(map(sub, cards.values(), lasts))
    except (KeyError, TypeError):
        return False
    return steps == {1} and min(lasts) > 0


def mark_name(token: object) -> str:
    """How a purged card's mark is named in a finding."""
    return f"purge mark of {token}"
