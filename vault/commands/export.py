"""``cardvault export`` writes whole card numbers into an encrypted file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..card.scrub import one_line
from ..errors import FileRefused
from ..ops import export as exports
from ..ops.age_file import require_recipients
from ..ops.export import Exported, Order
from ..store.files import disk_faults, require_free
from .anchors import give_anchor
from .output import counted
from .progress import watching
from .vaults import EXAMPLE, actor, vault_with_root_key

EXIT_LEFT_OUT = 4


@click.command(
    epilog=EXAMPLE
    + 'cardvault export --recipient age1... --reason "billing, November" --out cards.age'
)
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
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only the cards this file names, a token a line.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def export(
    context: click.Context,
    recipients: tuple[str, ...],
    reason: str,
    out: Path,
    tokens: Path | None,
    as_json: bool,
) -> None:
    """Write whole card numbers into the new file FILE, encrypted with age.

    CSV: token, card_number, exp_month, exp_year, in the order of registration; join
    it by token with flask --app wsgi cards list --csv. The plain text is never on
    disk. The trail records how many, why and for whom. If it is killed, there is no
    FILE; run it again. Needs the root key.

    Exit code 2: nothing was written; 3: interrupted; 4: some cards could not be
    opened and were left out, all else is done.
    """
    if not reason.strip():
        raise click.UsageError("give a reason: the trail keeps it")
    _require_file(out)
    order = Order(out, tuple(dict.fromkeys(recipients)), reason, actor(), tokens)
    require_recipients(order.recipients)
    vault = vault_with_root_key()
    with disk_faults(out), watching() as watch:
        result = exports.export(vault, order, watch, _name_left_out)
    give_anchor(vault, order.by)
    _say_result(order, result, as_json)
    context.exit(EXIT_LEFT_OUT if result.left_out else 0)


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
        click.echo(
            f"exported  {order.path}   {counted(result.cards, 'card')}, {size:,} bytes"
        )
        click.echo("next      give the file to its recipient; destroy it after the run")
    if result.left_out:
        left_out = counted(result.left_out, "card")
        click.echo(
            f"cardvault: warning: {left_out} could not be opened and is not in the file",
            err=True,
        )
        click.echo("cardvault: hint: look closer with: cardvault verify", err=True)
