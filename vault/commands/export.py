"""``cardvault export`` writes whole card numbers into an encrypted file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..card.scrub import one_line
from ..errors import FileRefused
from ..ops import export as exports
from ..ops.age_file import require_recipients
from ..ops.billing.layout import DEFAULT, NUMBER, OWN, Layout, read_columns, read_widths
from ..ops.billing.sheet import Sheet
from ..ops.export import Exported, Order
from ..store.files import disk_faults, require_free
from .anchors import give_anchor
from .output import counted
from .progress import watching
from .uses import warn
from .vaults import actor, vault_with_root_key

EXIT_LEFT_OUT = 4


EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
NEWLINES = {"crlf": "\r\n", "lf": "\n"}

EXAMPLES = """\b
Example:
  cardvault export --recipient age1... --reason "billing, November" --out cards.age

\b
At the month's end, with what each card is to be charged in amounts.csv
(token,order_no,amount in its first line; flask --app wsgi cards list --csv has
the tokens):
  cardvault export --recipient age1... --reason "billing, November" --out nov.age \\
    --with amounts.csv
\b
The same as an acquirer may want it: its columns in its order, no heading, CP932:
  cardvault export --recipient age1... --reason "billing, November" --out nov.age \\
    --with amounts.csv --columns card_number,exp_yymm,amount,order_no --no-header \\
    --encoding cp932
\b
As records of fixed length: 16 and 4 bytes, the amount in 8 with zeros before it:
  cardvault export --recipient age1... --reason "billing, November" --out nov.age \\
    --with amounts.csv --columns card_number,exp_yymm,amount --fixed 16,4,08
\b
Who has the identity opens it into the program that sends it, not into a file:
  age -d -i billing.key nov.age | send-to-acquirer
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    required=True,
    metavar="AGE_RECIPIENT",
    help="Who may open the file: age1... of an identity made by age-keygen, or "
    "age1tag1... or age1tagpq1... of a hardware key; not those of age-keygen -pq or of "
    "another plugin. May be given several times, age1tagpq1... with its own kind alone.",
)
@click.option("--reason", required=True, help="Why, for the trail.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The new file; nothing is ever written over.",
)
@click.option(
    "--tokens",
    type=EXISTING,
    help="Only the cards this file names, a token a line.",
)
@click.option(
    "--with",
    "with_file",
    type=EXISTING,
    metavar="FILE.csv",
    help="Only the cards in this file's column token, a line for each of its rows, in "
    "its order, with its other columns beside them. UTF-8 or CP932. Columns named as "
    "those of the vault are not taken from it: the vault's own are written.",
)
@click.option(
    "--columns",
    metavar="LIST",
    help=f"Which, in which order, between commas: {', '.join(OWN)} and the columns of "
    f"--with. Without it: {', '.join(DEFAULT)} and all of --with.",
)
@click.option("--no-header", is_flag=True, help="Leave the line of names out.")
@click.option(
    "--encoding",
    type=click.Choice(["utf-8", "cp932"]),
    default="utf-8",
    show_default=True,
    help="Of the text in FILE, without a BOM.",
)
@click.option(
    "--newline",
    type=click.Choice(list(NEWLINES)),
    default="crlf",
    show_default=True,
    help="What ends a line.",
)
@click.option(
    "--fixed",
    metavar="WIDTHS",
    help="Records of fixed length instead of CSV, without a heading: the bytes of each "
    "column, between commas. 16 fills with blanks after the value, >16 with blanks "
    "before it, 016 with zeros before its digits.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def export(
    context: click.Context,
    /,
    recipients: tuple[str, ...],
    reason: str,
    out: Path,
    tokens: Path | None,
    with_file: Path | None,
    as_json: bool,
    **form: Any,
) -> None:
    """Write whole card numbers into the new file FILE, encrypted with age.

    CSV: token, card_number, exp_month, exp_year, in the order of registration; or with
    --with the rows of a file of yours, each beside its card. The plain text is never on
    disk. The trail records how many, why and for whom. If it is killed, there is no
    FILE; run it again. Needs the root key.

    A token or column that is unknown, and a value that the encoding or the width can't
    hold, is named with its line before a card is opened.

    Exit code 2: nothing was written; 3: interrupted; 4: some cards could not be
    opened and were left out, all else is done.
    """
    if not reason.strip():
        raise click.UsageError("give a reason: the trail keeps it")
    if tokens and with_file:
        raise click.UsageError("give --tokens or --with: each says which cards")
    _require_file(out)
    chosen = tuple(dict.fromkeys(recipients))
    require_recipients(chosen)
    with disk_faults(with_file or out):
        sheet = Sheet(with_file) if with_file else None
    if sheet and sheet.passed_over:
        _warn_of(sheet)
    layout = _layout(sheet, **form)
    order = Order(out, chosen, reason, actor(), tokens, sheet, layout)
    vault = vault_with_root_key()
    # They are named afterwards, so that a slow terminal holds no snapshot.
    left: list[tuple[str, str]] = []
    with disk_faults(out), watching() as watch:
        result = exports.export(vault, order, watch, lambda *card: left.append(card))
    for token, problem in left:
        _name_left_out(token, problem)
    give_anchor(vault, order.by)
    _say_result(order, result, as_json)
    context.exit(EXIT_LEFT_OUT if result.left_out else 0)


def _layout(
    sheet: Sheet | None,
    columns: str | None,
    no_header: bool,
    encoding: str,
    newline: str,
    fixed: str | None,
) -> Layout:
    """The layout the options ask for; raises InputError naming the one that is wrong."""
    carried = sheet.carried if sheet else ()
    return Layout(
        read_columns(columns) if columns is not None else (*DEFAULT, *carried),
        carried,
        heading=not no_header,
        encoding=encoding,
        newline=NEWLINES[newline],
        widths=read_widths(fixed) if fixed is not None else (),
    )


def _warn_of(sheet: Sheet) -> None:
    """Say which columns of a file are not taken from it."""
    warn(
        f"{sheet.path}: {', '.join(sheet.passed_over)} not read; the vault's own "
        "are written",
        "destroy the file after the run, for it holds card numbers in the clear"
        if NUMBER in sheet.passed_over
        else "leave such columns out, or give them other names",
    )


def _require_file(out: Path) -> None:
    """Raise FileRefused unless ``out`` is free for a file."""
    if str(out) == "-" or out.is_char_device() or out.is_fifo():
        raise FileRefused(
            f"{out} is no file: card numbers never go to a terminal or a pipe",
            hint="name a new file: --out cards.age",
        )
    require_free(out)


def _name_left_out(token: str, problem: str) -> None:
    click.echo(one_line(f"{token}  {problem}, left out"), err=True)


def _say_result(order: Order, result: Exported, as_json: bool) -> None:
    size = order.path.stat().st_size
    if as_json:
        told = {
            "file": str(order.path),
            "cards": result.cards,
            "left_out": result.left_out,
            "bytes": size,
            "recipients": order.recipients,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        lines = counted(result.cards, "row" if order.sheet else "card")
        click.echo(f"exported  {order.path}   {lines}, {size:,} bytes")
        click.echo("next      give the file to its recipient; destroy it after the run")
    if result.left_out:
        left_out = counted(result.left_out, "card")
        click.echo(
            f"cardvault: warning: {left_out} could not be opened and is not in the file",
            err=True,
        )
        click.echo("cardvault: hint: look closer with: cardvault verify", err=True)
