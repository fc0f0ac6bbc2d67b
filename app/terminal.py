"""How the flask commands talk: one line of what, one of what to do."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from vault import Actor
from vault.account import account_name
from vault.card.scrub import one_line
from vault.errors import VaultError

EXIT_FOUND, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 3


class SiteGroup(AppGroup):
    """Commands that say in one line what a database or the vault refused."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors are one line and a hint."""
        try:
            return super().invoke(ctx)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or type(error).__name__
            fail(
                f"the database does not answer: {cause}",
                "flask --app wsgi migrate --check",
            )
        except VaultError as error:
            fail(str(error), error.hint or "cardvault status")


def example(line: str) -> str:
    """The end of a command's help: how it is typed."""
    return f"\b\nExample:\n  flask --app wsgi {line}"


def fail(what: str, hint: str, code: int = EXIT_USAGE) -> NoReturn:
    """Say what is wrong and what to do, and end."""
    # An error may name a row or a file whose name nobody has checked.
    click.echo(f"error: {harmless(' '.join(what.splitlines()))}", err=True)
    click.echo(f"hint: {harmless(' '.join(hint.splitlines()))}", err=True)
    sys.exit(code)


def account() -> Actor:
    """The account that runs the command."""
    return Actor(account_name(), "command")


def harmless(line: str) -> str:
    """``line`` as it may be shown, its tabs and its own end kept: a stored name or
    token can neither move the cursor, nor hide text, nor begin another line."""
    text = line.rstrip("\r\n")
    return "\t".join(map(one_line, text.split("\t"))) + line[len(text) :]
