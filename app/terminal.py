"""Prints the flask commands' errors: first the problem, then the next step."""

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
    """Commands that print an error of a database or of the vault in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and print its error as one line and a hint."""
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
    """The end of a command's help: an example of typing it."""
    return f"\b\nExample:\n  flask --app wsgi {line}"


def fail(what: str, hint: str, code: int = EXIT_USAGE) -> NoReturn:
    """Print what is wrong and what to do, and end with exit code ``code``."""
    # An error may hold an unchecked name of a row or a file.
    click.echo(f"error: {harmless(' '.join(what.splitlines()))}", err=True)
    click.echo(f"hint: {harmless(' '.join(hint.splitlines()))}", err=True)
    sys.exit(code)


def account() -> Actor:
    """The account that runs the command."""
    return Actor(account_name(), "command")


def harmless(line: str) -> str:
    """``line`` made safe for a terminal, with its tabs and its line end kept: a stored
    name or token in it can't move the cursor, hide text or begin another line."""
    text = line.rstrip("\r\n")
    return "\t".join(map(one_line, text.split("\t"))) + line[len(text) :]
