"""The site database's history, and whether this code may run on it."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from vault import Vault
from vault.migrations import History

HISTORY = History(Path(__file__).parent, "alembic_version_site")


def refuse_if_behind(app: Flask) -> None:
    """Raise SchemaError or KeyFileError unless both databases fit this code and
    the web key (WEB-04)."""
    HISTORY.require_head(app.extensions["site_engine"], "site")
    vault: Vault = app.extensions["vault"]
    vault.require_ready()
