"""The site database's history, and whether this code may run on it."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from vault import Vault
from vault.errors import SchemaError, VaultError
from vault.migrations import History

HISTORY = History(Path(__file__).parent, "alembic_version_site")


def refuse_if_behind(app: Flask) -> None:
    """Raise SchemaError or KeyFileError unless both databases fit this code and
    the web key; one error names every fault (WEB-04)."""
    site, faults = app.extensions["site_engine"], []
    vault: Vault = app.extensions["vault"]
    for check in (lambda: HISTORY.require_head(site, "site"), vault.require_ready):
        try:
            check()
        except VaultError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise SchemaError("; ".join(map(str, faults)), hint=faults[0].hint)
