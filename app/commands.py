"""``flask --app wsgi migrate`` brings both databases to what this code needs."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from vault import Vault
from vault.store.migrations import HISTORY as VAULT_HISTORY
from vault.store.migrations import History

from .migrations import HISTORY
from .terminal import EXIT_FOUND, example, fail


def init_app(app: Flask) -> None:
    """Add the command."""
    app.cli.add_command(migrate)


@click.command(epilog=example("migrate --check"))
@click.option(
    "--check", is_flag=True, help="Change nothing; exit 1 when something is behind."
)
@with_appcontext
def migrate(check: bool) -> None:
    """Bring both databases to what this code needs."""
    vault: Vault = current_app.extensions["vault"]
    places = (
        ("site", HISTORY, current_app.extensions["site_engine"]),
        ("vault", VAULT_HISTORY, vault.engine),
    )
    behind = False
    for name, history, engine in places:
        _make_folder(engine)
        current, head = history.current(engine), history.head()
        if current != head and not check:
            _upgrade(history, engine)
        behind |= current != head
        click.echo(f"{name}\t{current or 'none'}\t{head}")
    if check and behind:
        click.echo("behind: run flask --app wsgi migrate", err=True)
        sys.exit(EXIT_FOUND)


def _upgrade(history: History, engine: Engine) -> None:
    try:
        history.upgrade(engine)
    except OperationalError as error:
        fail(
            f"nothing was changed: {error.orig}",
            "somebody may be at work in it; stop the site and type this again",
        )


def _make_folder(engine: Engine) -> None:
    """Make the folder of a SQLite file; SQLite makes only the file."""
    path = engine.url.database
    if engine.dialect.name == "sqlite" and path and path != ":memory:":
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
