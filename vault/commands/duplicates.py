"""``cardvault duplicates`` shows the cards that hold the same number."""

from __future__ import annotations

import json

import click

from ..card.scrub import one_line
from ..ops.duplicates import Duplicates, Search
from ..store.database import reading
from .output import counted, reader_may_leave
from .progress import watching
from .uses import note_result, record_use
from .vaults import EXAMPLE, vault_with_root_key

EXIT_FOUND, EXIT_LEFT_OUT = 1, 4


@click.command(epilog=EXAMPLE + "cardvault duplicates")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def duplicates(context: click.Context, as_json: bool) -> None:
    """Show the cards that hold the same number: token, mask and expiry.

    Every card is opened and compared in memory; no number, nor a hash of one, is
    written anywhere. Needs the root key and changes nothing; the trail records its use.

    Exit code 1: some were found; 4: none, but some cards could not be opened.
    """
    vault = vault_with_root_key()
    record_use(vault, vault.root_id, "duplicates")
    # They are named afterwards, so that a slow terminal holds no snapshot.
    left: list[tuple[str, str]] = []
    with reading(vault.engine) as db, watching() as watch:
        found = Search(vault, db, watch, lambda *card: left.append(card)).run()
    counts = {
        "numbers": len(found.groups),
        "found": sum(map(len, found.groups)),
        "left_out": found.left_out,
    }
    note_result(vault, "duplicates", well=not (found.groups or left), counts=counts)
    for token, problem in left:
        _name_left_out(token, problem)
    with reader_may_leave():
        if as_json:
            click.echo(json.dumps(_as_object(found)))
        else:
            _show(found)
    if found.left_out:
        left_out = counted(found.left_out, "card")
        click.echo(f"cardvault: warning: {left_out} could not be opened", err=True)
        click.echo("cardvault: hint: look closer with: cardvault verify", err=True)
    context.exit(EXIT_FOUND if found.groups else EXIT_LEFT_OUT if found.left_out else 0)


def _name_left_out(token: str, problem: str) -> None:
    click.echo(one_line(f"{token}  {problem}, left out"), err=True)


def _as_object(found: Duplicates) -> dict[str, object]:
    groups = [
        [
            {"token": card.token, "card": card.masked, "expiry": str(card.expiry)}
            for card in group
        ]
        for group in found.groups
    ]
    return {"groups": groups, "left_out": found.left_out}


def _show(found: Duplicates) -> None:
    for group in found.groups:
        for card in group:
            click.echo(f"{card.token}  {card.masked}  {card.expiry}")
        click.echo()
    if not found.groups:
        click.echo("no number is stored twice")
        return
    cards = sum(map(len, found.groups))
    numbers = counted(len(found.groups), "number")
    click.echo(f"{numbers} on {counted(cards, 'card')}", err=True)
    click.echo("whose they are: flask --app wsgi cards list", err=True)
