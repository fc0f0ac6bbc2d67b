"""Connects to the site's mail server, and says which of its settings don't fit together.

The site and ``cardvault doctor`` hand over mail by the same settings; what one of them
takes or refuses, the other does too.
"""

from __future__ import annotations

import smtplib
import ssl
from ipaddress import ip_address
from typing import Any

MAIL_TLS = ("none", "starttls", "tls")
NONE, STARTTLS, TLS = MAIL_TLS
# Where a mail server speaks TLS from the first byte (RFC 8314), and where it doesn't.
TLS_PORT, PLAIN_PORT = 465, 25


class PlainServer(smtplib.SMTP):
    """A connection that keeps the server's answer to the mail, its code and its words."""

    answer: tuple[int, bytes] = (0, b"")

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail itself."""
        self.answer = super().data(msg)
        return self.answer


class TlsServer(smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""

    answer: tuple[int, bytes] = (0, b"")

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail itself."""
        self.answer = super().data(msg)
        return self.answer


MailServer = PlainServer | TlsServer


def connect(server: str, port: int, tls: str, *, name: str, seconds: int) -> MailServer:
    """Connect to ``server`` as ``tls``, one of MAIL_TLS, says, and greet it as ``name``.
    Its certificate is checked; an answer that takes longer than ``seconds`` is none.
    Raises OSError or smtplib.SMTPException when it can't be reached or trusted."""
    if tls == TLS:
        context = ssl.create_default_context()
        return TlsServer(server, port, name, timeout=seconds, context=context)
    connection = PlainServer(server, port, name, timeout=seconds)
    try:
        if tls == STARTTLS:
            connection.starttls(context=ssl.create_default_context())
    except BaseException:
        connection.close()
        raise
    return connection


def usual_port(tls: str) -> int:
    """The port when MAIL_PORT is not set."""
    return TLS_PORT if tls == TLS else PLAIN_PORT


def clash(
    server: str, port: int, tls: str, *, password: bool
) -> tuple[str, str] | None:
    """What doesn't fit together in the settings, and the next step; None when all fits.
    ``password`` says whether one is sent."""
    if port == TLS_PORT and tls != TLS:
        return (
            f"MAIL_PORT is {TLS_PORT}, where TLS begins at once, and MAIL_TLS is {tls}",
            "set MAIL_TLS=tls",
        )
    if password and tls == NONE and not _is_loopback(server):
        return (
            f"MAIL_TLS is none and the password for {server} would be sent in the clear",
            "set MAIL_TLS=starttls, or tls with port 465",
        )
    return None


def _is_loopback(server: str) -> bool:
    try:
        return server.lower() == "localhost" or ip_address(server).is_loopback
    except ValueError:
        return False
