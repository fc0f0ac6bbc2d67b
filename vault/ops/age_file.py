"""Encrypts a file with age (https://age-encryption.org/v1) while its text is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyrage

from ..errors import InputError

# A recipient has 62 or 67 letters, a post-quantum one some 2,000.
MOST_SHOWN = 67
# What a recipient of each kind begins with, the longest beginning first.
_KINDS = (
    ("age1tagpq1", pyrage.tagpq.Recipient),
    ("age1tag1", pyrage.tag.Recipient),
    ("", pyrage.x25519.Recipient),
)
TAKEN = (
    "only age1... of X25519, age1tag1... and age1tagpq1... are taken, none of a plugin "
    "and none of age-keygen -pq"
)


def require_recipients(texts: Sequence[str]) -> list[Any]:
    """The public keys the recipients are; raises InputError naming the first that
    is not one, or saying that they can't be recipients of one file."""
    if not texts:
        raise InputError("recipients", "there is none")
    keys = [_key(number, text) for number, text in enumerate(texts, 1)]
    try:
        pyrage.encrypt(b"", keys)
    except pyrage.EncryptError:
        raise InputError(
            "recipients",
            "age1tagpq1... goes with its own kind alone, since a file is as safe as "
            "its weakest recipient",
            hint="make an export for each kind",
        ) from None
    return keys


def encrypt(pages: Iterator[bytes], file: BinaryIO, keys: Sequence[Any]) -> None:
    """Write ``pages``, encrypted to ``keys``, to ``file``.  No more than a page and a
    chunk of age's (64 KiB) is in memory.  Raises whatever ``pages`` or ``file`` does.
    """
    ends = _Ends(pages, file)
    try:
        pyrage.encrypt_io(ends, ends, keys)
    except pyrage.EncryptError as error:
        if ends.fault is None:
            raise InputError("recipients", str(error)) from None
    if ends.fault is not None:
        raise ends.fault


class _Ends:
    """The source and the target of the age library.  pyrage turns an exception raised
    in them into a string, and ignores it in the last write; so the first one is kept,
    to be raised afterwards."""

    def __init__(self, pages: Iterator[bytes], file: BinaryIO) -> None:
        self._pages = pages
        self._file = file
        self._held = b""
        self.fault: BaseException | None = None

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes of plain text; none at the end."""
        try:
            while not self._held and (page := next(self._pages, None)) is not None:
                self._held = page
        except BaseException as fault:
            self.fault = self.fault or fault
            raise
        given, self._held = self._held[:size], self._held[size:]
        return given

    def write(self, data: bytes) -> int:
        """Write a piece of the encrypted file."""
        try:
            return self._file.write(data)
        except BaseException as fault:
            self.fault = self.fault or fault
            raise

    def flush(self) -> None:
        """Do nothing: the file is synced when it is complete."""


def _key(number: int, text: str) -> Any:
    """The public key in ``text``; raises InputError naming the recipient by its number
    alone, because the text may be a secret key."""
    shown = f"recipient {number}"
    if text.upper().startswith(("AGE-SECRET-KEY-", "AGE-PLUGIN-")):
        raise InputError(shown, "is a secret key; give its public half (age1...)")
    if text.startswith("age1"):
        shown += f" ({text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + '...'})"
    kind = next(kind for begins, kind in _KINDS if text.startswith(begins))
    try:
        return kind.from_str(text)
    except pyrage.RecipientError:
        why = "is not an age recipient (age1...)"
        if text.startswith("age1") and "1" in text[4:]:
            # No age1... of X25519 has another "1"; with one it names another kind.
            why += f"; {TAKEN}"
        raise InputError(shown, why) from None
