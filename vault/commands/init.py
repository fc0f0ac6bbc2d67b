"""cardvault init."""

from __future__ import annotations

from pathlib import Path

import click

from .. import founding
from ..clock import system_clock
from ..database import connect, sqlite_path
from ..keys import MIN_PASSPHRASE, read_root_text
from .place import EXAMPLE, actor, settings

DEFAULT_ROOT_KEY = Path("instance/root.key")


@click.command(epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault init")
@click.option(
    "--no-passphrase", is_flag=True, help="Leave the root key file unsealed (demo)."
)
def init(no_passphrase: bool) -> None:
    """Make a new vault: web key file, root key file and database.

    Nothing is ever overwritten. The root key belongs off this machine.
    """
    place = settings()
    root_path = place.root_key or DEFAULT_ROOT_KEY
    founding.require_free(place.web_key, root_path)
    database = sqlite_path(place.database_url)
    if database is not None:
        founding.require_free(database)
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = connect(place.database_url)
    founding.require_empty(engine, "the database")
    passphrase = None if no_passphrase else _new_passphrase(place.root_passphrase_file)
    web_key, root_key = founding.new_keys()
    # Keys first: a database without its keys could never be opened.
    root_key.write(root_path, passphrase)
    web_key.write(place.web_key)
    founding.found(web_key, engine, system_clock, actor())
    click.echo(f"web key   {place.web_key}   seals cards; the web server needs it")
    click.echo(f"root key  {root_path}   opens cards; keep it off the web server")
    click.echo("next      flask --app wsgi migrate")


def _new_passphrase(file: Path | None) -> str:
    if file is not None:
        passphrase = read_root_text(file).rstrip("\r\n")
    else:
        passphrase = click.prompt(
            "New root key passphrase",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
    if len(passphrase) < MIN_PASSPHRASE:
        raise click.UsageError(
            f"the passphrase has under {MIN_PASSPHRASE} characters; give a longer one"
        )
    return passphrase
