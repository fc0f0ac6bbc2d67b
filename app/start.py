"""Whether the site may start: everything that is unsafe, in one message (WEB-04)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from config import Config, ConfigError
from vault import Vault
from vault.clock import system_clock
from vault.database import connect
from vault.errors import VaultError
from vault.migrations import HISTORY as VAULT_HISTORY

from .migrations import HISTORY

Check = Callable[[Config], object]


def safe_config(environ: Mapping[str, str]) -> Config:
    """The settings in ``environ``, when a site may run on them.

    Raises ConfigError with a line for every fault of the settings, the web key
    file and both databases.  The flask command (FLASK_RUN_FROM_CLI, Flask's own)
    may run on databases it has yet to migrate.
    """
    config, faults = Config.read(environ)
    checks: list[Check] = [_read_web_key]
    if environ.get("FLASK_RUN_FROM_CLI") != "true":
        checks += [_require_site, _require_vaults_tables, _require_own_vault]
    for check in checks:
        try:
            check(config)
        except VaultError as error:
            faults.append(f"{error}; {error.hint}" if error.hint else str(error))
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).splitlines()[0]
            faults.append(
                f"a database does not answer: {cause}; see the *_URL settings"
            )
    if faults:
        raise ConfigError(list(dict.fromkeys(faults)))
    return config


def _read_web_key(config: Config) -> None:
    Vault.open(config.vault, system_clock)


def _require_site(config: Config) -> None:
    HISTORY.require_head(connect(config.database_url), "site")


def _require_vaults_tables(config: Config) -> None:
    VAULT_HISTORY.require_head(connect(config.vault.database_url), "vault")


def _require_own_vault(config: Config) -> None:
    """The vault's database belongs to the web key."""
    Vault.open(config.vault, system_clock).require_ready()
