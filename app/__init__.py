"""The card site: everything is wired here and nothing happens elsewhere."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask.typing import ResponseReturnValue

from config import Config
from vault import Vault
from vault.clock import Clock, system_clock
from vault.store.database import connect

from . import auth, cards, commands, csp, db, errors, log, mail, security

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


class Site(Flask):
    """Flask, with one rule more: a view that returns commits, one that raises
    rolls back."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Answer the request, then commit its work while errors are still caught."""
        response = super().dispatch_request()
        db.commit_work()
        return response


def create_app(config: Config, clock: Clock = system_clock) -> Flask:
    """Make the site.  ``clock`` gives seconds since 1970 UTC.

    Raises KeyFileError when the web key can't serve; whether the databases can is
    for ``start.safe_config`` to say.
    """
    app = Site(__name__, template_folder=str(TEMPLATES))
    app.extensions["settings"] = config
    app.extensions["clock"] = clock
    pool = config.database_pool
    app.extensions["vault"] = Vault.open(config.vault, clock, pool)
    app.extensions["site_engine"] = connect(config.database_url, pool=pool)
    for part in (log, security, db, errors, mail, auth, csp, cards, commands):
        part.init_app(app)
    return app
