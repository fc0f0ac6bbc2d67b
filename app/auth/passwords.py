"""Hashes passwords with bounded memory."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.exceptions import ServiceUnavailable

KEPT = 4
AT_ONCE = 4
PATIENCE_SECONDS = 0.5


def folded(password: str) -> str:
    """A password as it is hashed and compared (NFC)."""
    return unicodedata.normalize("NFC", password)


class Hasher:
    """Argon2id within bounds: at most four hashes at once in this process."""

    def __init__(self, memory_kib: int) -> None:
        self._argon2 = _argon2(memory_kib)
        self._room = threading.BoundedSemaphore(AT_ONCE)
        self._dummy = _dummy(memory_kib)

    def hash(self, password: str) -> str:
        """A password's hash; raises ServiceUnavailable when too many are being made."""
        with self._a_place():
            return self._argon2.hash(folded(password))

    def agrees(self, stored: str | None, password: str) -> bool:
        """Say whether ``password`` has the hash ``stored``; None, for an unknown
        operator, takes as long and is always False."""
        with self._a_place():
            try:
                right = self._argon2.verify(stored or self._dummy, folded(password))
            except (VerificationError, InvalidHashError):
                return False
        return right and stored is not None

    def is_weak(self, stored: str) -> bool:
        """Say whether a hash was made with less work than is asked for now."""
        return self._argon2.check_needs_rehash(stored)

    @contextmanager
    def _a_place(self) -> Iterator[None]:
        if not self._room.acquire(timeout=PATIENCE_SECONDS):
            raise ServiceUnavailable
        try:
            yield
        finally:
            self._room.release()


def _argon2(memory_kib: int) -> PasswordHasher:
    return PasswordHasher(time_cost=3, memory_cost=memory_kib, parallelism=4)


@lru_cache
def _dummy(memory_kib: int) -> str:
    """A hash to check unknown operators' passwords against."""
    return _argon2(memory_kib).hash("nobody has this password")
