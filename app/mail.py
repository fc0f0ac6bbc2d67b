"""Composes the mail with a code and hands it to the mail server.

The mail leaves outside the request (``app/outbox.py``).  For an address that is not
bound the server is asked as well, and gets no mail: so neither the time that a page
takes nor what it says of late mails tells which addresses are bound.
"""

from __future__ import annotations

import logging
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.charset import BASE64, Charset
from email.mime.text import MIMEText
from email.utils import make_msgid, parseaddr
from typing import Any

from flask import Flask, current_app, render_template
from flask_mail import Connection, Mail, Message
from sqlalchemy.exc import SQLAlchemyError

from config import Config, MailConfig
from vault import Actor, Vault
from vault.card.scrub import one_line
from vault.errors import VaultError

from . import current
from .happenings import Kind, happened
from .outbox import Letter, Outbox, kind

SOCKET_SECONDS = 5
MAIL_TAKEN = 250
TEST_BODY = "これは送信テストです。このメールが届けば、認証コードのメールも届きます。\n"

# A local part that RFC 5321 allows in quotes alone: Japan's mobile carriers once gave
# out addresses with dots in a row and before the at sign.
_DOTS = re.compile(r"\.|.*\.\.|.*\.$")

log = logging.getLogger(__name__)


class MailRefused(VaultError):
    """The mail server took no mail; the text has what it said, ``hint`` what to do."""


class _CodeMessage(Message):
    """A plain text message that is ASCII on the wire (base64).

    The sending thread makes its Message-ID.  Flask-Mail would look up this host's name,
    which may ask a name server, and put it into the mail.
    """

    def __init__(self, address: str, subject: str, body: str) -> None:
        super().__init__(subject, recipients=[quoted(address)], body=body)
        self.extra_headers = {"Auto-Submitted": "auto-generated"}
        self.msgId = make_msgid(domain=_domain(str(self.sender)))

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        charset = Charset("utf-8")
        charset.body_encoding = BASE64
        return MIMEText(text or "", subtype, charset)  # type: ignore[arg-type]


class _Plain(smtplib.SMTP):
    """A connection that keeps the server's answer to the mail."""

    answer = ""

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail itself."""
        reply = super().data(msg)
        self.answer = _said(*reply)
        return reply


class _AtOnce(smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""

    answer = ""

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the mail itself."""
        reply = super().data(msg)
        self.answer = _said(*reply)
        return reply


class _PatientConnection(Connection):
    """A connection that gives up after five seconds and checks certificates."""

    host: _Plain | _AtOnce

    def __init__(self, mail: Mail, settings: MailConfig) -> None:
        super().__init__(mail)
        self._settings = settings

    def configure_host(self) -> smtplib.SMTP:
        """Connect as the settings say."""
        mail = self._settings
        name, seconds = _domain(mail.sender), SOCKET_SECONDS
        host: _Plain | _AtOnce
        if mail.tls == "tls":
            checked = ssl.create_default_context()
            host = _AtOnce(
                mail.server, mail.port, name, timeout=seconds, context=checked
            )
        else:
            host = _Plain(mail.server, mail.port, name, timeout=seconds)
        try:
            if mail.tls == "starttls":
                host.starttls(context=ssl.create_default_context())
            if mail.username and mail.password:
                host.login(mail.username, mail.password)
        except BaseException:
            host.close()
            raise
        return host

    def ask(self) -> None:
        """Raise SMTPException unless the server would take a mail of the site's."""
        sender = parseaddr(self._settings.sender)[1]
        self.host.ehlo_or_helo_if_needed()
        reply, text = self.host.mail(sender)
        if reply != MAIL_TAKEN:
            raise smtplib.SMTPSenderRefused(reply, text, sender)
        self.host.rset()

    def __exit__(self, *raised: Any) -> None:
        """Close the connection; a server that closes it first has taken the mail."""
        try:
            super().__exit__(*raised)
        except (OSError, smtplib.SMTPException):
            log.debug("the mail server hung up first")


def init_app(app: Flask) -> None:
    """Set up Flask-Mail from the settings, and the outbox."""
    config: Config = app.extensions["settings"]
    mail = config.mail
    app.config.update(
        MAIL_SERVER=mail.server,
        MAIL_PORT=mail.port,
        MAIL_USE_TLS=mail.tls == "starttls",
        MAIL_USE_SSL=mail.tls == "tls",
        MAIL_USERNAME=mail.username or None,
        MAIL_PASSWORD=mail.password or None,
        MAIL_DEFAULT_SENDER=mail.sender,
        # In debug mode Flask-Mail prints every mail with its code.
        MAIL_DEBUG=False,
    )
    Mail(app)

    def send(letter: Letter, answered: Callable[[], None]) -> None:
        with app.app_context(), _connected() as to:
            to.ask()
            answered()
            if letter.address:
                to.send(_CodeMessage(letter.address, letter.subject, letter.body))

    app.extensions["outbox"] = Outbox(send, server_of(mail))


