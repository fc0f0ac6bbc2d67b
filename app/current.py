"""Gives the parts of the running site: its settings, clock, vault and database."""

from __future__ import annotations

from flask import current_app
from sqlalchemy import Engine

from config import Config
from vault import Vault
from vault.errors import FileRefused


def settings() -> Config:
    """The site's settings."""
    config: Config = current_app.extensions["settings"]
    return config


def now() -> int:
    """The time by the site's clock, in seconds since 1970 UTC."""
    seconds: int = current_app.extensions["clock"]()
    return seconds


def vault() -> Vault:
    """The site's vault.  Raises FileRefused when its web key file can't be used."""
    opened: Vault | FileRefused = current_app.extensions["vault"]
    if isinstance(opened, FileRefused):
        raise opened
    return opened


def site_engine() -> Engine:
    """The engine of the site's database."""
    engine: Engine = current_app.extensions["site_engine"]
    return engine
