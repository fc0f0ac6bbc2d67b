"""Seals short secrets of the site before they are stored; never a card number."""

from __future__ import annotations

from collections.abc import Sequence

from .. import crypto
from ..crypto import Cipher, Unshown
from ..errors import IntegrityFault

MAX_SECRET_BYTES = 64


class SiteSeal(Unshown):
    """Seals what the web server must be able to read back: the seeds of one-time
    passwords (RFC 6238).

    AES-256-GCM under keys derived (HKDF, RFC 5869) for one ``purpose`` from the
    site's own ``secrets``, newest first, of 32 bytes or more: the first seals,
    any of them opens.  A stolen database or backup alone doesn't give the secrets
    away; whoever also has the site's secret, or runs code in the web server, can read
    them.  So a card is never sealed with it: ``Vault`` seals cards.
    """

    __slots__ = ("_ciphers",)

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        keys = (crypto.derive(text.encode(), f"site {purpose}") for text in secrets)
        self._ciphers = [Cipher(key) for key in keys]

    def seal(self, secret: bytes, subject: str) -> bytes:
        """The envelope of ``secret`` (64 bytes at most, else ValueError), which
        opens for the same ``subject`` alone."""
        if len(secret) > MAX_SECRET_BYTES:
            raise ValueError(f"a site secret is {MAX_SECRET_BYTES} bytes at most")
        return self._ciphers[0].seal(secret, subject.encode())

    def open(self, envelope: bytes, subject: str) -> bytes:
        """The secret that was sealed for ``subject``; raises IntegrityFault naming it
        when the envelope is of another subject, was edited, or was sealed under none of
        the site's secrets."""
        for cipher in self._ciphers:
            try:
                return cipher.open(envelope, subject.encode(), subject)
            except IntegrityFault:
                continue
        raise IntegrityFault(subject, "can't be opened with this SECRET_KEY")
