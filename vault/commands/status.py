"""cardvault status."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from ..census import Census, take_census
from ..database import reading
from .place import EXAMPLE, closed_vault

SHOWN_KEYS = 12


@click.command(epilog=EXAMPLE + "cardvault status --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show cards, keys, ages and the next step. Needs no root key."""
    vault = closed_vault()
    with reading(vault.engine) as db:
        census = take_census(vault, db)
    if as_json:
        click.echo(json.dumps(as_object(census)))
    else:
        show(census)


def next_step(census: Census) -> str:
    """The command to type next, as it would be typed."""
    if census.cards == 0 and not census.keys:
        return "flask --app wsgi operators add LOGIN_ID --name NAME --email ADDRESS"
    return "cardvault verify"


def as_object(census: Census) -> dict[str, object]:
    """The census as ``--json`` prints it."""
    return {
        "vault": census.vault_id,
        "root": census.root_id,
        "generation": census.generation,
        "cards": census.cards,
        "census": {str(number): n for number, n in census.generations.items()},
        "data_keys": [vars(key) for key in census.keys],
        "audit_seq": census.audit_seq,
        "warnings": census.warnings(),
        "next": next_step(census),
    }


def show(census: Census) -> None:
    """The census as a person reads it."""
    console = Console(highlight=False)
    console.print(f"vault       {census.vault_id}")
    console.print(f"root        {census.root_id}")
    console.print(f"generation  {census.generation}")
    console.print(f"cards       {census.cards:,}")
    for number, count in sorted(census.generations.items()):
        console.print(f"            {count:,} of generation {number}")
    console.print(f"trail       {census.audit_seq:,} entries")
    in_use = [key for key in census.keys if key.state != "destroyed"]
    if in_use:
        console.print(_key_table(census))
    for line in census.warnings():
        console.print(f"warning     {line}")
    console.print(f"next        {next_step(census)}", soft_wrap=True)


def _key_table(census: Census) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for heading in ("data key", "generation", "state", "cards", "seals", "age (days)"):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    in_use = [key for key in census.keys if key.state != "destroyed"]
    for key in in_use[-SHOWN_KEYS:]:
        table.add_row(
            str(key.id),
            str(key.generation),
            key.state,
            f"{key.cards:,}",
            f"{key.seals:,}",
            str(key.age // 86400),
        )
    if len(in_use) > SHOWN_KEYS:
        table.caption = f"and {len(in_use) - SHOWN_KEYS} older ones (--json has all)"
    return table
