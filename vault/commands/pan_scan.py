"""cardvault pan-scan."""

from __future__ import annotations

from pathlib import Path

import click

from ..scan import scan
from .place import EXAMPLE
from .words import counted

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

    Exit code 1: something was found; 2: a file could not be read.
    """
    count, unread = 0, 0
    for path in paths:
        try:
            for found in scan(path):
                count += 1
                click.echo(f"{found.path}\t{found.place}\t{found.masked}")
        except OSError as error:
            unread += 1
            click.echo(
                f"cardvault: error: {error.filename or path}: {error.strerror}",
                err=True,
            )
    click.echo(f"{counted(count, 'number')} found", err=True)
    if count:
        click.echo(
            "cardvault: hint: look whether they are cards, then destroy the files",
            err=True,
        )
    context.exit(EXIT_FOUND if count else EXIT_UNREAD if unread else 0)
