"""Reads every setting of the site once from the environment and freezes it.

``Config.from_environ(environ)`` raises ConfigError naming every fault at once;
nothing else in the site reads the environment, and no secret has a
default.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from email.utils import parseaddr
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path

from vault import VaultSettings
from vault.mail_server import MAIL_TLS, clash, usual_port
from vault.settings import DEFAULT_SITE_DATABASE_URL

LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
MIN_SECRET_BYTES = 32
_OFF = ("0", "false", "no")
# How a value of deploy/settings.example begins that nobody has filled in yet.
UNFILLED = "FILL_IN"
STOPPED_VALUES = ("stopped", "停止")
LOGIN_FACTORS = ("mail", "totp", "passkey", "any-strong")
LOG_FORMATS = ("text", "json")
_HOST = re.compile(r"\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_-]+")
_SERVER = re.compile(r"[A-Za-z0-9._-]+")

# How alike a name must be to one of ours to be taken for it, misspelt; and what other
# sites call settings that have another name here.
ALIKE = 0.9
CALLED_ELSEWHERE = {
    "MAIL_PASSWORD": "MAIL_PASSWORD_FILE",
    "MAIL_USE_SSL": "MAIL_TLS",
}


class ConfigError(Exception):
    """The environment can't run a site.  ``faults`` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(
            "it is not safe to start:\n" + "\n".join(f"  - {fault}" for fault in faults)
        )
        self.faults = faults


@dataclass(frozen=True)
class MailConfig:
    """Where the code mail is handed over, and its words.  ``tls`` is one of MAIL_TLS."""

    server: str
    port: int
    tls: str
    username: str
    password: str = field(repr=False)
    sender: str
    subject: str
    product: str


