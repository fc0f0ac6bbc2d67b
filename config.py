"""Every setting of the site, read once from the environment and then frozen.

``Config.from_environ(environ)`` raises ConfigError naming every fault at once;
nothing else in the site reads the environment, and no secret has a
default.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

from vault import VaultSettings
from vault.settings import DEFAULT_SITE_DATABASE_URL

LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
MIN_SECRET_BYTES = 32
_OFF = ("0", "false", "no")
STOPPED_VALUES = ("stopped", "停止")
LOGIN_FACTORS = ("mail", "totp", "passkey", "any-strong")


class ConfigError(Exception):
    """The environment can't run a site.  ``faults`` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(
            "it is not safe to start:\n" + "\n".join(f"  - {fault}" for fault in faults)
        )
        self.faults = faults


@dataclass(frozen=True)
class MailConfig:
    """Where the code mail is handed over, and its words."""

    server: str
    port: int
    use_tls: bool
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
        config = cls(
            secret_key=read.secret("SECRET_KEY"),
            secret_key_fallbacks=read.secrets("SECRET_KEY_FALLBACKS"),
            database_url=read.text("DATABASE_URL", DEFAULT_SITE_DATABASE_URL),
            database_pool=read.number("DATABASE_POOL", 8, 1, 1000),
            vault=VaultSettings.from_environ(environ),
            mail=MailConfig(
                server=read.text("MAIL_SERVER", "127.0.0.1"),
                port=read.number("MAIL_PORT", 25, 1, 65535),
                use_tls=read.flag("MAIL_USE_TLS"),
                username=read.text("MAIL_USERNAME", ""),
                password=read.file("MAIL_PASSWORD_FILE"),
                sender=read.text("MAIL_DEFAULT_SENDER", "no-reply@localhost"),
                subject=read.text("MAIL_SUBJECT", "MOT光クレジットカード通知"),
                product=read.text("MAIL_PRODUCT", "MOT光クレジットカード登録"),
            ),
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
        )
        if config.login_factor == "passkey" and not config.passkey_host:
            read.faults.append(
                "LOGIN_FACTOR is passkey and TRUSTED_HOSTS has no host name; "
                "a passkey belongs to a name, not to an IP address"
            )
        return config, read.faults

    @property
    def passkey_host(self) -> str:
        """The host passkeys belong to (WebAuthn's RP ID): the first of
        ``trusted_hosts`` that is a name, or "" when all are IP addresses."""
        hosts = (host.partition(":")[0] for host in self.trusted_hosts)
        return next((host for host in hosts if _is_name(host)), "")


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
        """The debugger runs whatever a visitor types; it is for loopback alone."""
        debug = (self._environ.get("FLASK_DEBUG") or "0").lower()
        if debug not in _OFF and not loopback:
            self.faults.append("FLASK_DEBUG is on; take it out of the environment")

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
        by_itself = loopback or not self._pages
        hosts = self.names(name) or (LOOPBACK_HOSTS if by_itself else ())
        if not hosts:
            self.faults.append(f"{name} is missing; give the host names of the site")
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
        file = f"{name}_FILE"
        if not (self._pages or self._environ.get(name) or self._environ.get(file)):
            return secrets.token_hex(MIN_SECRET_BYTES)
        value = self._environ.get(name) or self.file(file)
        if len(value.encode()) < MIN_SECRET_BYTES:
            self.faults.append(
                f"{name} (or {name}_FILE) is missing or under "
                f"{MIN_SECRET_BYTES} bytes; make one with: openssl rand -hex 32"
            )
        return value


def _is_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host[:1].isalnum()
    return False


def _why(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is not UTF-8"
