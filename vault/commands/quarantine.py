"""``cardvault quarantine`` lists the cards that could not be opened, and drops them."""

from __future__ import annotations

import click

from ..card.scrub import one_line
from ..ops.rotation.quarantine import give_up, quarantined
from ..store.database import reading
from .leavings import clear
from .output import reader_may_leave
from .vaults import EXAMPLE, actor, vault_with_root_key_if_there, vault_without_root_key


@click.group()
def quarantine() -> None:
    """List cards that can't be opened, and give them up."""


@quarantine.command("list", epilog=EXAMPLE + "cardvault quarantine list")
def list_quarantined() -> None:
    """Show each quarantined card: token and what is wrong with it."""
    vault = vault_without_root_key()
    with reading(vault.engine) as db:
        rows = quarantined(db)
    with reader_may_leave():
        for row in rows:
            click.echo(one_line(f"{row.token}  {row.problem}"))
    if rows:
        click.echo(
            "restore the row from a backup and run cardvault rotate again, or give "
            "it up:\n  cardvault quarantine drop TOKEN --reason TEXT",
            err=True,
        )
    else:
        click.echo("no card is quarantined", err=True)


@quarantine.command(
    epilog=EXAMPLE + 'cardvault quarantine drop card_... --reason "no backup has it"'
)
@click.argument("token")
@click.option("--reason", required=True, help="Why it is given up, for the trail.")
def drop(token: str, reason: str) -> None:
    """Give up an unreadable card; the site then asks for a new number.

    Only a quarantined card can be given up. It is deleted for good. With the root key
    the command also checks that the root put the card into the quarantine.
    """
    vault = vault_with_root_key_if_there()
    with vault.engine.begin() as db:
        give_up(vault, db, token, actor(), reason)
    clear(vault.engine)
    click.echo(f"given up {token}")
    click.echo("next  cardvault rotate", err=True)
