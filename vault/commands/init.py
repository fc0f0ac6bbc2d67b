"""cardvault init."""

from __future__ import annotations

from pathlib import Path

import click

from .. import founding, shares
from ..clock import system_clock
from ..database import connect, sqlite_path
from .place import EXAMPLE, actor, new_passphrase, settings

DEFAULT_ROOT_KEY = Path("instance/root.key")


@click.command(epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault init")
@click.option(
    "--no-passphrase", is_flag=True, help="Leave the root key file unsealed (demo)."
)
@click.option("--shares", "count", type=int, help="Print the root key as shares, once.")
@click.option("--threshold", type=int, help="How many shares open the vault.")
def init(no_passphrase: bool, count: int | None, threshold: int | None) -> None:
    """Make a new vault: web key file, root key and database.

    The root key is written to VAULT_ROOT_KEY, or with --shares printed once and
    kept nowhere. Nothing is ever overwritten. The root key belongs off this
    machine.
    """
    if (count is None) != (threshold is None) or (count and no_passphrase):
        raise click.UsageError("give --shares with --threshold, or --no-passphrase")
    place = settings()
    root_path = place.root_key or DEFAULT_ROOT_KEY
    founding.require_free(place.web_key, *([] if count else [root_path]))
    database = sqlite_path(place.database_url)
    if database is not None:
        founding.require_free(database)
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = connect(place.database_url)
    founding.require_empty(engine, "the database")
    web_key, root_key = founding.new_keys()
    # Keys first: a database without its keys could never be opened.
    if count and threshold:
        show_shares(shares.split(root_key, count, threshold), threshold)
    else:
        root_key.write(root_path, None if no_passphrase else new_passphrase(place))
    web_key.write(place.web_key)
    founding.found(web_key, root_key, engine, system_clock, actor())
    click.echo(f"web key   {place.web_key}   seals cards; the web server needs it")
    if not count:
        click.echo(f"root key  {root_path}   opens cards; keep it off the web server")
    click.echo("next      flask --app wsgi migrate")


def show_shares(lines: list[str], threshold: int) -> None:
    """Print a root key's shares, the only time they are ever shown."""
    click.echo(
        f"any {threshold} of these {len(lines)} shares open the vault.", err=True
    )
    click.echo(
        "They are shown this once and kept nowhere: one custodian each.", err=True
    )
    for line in lines:
        click.echo(line)
