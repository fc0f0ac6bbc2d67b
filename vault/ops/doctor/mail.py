"""Sends one mail by the site's MAIL_ settings and says what the server answered."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

from ...errors import FileRefused, InputError
from ...mail_server import MAIL_TLS, NONE, STARTTLS, clash, connect, usual_port
from .result import CheckResult, Installation, cause_of, fault, first_line, ok

SECONDS = 20
NAME = "mail"
LOCAL_NAME = "cardvault.invalid"
"""What the mail server is greeted with: this host's own name may not be known to it."""


@dataclass(frozen=True)
class MailSettings:
    """Where mail is handed over, and how; as the site reads the same settings."""

    server: str
    port: int
    tls: str
    username: str
    password_file: Path | None
    sender: str

    @classmethod
    def read(cls, site: Mapping[str, str]) -> MailSettings:
        """Read the MAIL_ settings; raises InputError naming one that can't be."""
        starttls = site.get("MAIL_USE_TLS") == "1"
        tls = site.get("MAIL_TLS") or (STARTTLS if starttls else NONE)
        if tls not in MAIL_TLS:
            raise InputError("MAIL_TLS", "is none, starttls or tls")
        if starttls and tls != STARTTLS:
            raise InputError("MAIL_USE_TLS", f"is 1 and MAIL_TLS is {tls}; take it out")
        port = site.get("MAIL_PORT") or str(usual_port(tls))
        if not port.isdecimal() or not 0 < int(port) < 2**16:
            raise InputError("MAIL_PORT", "is no port")
        password = site.get("MAIL_PASSWORD_FILE")
        return cls(
            server=site.get("MAIL_SERVER", "127.0.0.1"),
            port=int(port),
            tls=tls,
            username=site.get("MAIL_USERNAME", ""),
            password_file=Path(password) if password else None,
            sender=site.get("MAIL_DEFAULT_SENDER", "no-reply@localhost"),
        )

    @property
    def shown(self) -> str:
        """Server, port and encryption, as one reads them."""
        return f"{self.server}:{self.port} ({self.tls})"

    def password(self) -> str:
        """The password; raises FileRefused when its file can't be read."""
        path = self.password_file
        if path is None:
            return ""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise FileRefused(f"{path} can't be read") from None
        return text.strip()


def send(address: str, here: Installation) -> Iterator[CheckResult]:
    """Send one mail to ``address``; the result has the server's words."""
    settings = MailSettings.read(here.site)
    password = bool(settings.username and settings.password_file)
    where = settings.server, settings.port, settings.tls
    if problem := clash(*where, password=password):
        yield fault(NAME, *problem)
        return
    stage = "connecting"
    try:
        with connect(*where, name=LOCAL_NAME, seconds=SECONDS) as server:
            server.ehlo_or_helo_if_needed()
            stage = "the login"
            if settings.username:
                server.login(settings.username, settings.password())
            stage = "the sender"
            _require(server.mail(settings.sender))
            stage = "the address"
            _require(server.rcpt(address))
            stage = "the mail"
            said = _require(server.data(_letter(settings, address).as_bytes()))
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "refused"
        mend = "MAIL_TLS and MAIL_PORT must fit: tls for 465, starttls for 587"
        yield fault(NAME, f"{settings.shown}: TLS: {reason}", mend)
    except (OSError, smtplib.SMTPException) as error:
        said = f"{stage}: {_why(error)}"
        mend = "see MAIL_SERVER, MAIL_PORT, MAIL_TLS and the mail server's log"
        yield fault(NAME, f"{settings.shown}: {said}", mend)
    else:
        yield ok(NAME, f"{settings.shown} took it: {said}; see that it arrives")


def _require(answer: tuple[int, bytes]) -> str:
    """The server's words when it agreed; raises SMTPResponseException."""
    code, said = answer
    if not 200 <= code < 300:
        raise smtplib.SMTPResponseException(code, said)
    return f"{code} {first_line(said.decode('utf-8', 'replace'))}"


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        words = (
            said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        )
        return f"{error.smtp_code} {first_line(words)}"
    return cause_of(error)


def _letter(settings: MailSettings, address: str) -> EmailMessage:
    letter = EmailMessage()
    letter["Subject"] = "cardvault doctor: a test"
    letter["From"] = settings.sender
    letter["To"] = address
    letter["Message-ID"] = make_msgid(domain=LOCAL_NAME)
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(
        "This mail was sent to see that mail leaves. Nothing is to do.\n"
    )
    return letter
