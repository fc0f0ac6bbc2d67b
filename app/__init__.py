"""Makes the card site: the one place where its parts are put together."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask.typing import ResponseReturnValue

from config import Config
from vault import Vault
from vault.clock import Clock, system_clock
from vault.errors import FileRefused
from vault.store.database import connect

from . import (
    arrivals,
    auth,
    cards,
    cli,
    csp_reports,
    db,
    errors,
    log,
    mail,
    mail_commands,
    security,
)

# An installed site has its pages inside the package, a checkout beside it.
_INSTALLED = Path(__file__).resolve().parent / "templates"
_CHECKOUT = _INSTALLED.parent.parent / "templates"
TEMPLATES = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


class Site(Flask):
    """Flask with one more rule: a view that returns is committed, one that raises is
    rolled back."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Answer the request, then commit its Work, so that an error of the commit gets
        an error page too."""
        response = super().dispatch_request()
        db.commit_work()
        return response


def create_app(config: Config, clock: Clock = system_clock) -> Flask:
    """Make the site.  ``clock`` gives seconds since 1970 UTC.

    Neither the web key file nor the databases are checked here but in
    ``startup.safe_config``, because some commands need none of them.
    """
    app = Site(__name__, template_folder=str(TEMPLATES))
    app.extensions["settings"] = config
    app.extensions["clock"] = clock
    pool = config.database_pool
    try:
        app.extensions["vault"] = Vault.open(config.vault, clock, pool)
    except FileRefused as refusal:
        # ``current.vault`` raises it for whoever needs the vault.
        app.extensions["vault"] = refusal
    app.extensions["site_engine"] = connect(config.database_url, pool=pool)
    for part in (
        log,
        security,
        arrivals,
        db,
        errors,
        mail,
        auth,
        csp_reports,
        cards,
        cli,
        mail_commands,
    ):
        part.init_app(app)
    return app