def post_code(address: str, code: str, login_id: str, by: Actor) -> None:
    """Send ``code`` to ``address``, or to nobody (""), outside the request.  Call it
    only after the code's row is committed.

    ``login_id`` is the login that asked for the code.  Whether the server took the mail
    is recorded in the trail as ``by``'s ``login.code_sent``.
    """
    settings, vault = current.settings(), current.vault()
    body = render_template(
        "mail/code.txt",
        product=settings.mail.product,
        minutes=settings.code_ttl // 60,
        code=code,
    )

    def tell(outcome: str, detail: Mapping[str, str]) -> None:
        if address:
            _record(vault, by, outcome, detail)

    outbox = _outbox()
    until = outbox.clock() + settings.code_ttl
    outbox.put(Letter(address, settings.mail.subject, body, login_id, until, tell))


def is_late() -> bool:
    """Say whether mails of this process have not left for a minute, whoever's."""
    return _outbox().is_late()


def try_mail(address: str) -> str:
    """Send a test mail to ``address`` now; returns what the server said when it took
    it.  Raises MailRefused with what it said, or how it failed, when it didn't."""
    mail = current.settings().mail
    try:
        with _connected() as to:
            to.ask()
            to.send(_CodeMessage(address, mail.subject, TEST_BODY))
            return to.host.answer
    except (OSError, smtplib.SMTPException) as error:
        raise MailRefused(
            f"{server_of(mail)} took no mail: {_words(error)}", hint=_hint(error, mail)
        ) from None


def server_of(mail: MailConfig) -> str:
    """What the log and the commands call the mail server."""
    return f"{mail.server}:{mail.port}"


def quoted(address: str) -> str:
    """An address as a mail has it: with dots in a row or at an end of its local part,
    that part in quotes (RFC 5321 section 4.1.2)."""
    local, _, domain = address.rpartition("@")
    return f'"{local}"@{domain}' if _DOTS.match(local) else address


@contextmanager
def _connected() -> Iterator[_PatientConnection]:
    mail: Mail = current_app.extensions["mail"]
    with _PatientConnection(mail, current.settings().mail) as to:
        yield to


def _record(vault: Vault, by: Actor, outcome: str, detail: Mapping[str, str]) -> None:
    """Record whether a code left, in a transaction of its own.  Where it can't be
    recorded the log has it."""
    try:
        with vault.engine.begin() as db:
            vault.record(
                db,
                "login.code_sent",
                by,
                outcome=outcome,
                subject=by.name,
                detail=detail,
            )
    except (SQLAlchemyError, VaultError) as error:
        cause = getattr(error, "orig", None) or error
        what = f"login.code_sent ({outcome}): {cause}".partition("\n")[0]
        happened(Kind.TRAIL_LACKS, cause=what)


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return one_line(f"{code} {' '.join(words.split())}")


def _words(error: Exception) -> str:
    """What the server said, or how the connection failed."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(_said(*reply) for reply in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, error.smtp_error)
    return one_line(f"{kind(error)}: {error}")


# What to look at after each kind of failure; the first that fits.
_HINTS: tuple[tuple[type[Exception], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "MAIL_SERVER must be the name in its certificate, whose issuer this host trusts",
    ),
    (
        ssl.SSLError,
        "TLS from the first byte is for port 465; elsewhere set MAIL_TLS=starttls",
    ),
    (
        smtplib.SMTPAuthenticationError,
        "check MAIL_USERNAME and what MAIL_PASSWORD_FILE holds",
    ),
    (
        smtplib.SMTPNotSupportedError,
        "the server doesn't offer what MAIL_TLS or MAIL_USERNAME asks for on this port",
    ),
    (
        smtplib.SMTPServerDisconnected,
        "a port that wants TLS from the first byte hangs up: then set MAIL_TLS=tls",
    ),
    (
        smtplib.SMTPSenderRefused,
        "set MAIL_DEFAULT_SENDER to an address this server sends for",
    ),
    (
        smtplib.SMTPRecipientsRefused,
        "4xx passes: a code is tried until its end; 5xx: check address and server",
    ),
    (smtplib.SMTPException, "ask whoever runs the mail server"),
    (OSError, "check MAIL_SERVER, MAIL_PORT and the firewall on the way there"),
)


def _hint(error: Exception, mail: MailConfig) -> str:
    if isinstance(error, TimeoutError) and mail.tls != "tls":
        return "check MAIL_PORT and the firewall; port 465 takes MAIL_TLS=tls alone"
    return next(hint for of, hint in _HINTS if isinstance(error, of))


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"


def _outbox() -> Outbox:
    outbox: Outbox = current_app.extensions["outbox"]
    return outbox
