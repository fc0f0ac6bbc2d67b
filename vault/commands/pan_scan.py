"""``cardvault pan-scan`` looks for card numbers in files and folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ..card.scrub import one_line, scrub
from ..ops.pan_scan import Found, holds_number, scan
from .output import counted
from .uses import note_result_here
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
    """Look for card numbers in files, in their names and in folders.

    UTF-8, UTF-16, CP932, EUC-JP, full width too; digits grouped as cards and people
    group them by blanks, hyphens, commas, tabs, dots, line breaks or boxes, in addresses (%20), quoted-printable and
    JSON. Looks into gzip, bzip2, xz, tar, zip, .xlsx and .docx, mail files and SQLite.
    Not into PDF, 7z, RAR, old or locked Office files: those are named and counted.
    Pictures are not read. Prints file, place and mask, never a number. Needs no key.
    Where the settings lead to a vault, its trail records how much was found.

    Exit code 1: something was found; 2: nothing was found, but not all could be looked
    into. What could not is named.
    """
    count, unread = 0, 0
    try:
        for path in paths:
            for one in scan(path):
                if isinstance(one, Found):
                    count += 1
                    place = _shown(one.place)
                    click.echo(f"{_shown(str(one.path))}\t{place}\t{one.masked}")
                else:
                    unread += 1
                    named = f"{_shown(str(one.path))}: {_shown(one.why)}"
                    click.echo(f"cardvault: error: {named}", err=True)
    except BrokenPipeError:
        # The reader has seen enough.  How many there are is not known, so no count is
        # printed; only what was found is written to that pipe.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        context.exit(EXIT_FOUND)
    counts = {"places": len(paths), "found": count, "not_looked_into": unread}
    note_result_here("pan-scan", well=not (count or unread), counts=counts)
    _say_counts(count, unread)
    context.exit(EXIT_FOUND if count else EXIT_UNREAD if unread else 0)


def _shown(text: str) -> str:
    """A file's name as one line of UTF-8 that holds no card number."""
    line = one_line(os.fsencode(text).decode("utf-8", "backslashreplace"))
    return scrub(line) if holds_number(line) else line


def _say_counts(count: int, unread: int) -> None:
    left = f", {counted(unread, 'place')} not looked into" if unread else ""
    click.echo(f"{counted(count, 'number')} found{left}", err=True)
    if count:
        click.echo(
            "cardvault: hint: check whether they are cards, then destroy the files",
            err=True,
        )
    if unread:
        click.echo(
            "cardvault: hint: unpack or print what was not looked into and scan that; "
            "what may not be read needs somebody who may",
            err=True,
        )
