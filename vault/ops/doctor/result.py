"""Holds what a check of the doctor's found, and the installation it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...clock import Clock
from ...errors import VaultError
from ...settings import VaultSettings
from ...store.database import connect
from ...store.sqlite import sqlite_path
from ...web.vault import Vault
from ...web.web_key import WebKey

OK, WARNING, FAULT, UNKNOWN = "ok", "warning", "fault", "unknown"
DAMAGED = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""What reading a damaged row or file may raise."""


@dataclass(frozen=True)
class CheckResult:
    """One line of the doctor's: ``name`` of the check, ``state`` (ok, warning, fault or
    unknown), ``text``, what was seen, and ``mend``, what to do ("" when nothing)."""

    name: str
    state: str
    text: str
    mend: str = ""

    @property
    def is_wrong(self) -> bool:
        """Say whether something is to be done."""
        return self.state in (WARNING, FAULT)


def ok(name: str, text: str) -> CheckResult:
    """All is well."""
    return CheckResult(name, OK, text)


def warning(name: str, text: str, mend: str) -> CheckResult:
    """It works, and weakens the vault or will not work for long."""
    return CheckResult(name, WARNING, text, mend)


def fault(name: str, text: str, mend: str) -> CheckResult:
    """It does not work, or gives a secret away."""
    return CheckResult(name, FAULT, text, mend)


def unknown(name: str, text: str, mend: str = "") -> CheckResult:
    """It can't be told from here."""
    return CheckResult(name, UNKNOWN, text, mend)


@dataclass
class Installation:
    """What the checks look at: the settings, the clock, and both databases, which are
    opened at the first use."""

    settings: VaultSettings
    site: Mapping[str, str]
    """The site's own settings that are set, by name (``settings.site_words``)."""
    clock: Clock
    _engines: dict[str, Engine] = field(default_factory=dict)

    def engine(self, url: str) -> Engine:
        """The engine for one of the two databases.  SQLite's file is only read, and
        never made."""
        if url not in self._engines:
            reads = sqlite_path(url) is not None
            self._engines[url] = connect(url, read_only=reads)
        return self._engines[url]

    def vault(self) -> Vault:
        """The vault without its root key; raises VaultError when the web key can't be
        read or is another vault's."""
        vault = self.vault_under(WebKey.read(self.settings.web_key))
        vault.require_ready()
        return vault

    def vault_under(self, web_key: WebKey) -> Vault:
        """The vault as it is under ``web_key``; its database is not checked."""
        return Vault(web_key, self.engine(self.settings.database_url), self.clock)

    @property
    def databases(self) -> dict[str, str]:
        """The URLs of the two databases, by what they are called."""
        urls = self.settings
        return {"vault": urls.database_url, "site": urls.site_database_url}

    def sqlite_files(self) -> dict[str, Path]:
        """The files of those that are SQLite's, by what they are called."""
        found = {name: sqlite_path(url) for name, url in self.databases.items()}
        return {name: path for name, path in found.items() if path is not None}

    def close(self) -> None:
        """Close the databases."""
        for engine in self._engines.values():
            engine.dispose()


Check = Callable[[Installation], Iterator[CheckResult]]


def look(name: str, check: Check, here: Installation) -> Iterator[CheckResult]:
    """Make one check.  Whatever it meets is a result of its own, so that the others
    are made all the same."""
    try:
        yield from check(here)
    except VaultError as error:
        yield unknown(name, f"can't be told: {error}", error.hint)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        yield unknown(name, f"can't be told: {first_line(cause)}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield unknown(name, f"can't be told: {where}{cause_of(error)}")
    except DAMAGED as error:
        yield unknown(name, f"can't be told: {type(error).__name__}")


def cause_of(error: Exception) -> str:
    """What the system says of an error, without its number; else the error's words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def first_line(said: object) -> str:
    """The first line of what a database or a server said."""
    return next(iter(str(said).strip().splitlines()), "")
