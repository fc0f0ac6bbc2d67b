"""``cardvault status`` shows cards, keys, ages and the next step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..card.scrub import one_line
from ..clock import DAY_SECONDS, age
from ..ops.anchor import Given, newest_given
from ..ops.census import Census, KeyCount, take_census
from ..ops.checks import Done, LastDay, last_day, newest_backup, newest_checks
from ..ops.rotation.status import RotationStatus, running_rotation
from ..store.database import reading
from ..web.vault import Vault
from . import openmetrics
from .half_done import HalfDone, half_done
from .output import counted
from .vaults import EXAMPLE, read_settings, vault_without_root_key

SHOWN_KEYS = 12


@click.command(epilog=EXAMPLE + "cardvault status --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--openmetrics",
    "as_openmetrics",
    is_flag=True,
    help="Print OpenMetrics text, for Prometheus.",
)
def status(as_json: bool, as_openmetrics: bool) -> None:
    """Show cards, keys, ages and the next step. Needs no root key."""
    if as_json and as_openmetrics:
        raise click.UsageError("--json and --openmetrics are two formats; give one")
    vault = vault_without_root_key()
    now, found = vault.clock(), look(vault)
    if as_openmetrics:
        click.echo(as_metrics(found, now), nl=False)
    elif as_json:
        click.echo(json.dumps(as_object(found)))
    else:
        show(found, now)


@dataclass(frozen=True)
class Status:
    """What the command shows: the census, the unfinished rotation, the newest anchor
    sent away, what is half done, each check's last result, when a backup was last begun
    and the last day's counts."""

    census: Census
    rotation: RotationStatus | None
    given: Given
    half_done: list[HalfDone]
    checks: dict[str, Done]
    backup: int | None
    last_day: LastDay

    @property
    def next_step(self) -> str:
        """The command to type next."""
        if self.half_done:
            return self.half_done[0].next
        if self.rotation is not None:
            return "cardvault rotate"
        if self.census.quarantined:
            return "cardvault quarantine list"
        if self.census.older_cards or self.census.old_keys():
            return "cardvault rotate"
        return "cardvault verify"


def look(vault: Vault) -> Status:
    """What the vault's database and files say now."""
    now = vault.clock()
    with reading(vault.engine) as db:
        census, rotation = take_census(vault, db), running_rotation(vault, db)
        given, checks = newest_given(db), newest_checks(db)
        backup, day = newest_backup(db, now), last_day(db, now)
    halves = half_done(read_settings(), vault, census)
    return Status(census, rotation, given, halves, checks, backup, day)


def as_object(found: Status) -> dict[str, object]:
    """What ``--json`` prints."""
    census = found.census
    return {
        "vault": census.vault_id,
        "root": census.root_id,
        "next_root": census.next_root_id,
        "generation": census.generation,
        "cards": census.cards,
        "census": {str(number): n for number, n in census.generations.items()},
        "data_keys": [vars(key) for key in census.keys],
        "rotation": vars(found.rotation) if found.rotation else None,
        "quarantined": census.quarantined,
        "audit_seq": census.audit_seq,
        "anchor": vars(found.given),
        "half_done": [vars(one) for one in found.half_done],
        "checks": {name: vars(done) for name, done in found.checks.items()},
        "backup": found.backup,
        "last_day": vars(found.last_day),
        "warnings": census.warnings(),
        "next": found.next_step,
    }


def as_metrics(found: Status, now: int) -> str:
    """What ``--openmetrics`` prints; ``now`` is seconds since 1970 UTC."""
    families = chain(
        openmetrics.of_cards(found.census, now),
        openmetrics.of_rotation(found.rotation),
        openmetrics.of_trail(found.census.audit_seq, found.given, found.last_day),
        openmetrics.of_checks(found.checks, found.backup),
        openmetrics.of_itself(len(found.census.warnings()), len(found.half_done), now),
    )
    return openmetrics.as_text(families)


def show(found: Status, now: int) -> None:
    """Print the same as text; ``now`` is seconds since 1970 UTC."""
    census = found.census
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"vault       {census.vault_id}")
    console.print(f"root        {census.root_id}")
    console.print(f"generation  {census.generation}")
    console.print(f"cards       {census.cards:,}")
    for number, count in sorted(census.generations.items()):
        console.print(f"            {count:,} of generation {number}")
    if found.rotation is not None:
        _show_rotation(console, found.rotation)
    if census.quarantined:
        console.print(f"quarantine  {census.quarantined:,} cards can't be opened")
    console.print(f"trail       {counted(census.audit_seq, 'entry')}")
    console.print(f"anchor      {_anchor_line(found.given, now)}")
    if found.backup is not None:
        console.print(f"backup      begun {age(found.backup, now)}")
    for name, done in found.checks.items():
        came_to = "" if done.well else "; it found something"
        console.print(f"done        {name}, {age(done.at, now)}{came_to}")
    in_use = [key for key in census.keys if key.state != "destroyed"]
    if in_use:
        console.print(_key_table(in_use))
    for one in found.half_done:
        console.print(f"half done   {escape(one_line(one.what))}")
    for line in census.warnings():
        console.print(f"warning     {escape(one_line(line))}")
    console.print(f"next        {found.next_step}")


def _anchor_line(given: Given, now: int) -> str:
    if given.at is None:
        line = "none was ever given away"
    else:
        line = f"given away {age(given.at, now)}"
    return f"{line}; the last one could not be" if given.failed_since else line


def _show_rotation(console: Console, rotation: RotationStatus) -> None:
    # The lease holds a name that any process may have written, and it is unchecked.
    done, by = rotation.reencrypted, escape(one_line(rotation.lease))
    console.print(
        f"rotation    {rotation.id} is unfinished: {done:,} cards "
        f"re-encrypted, {'held by ' + by if by else 'not running'}"
    )
    if rotation.ranges:
        at_work = escape(one_line(", ".join(rotation.workers))) or "nobody"
        console.print(
            f"            {rotation.ranges_done} of "
            f"{counted(rotation.ranges, 'range')} done, at work: {at_work}"
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
