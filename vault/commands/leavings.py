"""What a command says of deleted bytes that stayed in the database's files."""

from __future__ import annotations

import click
from sqlalchemy import Engine

from ..store.database import checkpoint
from ..store.vacuum import vacuum


def clear(engine: Engine) -> None:
    """Take what was deleted or replaced out of the files (PCI DSS 3.2.1); where that
    can't be, warn, for the work itself is done."""
    if not checkpoint(engine):
        _warn(
            "a reader of the database or a full disk kept what was replaced in its log",
            "it goes with the next deletion that meets no reader",
        )
    clear_tables(engine)


def clear_tables(engine: Engine) -> None:
    """The part of ``clear`` that PostgreSQL needs."""
    refused = vacuum(engine)
    if refused:
        _warn(
            "what was deleted is in PostgreSQL's files still: "
            + "; ".join(dict.fromkeys(refused.values())),
            f"as the tables' owner: {'; '.join(refused)}",
        )


def _warn(what: str, hint: str) -> None:
    click.echo(f"cardvault: warning: {what}", err=True)
    click.echo(f"cardvault: hint: {hint}", err=True)
