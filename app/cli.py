"""Prints the flask commands' errors, and adds the command ``migrate``.

An error is one line that says the problem and one that says the next step.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo, with_appcontext
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from config import Config
from vault import Actor
from vault.account import account_name
from vault.card.scrub import one_line
from vault.errors import VaultError
from vault.store.migrations import HISTORY as VAULT_HISTORY
from vault.store.migrations import History
from vault.store.refusals import explain

from . import current
from .migrations import HISTORY

EXIT_FOUND, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 3


class SiteGroup(AppGroup):
    """Commands that print an error of a database or of the vault in one line, and a
    listing only as long as somebody reads it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and print its error as one line and a hint.  A listing whose
        reader goes away, as ``head`` does, ends there with exit code 0."""
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            app = ctx.ensure_object(ScriptInfo).load_app()
            settings: Config = app.extensions["settings"]
            urls = settings.vault.database_url, settings.database_url
            what, hint = explain(error, urls)
            fail(
                f"the database does not answer: {what}",
                hint or "flask --app wsgi migrate --check",
            )
        except VaultError as error:
            fail(str(error), error.hint or "cardvault status")
        except BrokenPipeError:
            print_no_more("stdout")


def say(line: str, *, err: bool = False) -> None:
    """Print a line of a command that goes on when its reader has gone away, because
    it does something or counts what it finds for its exit code."""
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        print_no_more("stderr" if err else "stdout")


def print_no_more(stream: str) -> None:
    """Let nothing more be printed to "stdout" or "stderr", whose reader has gone away.
    What is left in it would make Python complain at its end."""
    setattr(sys, stream, open(os.devnull, "w"))  # noqa: PTH123, SIM115


def example(line: str) -> str:
    """The end of a command's help: an example of typing it."""
    return f"\b\nExample:\n  flask --app wsgi {line}"


def fail(what: str, hint: str, code: int = EXIT_USAGE) -> NoReturn:
    """Print what is wrong and what to do, and end with exit code ``code``."""
    # An error may hold an unchecked name of a row or a file.
    say(f"error: {harmless(' '.join(what.splitlines()))}", err=True)
    say(f"hint: {harmless(' '.join(hint.splitlines()))}", err=True)
    sys.exit(code)


def account() -> Actor:
    """The account that runs the command."""
    return Actor(account_name(), "command")


def harmless(line: str) -> str:
    """``line`` made safe for a terminal, with its tabs and its line end kept: a stored
    name or token in it can't move the cursor, hide text or begin another line."""
    text = line.rstrip("\r\n")
    return "\t".join(map(one_line, text.split("\t"))) + line[len(text) :]


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
    places = (
        ("site", HISTORY, current.site_engine()),
        ("vault", VAULT_HISTORY, current.vault().engine),
    )
    behind = False
    for name, history, engine in places:
        _make_folder(engine)
        revision, head = history.current(engine), history.head()
        if revision != head and not check:
            _upgrade(history, engine)
        behind |= revision != head
        say(f"{name}\t{revision or 'none'}\t{head}")
    if check and behind:
        say("behind: run flask --app wsgi migrate", err=True)
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
