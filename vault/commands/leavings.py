"""Removes deleted bytes from the database's files, and warns where some stay."""

from __future__ import annotations

import click
from sqlalchemy import Engine

from ..store.sqlite import checkpoint
from ..store.vacuum import vacuum


def clear(engine: Engine) -> None:
    """Remove what was deleted or replaced from the files (PCI DSS 3.2.1).  If that
    fails, only warn, because the command's own work is done."""
    if not checkpoint(engine):
        _warn(
            "what was replaced is still in the database's log: a reader or a full disk "
            "was in the way",
            "the next deletion with no reader in the way removes it",
        )
    clear_tables(engine)


def clear_tables(engine: Engine) -> None:
    """Do the part of ``clear`` that PostgreSQL needs."""
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