@dataclass(frozen=True)
class Config:
    """The whole configuration.  Times are seconds, memory KiB."""

    secret_key: str = field(repr=False)
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)
    database_url: str
    database_pool: int
    vault: VaultSettings
    mail: MailConfig
    trusted_hosts: tuple[str, ...]
    proxy_hops: int
    allowed_networks: tuple[IPv4Network | IPv6Network, ...]
    allow_insecure_loopback: bool
    site_name: str
    support_email_login: str
    support_email: str
    copyright: str
    code_ttl: int
    login_factor: str
    argon2_memory_kib: int
    login_failures_per_origin: int
    luhn_exempt_unionpay: bool
    card_stopped_values: tuple[str, ...]
    log_format: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Config:
        """Read every setting; raises ConfigError with all faults at once."""
        config, faults = cls.read(environ)
        if faults:
            raise ConfigError(faults)
        return config

    @classmethod
    def read(
        cls, environ: Mapping[str, str], *, pages: bool = True
    ) -> tuple[Config, list[str]]:
        """Every setting, and what is wrong with them; with a fault in the list the
        configuration is for naming further ones, not for running a site.

        Without ``pages`` it is for a command, which may be typed where the site's own
        secret is not: in its place is one that nobody knows and that ends with the
        process, and the site is one of this machine's alone."""
        read = _Reader(environ, pages=pages)
        loopback = read.flag("ALLOW_INSECURE_LOOPBACK")
        read.refuse_debugging(loopback)
        read.refuse_unfilled()
        config = cls(
            secret_key=read.secret("SECRET_KEY"),
            secret_key_fallbacks=read.secrets("SECRET_KEY_FALLBACKS"),
            database_url=read.text("DATABASE_URL", DEFAULT_SITE_DATABASE_URL),
            database_pool=read.number("DATABASE_POOL", 8, 1, 1000),
            vault=VaultSettings.from_environ(environ),
            mail=_read_mail(read),
            trusted_hosts=read.hosts("TRUSTED_HOSTS", loopback),
            proxy_hops=read.number("PROXY_HOPS", 0, 0, 10),
            allowed_networks=read.networks("ALLOWED_NETWORKS"),
            allow_insecure_loopback=loopback,
            site_name=read.text("SITE_NAME", "オフィス24クレジットカード登録"),
            support_email_login=read.text(
                "SUPPORT_EMAIL_LOGIN", "mothikari_support@mot-net.com"
            ),
            support_email=read.text("SUPPORT_EMAIL", "smartsafety_support@mot-net.com"),
            copyright=read.text(
                "COPYRIGHT",
                "Copyright ©2016-2017 Office24 Co., Ltd. All Rights Reserved.",
            ),
            code_ttl=read.number("CODE_TTL", 1800, 60, 1800),
            login_factor=read.choice("LOGIN_FACTOR", LOGIN_FACTORS),
            argon2_memory_kib=read.number(
                "ARGON2_MEMORY_KIB", 65536, 19456, 4 * 1024 * 1024
            ),
            login_failures_per_origin=read.number(
                "LOGIN_FAILURES_PER_ORIGIN", 20, 1, 10_000
            ),
            luhn_exempt_unionpay=read.flag("LUHN_EXEMPT_UNIONPAY"),
            card_stopped_values=read.names("CARD_STOPPED_VALUES") or STOPPED_VALUES,
            log_format=read.choice("LOG_FORMAT", LOG_FORMATS),
        )
        return config, [*read.faults, *config._faults()]

    def _faults(self) -> Iterator[str]:
        """What doesn't go together in settings that are right by themselves."""
        if self.login_factor == "passkey" and not self.passkey_host:
            yield (
                "LOGIN_FACTOR is passkey and TRUSTED_HOSTS has no host name; "
                "a passkey belongs to a name, not to an IP address"
            )

    @property
    def passkey_host(self) -> str:
        """The host passkeys belong to (WebAuthn's RP ID): the first of
        ``trusted_hosts`` that is a name, or "" when all are IP addresses."""
        return next((host for host in self.trusted_hosts if _is_name(host)), "")


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that is no setting and nearly has the name of one."""
    asked = _Asked()
    Config.read(asked)
    plain = {_plain(name): name for name in asked.names}
    lines = []
    for name in sorted(environ):
        if not environ[name] or name in asked.names:
            continue
        close = get_close_matches(_plain(name), plain, 1, ALIKE)
        meant = CALLED_ELSEWHERE.get(name) or (plain[close[0]] if close else "")
        if meant:
            lines.append(f"{name} is no setting and changes nothing; is {meant} meant?")
    return lines


def _plain(name: str) -> str:
    return name.upper().replace("_", "").replace("-", "")


class _Asked(Mapping[str, str]):
    """An empty environment that keeps the ``names`` it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Reader:
    """Reads settings one by one and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str], *, pages: bool) -> None:
        self._environ = environ
        self._pages = pages
        self.faults: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name) or default

    def flag(self, name: str) -> bool:
        value = self._environ.get(name) or "0"
        if value not in ("0", "1"):
            self.faults.append(f"{name} is {value!r}; give 1 or 0")
        return value == "1"

    def refuse_debugging(self, loopback: bool) -> None:
        """Refuse the debugger off loopback: it runs whatever a visitor types."""
        debug = (self._environ.get("FLASK_DEBUG") or "0").lower()
        if debug not in _OFF and not loopback:
            self.faults.append("FLASK_DEBUG is on; take it out of the environment")

    def refuse_unfilled(self) -> None:
        """Refuse what the example settings leave to be filled in."""
        self.faults += [
            f"{name} is not filled in; write it into the settings file"
            for name, value in sorted(self._environ.items())
            if value.startswith(UNFILLED)
        ]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        value = self._environ.get(name) or str(default)
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            self.faults.append(f"{name} is {value!r}; give {least} to {most}")
            return default
        return int(value)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of ``choices``; the first when nothing is said."""
        value = self._environ.get(name) or choices[0]
        if value not in choices:
            self.faults.append(f"{name} is {value!r}; give {', '.join(choices)}")
            return choices[0]
        return value

    def names(self, name: str) -> tuple[str, ...]:
        parts = (part.strip() for part in (self._environ.get(name) or "").split(","))
        return tuple(part for part in parts if part)

    def secrets(self, name: str) -> tuple[str, ...]:
        values = self.names(name)
        if any(len(value.encode()) < MIN_SECRET_BYTES for value in values):
            self.faults.append(
                f"{name} holds a key under {MIN_SECRET_BYTES} bytes; leave it out"
            )
        return values

    def hosts(self, name: str, loopback: bool) -> tuple[str, ...]:
        """Host names in the letters browsers send; a port is left out, since a visitor
        may come by any that leads here."""
        by_itself = loopback or not self._pages
        given = self.names(name) or (LOOPBACK_HOSTS if by_itself else ())
        if not given:
            self.faults.append(f"{name} is missing; give the host names of the site")
        wrong = [text for text in given if not _host(text)]
        self.faults += [
            f"{name} holds {text!r}; give the host alone, like cards.example.jp"
            for text in wrong
        ]
        hosts = tuple(_host(text) for text in given if text not in wrong)
        if loopback and not set(hosts) <= set(LOOPBACK_HOSTS):
            self.faults.append(
                f"ALLOW_INSECURE_LOOPBACK is 1 with {name} {','.join(hosts)}; "
                "plain http is for 127.0.0.1 and localhost alone"
            )
        return hosts

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks in CIDR form; one that is none is a fault, never left out."""
        found = []
        for text in self.names(name):
            try:
                found.append(ip_network(text))
            except ValueError:
                self.faults.append(
                    f"{name} holds {text!r}; give networks like 192.0.2.0/24"
                )
        return tuple(found)

    def server(self, name: str, default: str) -> str:
        """A name or an IP address, without a port."""
        value = self.text(name, default)
        if not (_SERVER.fullmatch(value) or _address(value)):
            self.faults.append(
                f"{name} is {value!r}; give the name alone, and the port as MAIL_PORT"
            )
        return value

    def line(self, name: str, default: str) -> str:
        """Text for a header of a mail, where a line break would be a fault."""
        value = self.text(name, default)
        if not value.isprintable():
            self.faults.append(f"{name} is {value!r}; give one line")
        return value

    def sender(self, name: str, default: str) -> str:
        value = self.line(name, default)
        local, at, domain = parseaddr(value)[1].rpartition("@")
        if not (local and at and domain):
            self.faults.append(
                f"{name} is {value!r}; give an address like no-reply@example.co.jp"
            )
        return value

    def tls(self, name: str, *, starttls: bool) -> str:
        """One of MAIL_TLS; ``starttls`` is what MAIL_USE_TLS says."""
        said = "starttls" if starttls else "none"
        value = self._environ.get(name) or said
        if value not in MAIL_TLS:
            self.faults.append(f"{name} is {value!r}; give {', '.join(MAIL_TLS)}")
            return said
        if starttls and value != said:
            self.faults.append(
                f"MAIL_USE_TLS is 1, which means starttls, and {name} is {value}; "
                "take MAIL_USE_TLS out"
            )
        return value

    def password(self, name: str, username: str) -> str:
        """The password in a file, which goes with ``username`` or not at all."""
        path, found = self._environ.get(name), len(self.faults)
        password = self.file(name)
        # A file that can't be read is a fault already.
        if len(self.faults) > found:
            return password
        if path and not password:
            self.faults.append(f"{name} {path} is empty; put the password into it")
        elif username and not path:
            self.faults.append(f"MAIL_USERNAME is set and {name} is not; set both")
        elif path and not username:
            self.faults.append(f"{name} is set and MAIL_USERNAME is not; set both")
        return password

    def file(self, name: str) -> str:
        path = self._environ.get(name)
        if not path:
            return ""
        try:
            # Some editors begin a file with a byte order mark, which is no part of it.
            return Path(path).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.faults.append(f"{name} {path} can't be read: {_why(error)}")
            return ""

    def secret(self, name: str) -> str:
        # The file's name is asked for in any case, so that it counts as a setting.
        file = self._environ.get(f"{name}_FILE")
        if not (self._pages or self._environ.get(name) or file):
            return secrets.token_hex(MIN_SECRET_BYTES)
        value = self._environ.get(name) or (self.file(f"{name}_FILE") if file else "")
        if len(value.encode()) < MIN_SECRET_BYTES:
            self.faults.append(
                f"{name} (or {name}_FILE) is missing or under "
                f"{MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
            )
        return value


def _read_mail(read: _Reader) -> MailConfig:
    """The settings of the mail; what doesn't go together is added to the faults."""
    tls = read.tls("MAIL_TLS", starttls=read.flag("MAIL_USE_TLS"))
    username = read.text("MAIL_USERNAME", "")
    mail = MailConfig(
        server=read.server("MAIL_SERVER", "127.0.0.1"),
        port=read.number("MAIL_PORT", usual_port(tls), 1, 65535),
        tls=tls,
        username=username,
        password=read.password("MAIL_PASSWORD_FILE", username),
        sender=read.sender("MAIL_DEFAULT_SENDER", "no-reply@localhost"),
        subject=read.line("MAIL_SUBJECT", "MOT光クレジットカード通知"),
        product=read.text("MAIL_PRODUCT", "MOT光クレジットカード登録"),
    )
    password = bool(mail.password)
    if problem := clash(mail.server, mail.port, tls, password=password):
        read.faults.append("; ".join(problem))
    return mail


def _host(text: str) -> str:
    """A host name as browsers send it, without its port; "" when it is none."""
    name, colon, port = text.partition(":")
    try:
        name = name.lower().encode("idna").decode("ascii") if name else ""
    except UnicodeError:
        # A name that begins with a dot stands for all below it, and has an empty label.
        name = name.lower()
    fits = _HOST.fullmatch(name) and (port.isdigit() if colon else True)
    return name if fits else ""


def _is_name(host: str) -> bool:
    return _address(host) is None and host[:1].isalnum()


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _why(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is not UTF-8"
