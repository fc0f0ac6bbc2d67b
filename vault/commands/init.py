"""``cardvault init`` makes a new vault."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy import Engine

from ..clock import system_clock
from ..ops import create, new_place, root_shares
from ..ops.new_place import NewPlace
from ..settings import VaultSettings
from ..store.files import is_on_one_disk, part_of
from .vaults import EXAMPLE, actor, new_passphrase, read_settings

DEFAULT_ROOT_KEY = Path("instance/root.key")
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
"""Clears a terminal's screen and what was scrolled off it."""


@click.command(epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault init")
@click.option(
    "--no-passphrase", is_flag=True, help="Leave the root key file unsealed (demo)."
)
@click.option("--shares", "count", type=int, help="Print the root key as shares, once.")
@click.option("--threshold", type=int, help="How many shares open the vault.")
def init(no_passphrase: bool, count: int | None, threshold: int | None) -> None:
    """Make a new vault: web key file, root key and database.

    The root key is written to VAULT_ROOT_KEY, or with --shares printed once and not
    kept. Nothing is ever overwritten. Take the root key off this machine; its folder
    is never made. If it is killed, run it again; shares it showed before open nothing.
    """
    if (count is None) != (threshold is None) or (count is not None and no_passphrase):
        raise click.UsageError("give --shares with --threshold, or --no-passphrase")
    given = read_settings()
    root_path = given.root_key or DEFAULT_ROOT_KEY
    if count is not None and threshold is not None:
        place = NewPlace(given.web_key, None, given.database_url)
        _by_shares(place, count, threshold)
    else:
        place = NewPlace(given.web_key, root_path, given.database_url)
        _by_file(place, root_path, given, no_passphrase)
    click.echo(f"web key   {place.web_key}   seals cards; the web server needs it")
    if place.root_key is not None:
        click.echo(f"root key  {root_path}   opens cards; keep it off the web server")
        if given.root_key is not None:
            _warn_of_one_disk(root_path, place)
    click.echo("next      flask --app wsgi migrate")


def _warn_of_one_disk(root_path: Path, place: NewPlace) -> None:
    """Say when the root key lies on the disk of what it opens: the medium may not be
    mounted."""
    database = place.database
    if database and is_on_one_disk(root_path, database):
        click.echo(
            f"warning   {root_path} lies on the disk of {database}; is its medium "
            "mounted?",
            err=True,
        )


def _by_file(
    place: NewPlace, root_path: Path, given: VaultSettings, no_passphrase: bool
) -> None:
    if new_place.is_left_whole(place):
        new_place.finish(place)
        click.echo("finished an init that was cut off; the root key is as it wrote it")
        return
    new_place.require_free(place)
    passphrase = None if no_passphrase else new_passphrase(given)
    web_key, root_key = create.new_keys()
    texts = {root_path: root_key.text(passphrase), place.web_key: web_key.text()}
    new_place.make(
        place,
        texts,
        lambda engine: create.create_vault(
            web_key, root_key, engine, system_clock, actor()
        ),
    )


def _by_shares(place: NewPlace, count: int, threshold: int) -> None:
    web_key, root_key = create.new_keys()
    lines = root_shares.split(root_key, count, threshold)
    _clear_way(place)
    new_place.require_free(place)
    shown = False

    def found(engine: Engine) -> None:
        nonlocal shown
        shown = True
        # Show the shares before the vault exists: a vault whose shares nobody has seen
        # could never be opened.
        show_shares(lines, threshold)
        create.create_vault(web_key, root_key, engine, system_clock, actor())

    try:
        new_place.make(place, {place.web_key: web_key.text()}, found)
    except BaseException:
        if shown and not new_place.is_left_whole(place):
            click.echo("no vault was made; shares shown above open nothing", err=True)
        raise


def _clear_way(place: NewPlace) -> None:
    """Remove what a killed init with shares left, because its shares can't be shown
    again."""
    if new_place.is_left_whole(place):
        new_place.give_up(place)
    if part_of(place.web_key).exists():
        click.echo(
            "an init was cut off here; shares it may have shown open nothing, "
            "destroy them",
            err=True,
        )


def show_shares(lines: list[str], threshold: int) -> None:
    """Print a root key's shares, the only time they are ever shown.  On a terminal each
    is alone on the screen, for its custodian, until Enter (PCI DSS 3.7.6)."""
    click.echo(
        f"any {threshold} of these {len(lines)} shares open the vault.", err=True
    )
    click.echo(
        "They are shown this once and kept nowhere: one custodian each.", err=True
    )
    alone = sys.stdin.isatty() and sys.stdout.isatty()
    for number, line in enumerate(lines, 1):
        if alone:
            _show_alone(line, number, len(lines))
        else:
            click.echo(line)


def _show_alone(line: str, number: int, count: int) -> None:
    """Show one share when its custodian is there, and clear it from the screen."""
    click.echo(f"Share {number} of {count}: its custodian alone, then Enter.", err=True)
    _await_enter()
    click.echo(line)
    click.echo("Written down and compared? Enter clears it.", err=True)
    _await_enter()
    click.echo(CLEAR, nl=False)


def _await_enter() -> None:
    if not sys.stdin.readline():
        raise click.Abort
