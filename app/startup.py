"""Checks whether the site may start, and names every fault in one message (WEB-04)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping

from sqlalchemy.exc import SQLAlchemyError

from config import Config, ConfigError, misspelt
from vault import Vault
from vault.clock import system_clock
from vault.errors import VaultError
from vault.store import grants
from vault.store.database import connect, reading
from vault.store.migrations import HISTORY as VAULT_HISTORY
from vault.store.refusals import explain

from .grants import GRANTS
from .migrations import HISTORY

Check = Callable[[Config], object]

# How the root key's settings begin, and the names of the root key files that `cardvault
# init` and `cardvault root rotate` write beside the web key.
ROOT_SETTINGS = "VAULT_ROOT_"
ROOT_FILES = ("root.key", "root.key.new")

log = logging.getLogger(__name__)


def safe_config(environ: Mapping[str, str]) -> Config:
    """The settings in ``environ``, if the site may run with them.

    Raises ConfigError with a line for every fault of the settings, the web key file and
    both databases, and for a root key within reach.  A variable whose name is nearly a
    setting's is named in the log, because it would be read over and the setting keep
    its default; so is a role of PostgreSQL that may do more than the site needs.  The
    flask command (FLASK_RUN_FROM_CLI, Flask's own) may run before the databases are
    migrated, where the root key is, and where the site's secret and its web key are
    not.
    """
    for line in misspelt(environ):
        log.warning(line)
    pages = environ.get("FLASK_RUN_FROM_CLI") != "true"
    config, faults = Config.read(environ, pages=pages)
    checks: list[Check] = []
    if pages:
        checks += [_read_web_key, _require_site, _require_vaults_tables]
        checks += [_require_own_vault, _tell_of_excess]
        if not config.allow_insecure_loopback:
            faults += _roots_within_reach(config, environ)
    for check in checks:
        try:
            check(config)
        except VaultError as error:
            faults.append(f"{error}; {error.hint}" if error.hint else str(error))
        except SQLAlchemyError as error:
            urls = config.vault.database_url, config.database_url
            what, hint = explain(error, urls)
            next_step = hint or "see the *_URL settings"
            faults.append(f"a database does not answer: {what}; {next_step}")
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))
    return config


def _roots_within_reach(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each root key the site could read.  With one it could open cards."""
    for name in sorted(environ):
        if name.startswith(ROOT_SETTINGS) and environ[name]:
            yield (
                f"{name} is in the site's environment; take it out: the root key is "
                "for the ops commands alone"
            )
    for name in ROOT_FILES:
        path = config.vault.web_key.with_name(name)
        if os.access(path, os.R_OK):
            yield (
                f"{path} can be read by the site and opens every card; move it off "
                "this host"
            )


def _read_web_key(config: Config) -> None:
    Vault.open(config.vault, system_clock)


def _require_site(config: Config) -> None:
    HISTORY.require_head(connect(config.database_url), "site")


def _require_vaults_tables(config: Config) -> None:
    VAULT_HISTORY.require_head(connect(config.vault.database_url), "vault")


def _tell_of_excess(config: Config) -> None:
    """Log what the site's roles may do that it doesn't need."""
    places = (
        ("site", config.database_url, GRANTS),
        ("vault", config.vault.database_url, grants.GRANTS),
    )
    for name, url, granted in places:
        engine = connect(url)
        with reading(engine) as db:
            excess = grants.excess(db, granted)
        engine.dispose()
        if excess:
            log.warning(
                "the %s database: %s, and so may whoever breaks into the site; "
                "see docs/operations.md, PostgreSQL: roles",
                name,
                excess,
            )


def _require_own_vault(config: Config) -> None:
    """Raise WrongVault or FileRefused unless the vault's database belongs to the
    web key."""
    Vault.open(config.vault, system_clock).require_ready()
