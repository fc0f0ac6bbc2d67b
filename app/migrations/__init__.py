"""The site database's history, and whether this code may run on it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from flask import Flask

from vault import Vault
from vault.errors import SchemaError, VaultError
from vault.migrations import History

HISTORY = History(Path(__file__).parent, "alembic_version_site")


def refuse_if_behind(app: Flask) -> None:
    """Raise SchemaError or KeyFileError unless both databases fit this code and
    the web key; one error names every fault (WEB-04)."""
    vault: Vault = app.extensions["vault"]
    site = partial(HISTORY.require_head, app.extensions["site_engine"], "site")
    faults: list[VaultError] = []
    for require in (site, vault.require_ready):
        try:
            require()
        except VaultError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise SchemaError("; ".join(map(str, faults)), hint=faults[0].hint)
