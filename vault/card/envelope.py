"""Lays out an envelope: what is sealed in it and what it is bound to.

The web role, which seals, and the ops role, which opens, both use this module.
"""

from __future__ import annotations

from .pan import Pan

ENVELOPE_FORMAT = 1
PLAINTEXT_BYTES = 20


def pad(pan: Pan) -> bytes:
    """The plaintext of an envelope: the length in one byte, the digits, zeros up
    to 20 bytes, so that an envelope's size tells nothing."""
    digits = pan.expose_digits()
    return (bytes([len(digits)]) + digits).ljust(PLAINTEXT_BYTES, b"\0")


def envelope_aad(vault_id: str, token: str, key_id: int) -> bytes:
    """What an envelope is bound to: format, vault, token and data key.  The data
    key's number comes last, behind a separator, so no two cards share these bytes."""
    return aad_start(vault_id) + token.encode() + aad_ending(key_id)


def aad_start(vault_id: str) -> bytes:
    """``envelope_aad`` before the token."""
    return b"%d|%b|" % (ENVELOPE_FORMAT, vault_id.encode())


def aad_ending(key_id: int) -> bytes:
    """``envelope_aad`` after the token."""
    return b"|%d" % key_id


def agrees(plain: bytes, prefix: str, last4: str, length: int) -> bool:
    """Say whether an opened envelope has its row's length, prefix and last4."""
    return (
        len(plain) == PLAINTEXT_BYTES
        and plain[0] == length
        and plain[1:3] == prefix.encode()
        and plain[length - 3 : length + 1] == last4.encode()
    )
