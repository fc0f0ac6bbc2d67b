"""``cardvault pan-scan`` looks for card numbers in files and folders."""

from __future__ import annotations

from pathlib import Path

import click

from ..ops.pan_scan import Found, scan
from .output import counted
from .vaults import EXAMPLE

EXIT_FOUND, EXIT_UNREAD = 1, 2


@click.command(
    "pan-scan", epilog=EXAMPLE + "cardvault pan-scan instance /var/log/site.log.gz"
)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.pass_context
def pan_scan(context: click.Context, paths: tuple[Path, ...]) -> None:
    """Look for card numbers in files and folders.

    Text, gzip and SQLite files, UTF-8 and UTF-16, digits grouped or full-width.
    Prints file, place and mask, never a number. Needs no key.

    Exit code 1: something was found; 2: nothing was found, but not all could be read.
    What could not be read is named.
    """
    count, unread = 0, 0
    for path in paths:
        for one in scan(path):
            if isinstance(one, Found):
                count += 1
                click.echo(f"{one.path}\t{one.place}\t{one.masked}")
            else:
                unread += 1
                click.echo(f"cardvault: error: {one.path}: {one.why}", err=True)
    left = f", {counted(unread, 'place')} not read" if unread else ""
    click.echo(f"{counted(count, 'number')} found{left}", err=True)
    if count:
        click.echo(
            "cardvault: hint: check whether they are cards, then destroy the files",
            err=True,
        )
    if unread:
        click.echo(
            "cardvault: hint: run it again as somebody who may read the rest", err=True
        )
    context.exit(EXIT_FOUND if count else EXIT_UNREAD if unread else 0)
