"""Hashes passwords with bounded memory, and checks what a new one must be."""

from __future__ import annotations

import os
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from werkzeug.exceptions import ServiceUnavailable

from vault.card.scrub import holds_card_number

from . import texts
from .common_passwords import ENDINGS, WORDS

MIN_LENGTH, MAX_LENGTH = 15, 128
KEPT = 4
AT_ONCE = 4
PATIENCE_SECONDS = 0.5


@lru_cache(maxsize=1)
def blocked() -> frozenset[str]:
    """Common passwords that the length and letter rules would let through:
    every usual word once to four times over with every usual ending on either
    side (NIST SP 800-63B-4 section 3.1.1.2)."""
    made = (
        text
        for word in WORDS
        for times in (1, 2, 3, 4)
        for ending in ENDINGS
        for text in (word * times + ending, ending + word * times)
    )
    return frozenset(text for text in made if MIN_LENGTH <= len(text) <= MAX_LENGTH)


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
    """A hash to check unknown operators' passwords against, which takes as long as any.
    No password has it: it is drawn, because to make one would take every command a third
    of a second and 64 MiB."""
    salt, digest = (
        b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (16, 32)
    )
    return f"$argon2id$v=19$m={memory_kib},t=3,p=4${salt}${digest}"


def fault(password: str, forbidden: Iterable[str]) -> str | None:
    """What is wrong with a new password, or None (PCI DSS 8.3.6).

    ``forbidden`` are words it must not consist of: login ID, site name.
    """
    password = folded(password)
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return texts.PASSWORD_LENGTH
    # Control characters and those that nobody sees: whoever pasted one could not type
    # the password again.
    if any(unicodedata.category(c) in ("Cc", "Cf") for c in password):
        return texts.PASSWORD_UNPRINTABLE
    if not (any(c.isalpha() for c in password) and any(c.isdigit() for c in password)):
        return texts.PASSWORD_KINDS
    low = password.casefold()
    # A card number as a password would be stored as a hash of a card number.
    if holds_card_number(low) or len(set(low)) < 5:
        return texts.PASSWORD_COMMON
    if low in blocked() or _made_of(low, forbidden):
        return texts.PASSWORD_COMMON
    return None


def _made_of(low: str, words: Iterable[str]) -> bool:
    """Say whether only digits and signs are left after removing ``words``."""
    for word in words:
        if word and word.casefold() in low:
            rest = low.replace(word.casefold(), "")
            if not any(character.isalpha() for character in rest):
                return True
    return False
