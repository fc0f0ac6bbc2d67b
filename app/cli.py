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
from vault.store import grants
from vault.store.database import connect, reading
from vault.store.migrations import HISTORY as VAULT_HISTORY
from vault.store.migrations import History
from vault.store.refusals import explain, is_denied
from vault.store.sqlite import sqlite_path

from . import current
from .grants import GRANTS
from .migrations import HISTORY

ROLES = "docs/operations.md says which login is for what, under: PostgreSQL: roles"
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
    """Bring both databases to what this code needs, and on PostgreSQL grant its roles
    what each may do."""
    try:
        _migrate(check=check)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        if is_denied(error):
            fail(
                f"nothing was changed: {cause}",
                "type this with the URLs of the role that owns the tables",
            )
        fail(
            f"a database does not answer: {cause}",
            "check DATABASE_URL and VAULT_DATABASE_URL",
        )
    except VaultError as error:
        fail(str(error), error.hint or "flask --app wsgi migrate --help")


def _migrate(*, check: bool) -> None:
    settings = current.settings().vault
    vault_engine = connect(settings.database_url)
    places = (
        ("site", HISTORY, current.site_engine(), GRANTS),
        ("vault", VAULT_HISTORY, vault_engine, grants.GRANTS),
    )
    behind = False
    try:
        if not settings.web_key.exists():
            _require_founded(vault_engine)
        for name, history, engine, granted in places:
            _make_folder(engine)
            revision, head = history.current(engine), history.head()
            if revision != head and not check:
                _upgrade(history, engine)
            behind |= revision != head
            say(f"{name}\t{revision or 'none'}\t{head}")
            behind |= _grant(name, engine, granted, check=check)
    finally:
        vault_engine.dispose()
    if check and behind:
        say("behind: run flask --app wsgi migrate", err=True)
        sys.exit(EXIT_FOUND)


def _require_founded(engine: Engine) -> None:
    """End with an error where no vault was ever made.  Its tables would be in the way
    of ``cardvault init``, which makes them together with its keys."""
    path = sqlite_path(engine.url.render_as_string(hide_password=False))
    if path is not None and not path.exists():
        there = None
    else:
        there = VAULT_HISTORY.current(engine)
    if there is None:
        fail("there is no vault yet, nothing was changed", "cardvault init")


def _upgrade(history: History, engine: Engine) -> None:
    try:
        history.upgrade(engine)
    except OperationalError as error:
        fail(
            f"nothing was changed: {error.orig}",
            "somebody may be at work in it; stop the site and type this again",
        )


def _grant(name: str, engine: Engine, granted: grants.Grants, *, check: bool) -> bool:
    """Grant the roles of ``engine``'s server what ``granted`` says, and print that;
    says whether something was to be done.  On SQLite there are no roles."""
    if engine.dialect.name != "postgresql":
        return False
    with reading(engine) as db:
        there, behind = grants.roles(db), bool(grants.difference(db, granted))
    if behind and not check:
        with engine.begin() as db:
            grants.apply(db, granted)
    done = "as granted" if not behind else "behind" if check else "granted"
    said = (
        f"{', '.join(there)}\t{done}" if there else "none\tone role may do everything"
    )
    say(f"{name} roles\t{said}")
    return behind


def _make_folder(engine: Engine) -> None:
    """Make the folder of a SQLite file; SQLite makes only the file."""
    path = engine.url.database
    if engine.dialect.name == "sqlite" and path and path != ":memory:":
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
