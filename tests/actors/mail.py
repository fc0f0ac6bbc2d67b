"""Receives the site's mails as a real SMTP server on loopback."""

from __future__ import annotations

import email
import email.policy
import queue
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.places.site import free_port

PATIENCE_SECONDS = 120


class Mails:
    """Keeps every mail as it came over the wire; ``kept`` holds all of them."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Forget every mail that has come."""
        self.kept: list[bytes] = []
        self._arrived: queue.Queue[bytes] = queue.Queue()
        self._to: defaultdict[str, queue.Queue[bytes]] = defaultdict(queue.Queue)

    async def handle_DATA(
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a message: aiosmtpd's hook."""
        assert isinstance(envelope.content, bytes)
        self.kept.append(envelope.content)
        for address in envelope.rcpt_tos:
            self._to[address].put(envelope.content)
        self._arrived.put(envelope.content)
        return "250 OK"

    def raw(self, address: str = "") -> bytes:
        """Return the next message, to ``address`` if one is given; wait for it.

        The two ways count apart: a message read by its address is still the next
        of all.
        """
        arrived = self._to[address] if address else self._arrived
        return arrived.get(timeout=PATIENCE_SECONDS)

    def message(self, address: str = "") -> EmailMessage:
        """Return the next message, parsed."""
        raw = self.raw(address)
        return email.message_from_bytes(raw, policy=email.policy.default)

    def code(self, address: str = "") -> str:
        """Return the code in the next message."""
        body = self.message(address).get_content()
        found = re.search(r"^[2-9a-z]{8}$", body, re.MULTILINE)
        assert found is not None
        return found[0]

    def is_empty(self) -> bool:
        """Say whether nothing has come that was not read."""
        return self._arrived.empty()


class _Server(Controller):
    """A server of aiosmtpd that speaks SMTP as ``kind`` does."""

    kind: type[SMTP] = SMTP

    def factory(self) -> SMTP:
        """Make the end of a connection: aiosmtpd's hook."""
        return self.kind(self.handler, **self.SMTP_kwargs)


@contextmanager
def receiving(
    mails: Mails, port: int = 0, kind: type[SMTP] = SMTP, **options: Any
) -> Iterator[int]:
    """Run a mail server that gives everything to ``mails``; its port.  ``options`` are
    those of aiosmtpd's controller, for example for TLS."""
    server = _Server(mails, hostname="127.0.0.1", port=port or free_port(), **options)
    server.kind = kind
    server.start()
    try:
        yield server.port
    finally:
        server.stop()
