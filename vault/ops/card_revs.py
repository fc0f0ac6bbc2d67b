"""Keeps what the trail last said of each card, in little memory when they are many."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..crypto import Mac, new_key

ENDED, PURGED = 0, -1
"""What stands in place of a rev for a card that was deleted, and for a purged one."""

# By 80 bits of a keyed digest two among ten million tokens agree by chance with
# probability 2^-33, and one that somebody made up agrees with any with 2^-56.
_KEY_BYTES = 10
_REV_BYTES = 2
_RECORD_BYTES = _KEY_BYTES + _REV_BYTES
_MOST_PACKED = 2 ** (8 * _REV_BYTES) + PURGED - 1
_BUCKETS = 2**16


class CardRevs:
    """The last rev of each card by its token: 1 or more, or ``ENDED`` or ``PURGED``.

    A token with its rev takes some 150 bytes.  When there are more than ``whole`` of
    them, all are packed into 15 bytes each, from which ``of`` and ``get`` find the rev
    of a token and nothing finds the tokens.
    """

    def __init__(self, whole: int | None = None) -> None:
        self._most = whole
        self.whole: dict[str, int] = {}
        """The cards that are not packed: all of them, or those whose rev is too high
        for a record.  It is the same dict for good, to be read without a call."""
        self._packed: _Packed | None = None

    def update(self, revs: Mapping[str, int]) -> None:
        """Keep the revs of these cards from now on."""
        if self._packed is not None:
            self._pack(self._packed, revs)
            return
        self.whole.update(revs)
        if self._most is not None and len(self.whole) > self._most:
            self._packed = _Packed()
            whole = self.whole.copy()
            self.whole.clear()
            self._pack(self._packed, whole)

    def get(self, token: str) -> int | None:
        """A card's rev, or None for one that was in no entry."""
        rev = self.whole.get(token)
        if rev is None and self._packed is not None:
            return self._packed.get(token)
        return rev

    def of(self, tokens: Collection[str]) -> dict[str, int]:
        """The revs of those of these cards that were in an entry."""
        found = self._packed.of(tokens) if self._packed is not None else {}
        whole = self.whole
        found.update((token, whole[token]) for token in whole.keys() & tokens)
        return found

    def items(self) -> Iterator[tuple[str, int]]:
        """Every card's token and rev; raises ValueError when some are packed."""
        if self._packed is not None:
            raise ValueError("packed tokens can't be listed")
        return iter(self.whole.items())

    def _pack(self, packed: _Packed, revs: Mapping[str, int]) -> None:
        for token, rev in revs.items():
            if rev <= _MOST_PACKED:
                packed.put(token, rev)
                self.whole.pop(token, None)
            else:
                self.whole[token] = rev


class _Packed:
    """Revs by token, a record each: a part of the token's keyed digest, then the rev.
    The digest's first bytes say in which bucket it is.

    Each of its methods is called for every card there is, so they call little else.
    """

    def __init__(self) -> None:
        self._sign = Mac(new_key()).sign
        self._buckets = [b""] * _BUCKETS
        # The keys of the tokens that were asked for last: they are written next.
        self._asked: dict[str, bytes] = {}

    def of(self, tokens: Collection[str]) -> dict[str, int]:
        """The revs of those of these tokens that have a record."""
        buckets, found = self._buckets, {}
        self._asked = {token: self._key(token) for token in tokens}
        for token, key in self._asked.items():
            bucket = buckets[key[0] << 8 | key[1]]
            if key in bucket and (at := _place(bucket, key)) >= 0:
                found[token] = _rev_at(bucket, at)
        return found

    def get(self, token: str) -> int | None:
        """A token's rev, or None when it has no record."""
        key = self._key(token)
        bucket = self._buckets[key[0] << 8 | key[1]]
        at = bucket.find(key)
        if at % _RECORD_BYTES:
            at = _place(bucket, key)
        return _rev_at(bucket, at) if at >= 0 else None

    def put(self, token: str, rev: int) -> None:
        """Write a token's record, or write it over."""
        key = self._asked.get(token) or self._key(token)
        number = key[0] << 8 | key[1]
        bucket = self._buckets[number]
        record = key + (rev - PURGED).to_bytes(_REV_BYTES, "big")
        if key in bucket and (at := _place(bucket, key)) >= 0:
            self._buckets[number] = bucket[:at] + record + bucket[at + _RECORD_BYTES :]
        else:
            self._buckets[number] = bucket + record

    def _key(self, token: str) -> bytes:
        # Whoever has the web key can write an entry about a token of any letters.
        return self._sign(token.encode("utf-8", "surrogatepass"))[:_KEY_BYTES]


def _rev_at(bucket: bytes, at: int) -> int:
    return (bucket[at + _KEY_BYTES] << 8 | bucket[at + _KEY_BYTES + 1]) + PURGED


def _place(bucket: bytes, key: bytes) -> int:
    """Where the record of ``key`` begins, or -1."""
    at = bucket.find(key)
    while at > 0 and at % _RECORD_BYTES:
        # The end of one record and the beginning of the next look like the key.
        at = bucket.find(key, at + 1)
    return at
