"""Composes the mail with a code and sends it outside the request.

Threads of this process send the mails; they start with the first one.  A code is never
written to disk, so a mail that was not sent when the process ends is lost, and the
operator asks for another code.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import smtplib
import ssl
import threading
from email.charset import BASE64, Charset
from email.mime.text import MIMEText
from email.utils import make_msgid, parseaddr
from typing import Any

from flask import Flask, current_app, render_template
from flask_mail import Connection, Mail, Message

from config import Config

from . import current

SOCKET_SECONDS = 5
# Seconds to wait before the second, third ... try; then the mail is given up.
WAITS = (1, 2, 4, 8, 16, 30, 60)
SENDERS = 4
DRAIN_SECONDS = 3
MAX_WAITING = 1000

Letter = tuple[str, str, str]

log = logging.getLogger(__name__)


class _CodeMessage(Message):
    """A plain text message that is ASCII on the wire (base64).

    The sending thread makes its Message-ID.  Flask-Mail would look up this host's name,
    which may ask a name server, and put it into the mail.
    """

    def __init__(self, address: str, subject: str, body: str) -> None:
        super().__init__(subject, recipients=[address], body=body)
        self.extra_headers = {"Auto-Submitted": "auto-generated"}
        self.msgId = make_msgid(domain=_domain(str(self.sender)))

    def _mimetext(self, text: str | None, subtype: str = "plain") -> MIMEText:
        charset = Charset("utf-8")
        charset.body_encoding = BASE64
        return MIMEText(text or "", subtype, charset)  # type: ignore[arg-type]


class _PatientConnection(Connection):
    """A connection that gives up after five seconds and checks certificates."""

    def configure_host(self) -> smtplib.SMTP:
        """Connect as the settings say."""
        mail = self.mail
        host = smtplib.SMTP(
            mail.server,
            mail.port,
            local_hostname=_domain(mail.default_sender),
            timeout=SOCKET_SECONDS,
        )
        if mail.use_tls:
            host.starttls(context=ssl.create_default_context())
        if mail.username and mail.password:
            host.login(mail.username, mail.password)
        return host

    def __exit__(self, *raised: Any) -> None:
        """Close the connection; a server that closes it first has taken the mail."""
        try:
            super().__exit__(*raised)
        except (OSError, smtplib.SMTPException):
            log.debug("the mail server hung up first")


class Outbox:
    """Sends mails (address, subject, body) from threads of its own, with retries."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: queue.Queue[Letter] = queue.Queue(MAX_WAITING)
        self._ending = threading.Event()
        self._begin = threading.Lock()
        self._process = 0

    def put(self, letter: Letter) -> None:
        """Queue a mail and return at once."""
        with self._begin:
            # Threads don't survive a fork, so each process starts its own.
            if self._process != os.getpid():
                self._process = os.getpid()
                for _ in range(SENDERS):
                    threading.Thread(target=self._send_all, daemon=True).start()
                atexit.register(self._drain)
        try:
            self._waiting.put_nowait(letter)
        except queue.Full:
            log.error("a code mail was dropped: %s are waiting", MAX_WAITING)

    def _send_all(self) -> None:
        while True:
            letter = self._waiting.get()
            try:
                self._send(letter)
            except Exception as error:  # noqa: BLE001 - the thread must go on
                log.error("a code mail was given up: %s", type(error).__name__)
            finally:
                self._waiting.task_done()

    def _send(self, letter: Letter) -> None:
        for wait in (*WAITS, None):
            try:
                with (
                    self._app.app_context(),
                    _PatientConnection(_mail(self._app)) as to,
                ):
                    to.send(_CodeMessage(*letter))
                return
            except (OSError, smtplib.SMTPException) as error:
                # The error's text may quote the message, so only its kind is logged.
                log.warning("a code mail was not taken: %s", type(error).__name__)
            if wait is None or self._ending.wait(wait):
                break
        log.error("a code mail was given up")

    def _drain(self) -> None:
        """At exit, wait up to three seconds for the mails being sent."""
        self._ending.set()
        done = threading.Thread(target=self._waiting.join, daemon=True)
        done.start()
        done.join(DRAIN_SECONDS)


def init_app(app: Flask) -> None:
    """Set up Flask-Mail from the settings, and the outbox."""
    mail: Config = app.extensions["settings"]
    app.config.update(
        MAIL_SERVER=mail.mail.server,
        MAIL_PORT=mail.mail.port,
        MAIL_USE_TLS=mail.mail.use_tls,
        MAIL_USERNAME=mail.mail.username or None,
        MAIL_PASSWORD=mail.mail.password or None,
        MAIL_DEFAULT_SENDER=mail.mail.sender,
        # In debug mode Flask-Mail prints every mail with its code.
        MAIL_DEBUG=False,
    )
    Mail(app)
    app.extensions["outbox"] = Outbox(app)


def post_code(address: str, code: str) -> None:
    """Send ``code`` to ``address``, outside the request.  Call it only after the code's
    row is committed."""
    settings = current.settings()
    outbox: Outbox = current_app.extensions["outbox"]
    body = render_template(
        "mail/code.txt",
        product=settings.mail.product,
        minutes=settings.code_ttl // 60,
        code=code,
    )
    outbox.put((address, settings.mail.subject, body))


def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"


def _mail(app: Flask) -> Mail:
    mail: Mail = app.extensions["mail"]
    return mail
