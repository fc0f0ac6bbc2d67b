"""``cardvault status`` shows cards, keys, ages and the next step."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..card.scrub import one_line
from ..clock import DAY_SECONDS
from ..ops.anchor import Given, newest_given
from ..ops.census import Census, KeyCount, take_census
from ..store.database import reading
from .anchors import age
from .half_done import HalfDone, half_done
from .output import counted
from .vaults import EXAMPLE, settings, vault_without_root_key

SHOWN_KEYS = 12


@click.command(epilog=EXAMPLE + "cardvault status --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show cards, keys, ages and the next step. Needs no root key."""
    vault = vault_without_root_key()
    with reading(vault.engine) as db:
        census, given = take_census(vault, db), newest_given(db)
    left = half_done(settings(), vault, census)
    if as_json:
        click.echo(json.dumps(as_object(census, given, left)))
    else:
        show(census, given, left, vault.clock())


def next_step(census: Census, left: list[HalfDone]) -> str:
    """The command to type next."""
    if left:
        return left[0].next
    if census.rotation is not None:
        return "cardvault rotate"
    if census.quarantined:
        return "cardvault quarantine list"
    if census.older_cards or census.old_keys():
        return "cardvault rotate"
    return "cardvault verify"


def as_object(census: Census, given: Given, left: list[HalfDone]) -> dict[str, object]:
    """What ``--json`` prints: the census, the newest anchor sent away and what is half
    done."""
    return {
        "vault": census.vault_id,
        "root": census.root_id,
        "next_root": census.next_root_id,
        "generation": census.generation,
        "cards": census.cards,
        "census": {str(number): n for number, n in census.generations.items()},
        "data_keys": [vars(key) for key in census.keys],
        "rotation": census.rotation,
        "quarantined": census.quarantined,
        "audit_seq": census.audit_seq,
        "anchor": vars(given),
        "half_done": [vars(one) for one in left],
        "warnings": census.warnings(),
        "next": next_step(census, left),
    }


def show(census: Census, given: Given, left: list[HalfDone], now: int) -> None:
    """Print the same as text; ``now`` is seconds since 1970 UTC."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"vault       {census.vault_id}")
    console.print(f"root        {census.root_id}")
    console.print(f"generation  {census.generation}")
    console.print(f"cards       {census.cards:,}")
    for number, count in sorted(census.generations.items()):
        console.print(f"            {count:,} of generation {number}")
    if census.rotation is not None:
        _show_rotation(console, census.rotation)
    if census.quarantined:
        console.print(f"quarantine  {census.quarantined:,} cards can't be opened")
    console.print(f"trail       {counted(census.audit_seq, 'entry')}")
    console.print(f"anchor      {_anchor_line(given, now)}")
    in_use = [key for key in census.keys if key.state != "destroyed"]
    if in_use:
        console.print(_key_table(in_use))
    for one in left:
        console.print(f"half done   {escape(one_line(one.what))}")
    for line in census.warnings():
        console.print(f"warning     {escape(one_line(line))}")
    console.print(f"next        {next_step(census, left)}")


def _anchor_line(given: Given, now: int) -> str:
    if given.at is None:
        told = "none was ever given away"
    else:
        told = f"given away {age(given.at, now)}"
    return f"{told}; the last one could not be" if given.failed_since else told


def _show_rotation(console: Console, rotation: dict[str, Any]) -> None:
    # The lease holds a name that any process may have written, and it is unchecked.
    done, by = rotation["reencrypted"], escape(one_line(rotation["lease"]))
    console.print(
        f"rotation    {rotation['id']} is unfinished: {done:,} cards "
        f"re-encrypted, {'held by ' + by if by else 'not running'}"
    )
    if rotation["ranges"]:
        at_work = escape(one_line(", ".join(rotation["workers"]))) or "nobody"
        console.print(
            f"            {rotation['ranges_done']} of "
            f"{counted(rotation['ranges'], 'range')} done, at work: {at_work}"
        )


def _key_table(in_use: list[KeyCount]) -> Table:
    table = Table(box=None, pad_edge=False, title_justify="left")
    for heading in ("data key", "generation", "state", "cards", "seals", "age (days)"):
        table.add_column(heading, justify="left" if heading == "state" else "right")
    for key in in_use[-SHOWN_KEYS:]:
        table.add_row(
            str(key.id),
            str(key.generation),
            key.state,
            f"{key.cards:,}",
            f"{key.seals:,}",
            str(key.age // DAY_SECONDS),
        )
    if len(in_use) > SHOWN_KEYS:
        table.caption = f"and {len(in_use) - SHOWN_KEYS} older ones (--json has all)"
    return table
