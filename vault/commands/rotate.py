"""cardvault rotate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import click

from ..census import take_census
from ..database import reading
from ..open_vault import OpenVault
from ..rotation import Rotation, Step, take_up, unfinished
from .place import EXAMPLE, actor, open_vault
from .progress import Stop, follow, progress
from .words import counted

BATCH = 2000
MAX_BATCH = 5000
EXIT_INTERRUPTED, EXIT_QUARANTINED, EXIT_NOTHING_MATCHED = 3, 4, 7


@click.command(
    epilog=EXAMPLE
    + 'VAULT_ROOT_KEY=/media/usb/root.key cardvault rotate --reason "yearly"'
)
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@click.option(
    "--max-rate", type=click.IntRange(1), help="At most so many cards a second."
)
@click.option(
    "--batch",
    type=click.IntRange(1, MAX_BATCH),
    default=BATCH,
    show_default=True,
    help="Cards a transaction.",
)
@click.option("--reason", default="", help="Why, for the rotation record.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def rotate(
    context: click.Context,
    dry_run: bool,
    max_rate: int | None,
    batch: int,
    reason: str,
    as_json: bool,
) -> None:
    """Re-encrypt every card under a new data key, while the site is in use.

    Raises the generation, re-encrypts batch by batch, reads every card back and
    then destroys the older data keys. Killed or stopped at any instant, the same
    command goes on where it stood. Needs the root key.

    Exit code 3: interrupted; 4: some cards could not be opened; 6: another
    rotation runs; 7: finished, but older cards are left.
    """
    if dry_run:
        _plan(open_vault(read_only=True), as_json)
        return
    vault = open_vault()
    rotation = take_up(vault, actor(), reason)
    size = min(batch, max_rate or batch)
    with Stop() as stop, progress() as shown:
        phases = _throttled(rotation.reencrypt(size), max_rate, stop)
        if not (
            follow(phases, shown, stop) and follow(rotation.read_back(), shown, stop)
        ):
            rotation.release()
            _say_interrupted(rotation, as_json)
            context.exit(EXIT_INTERRUPTED)
        rotation.finish(actor())
    context.exit(_say_result(rotation, as_json))


def _throttled(
    steps: Iterator[Step], max_rate: int | None, stop: Stop
) -> Iterator[Step]:
    """The same steps, no faster than ``max_rate`` cards a second."""
    began, first = time.monotonic(), None
    for step in steps:
        first = step.done if first is None else first
        due = began + (step.done - first) / max_rate if max_rate else 0
        while not stop.asked and (wait := due - time.monotonic()) > 0:
            time.sleep(min(wait, 0.1))
        yield step


def _plan(vault: OpenVault, as_json: bool) -> None:
    with reading(vault.engine) as db:
        census = take_census(vault, db)
        row = unfinished(vault, db)
        for key in census.keys:
            if key.cards and key.state != "damaged":
                vault.cipher(db, key.id)
    begun = row is not None
    to_do = census.older_cards if begun else census.cards
    generation = census.generation if begun else census.generation + 1
    plan = {
        "dry_run": True,
        "resumes": row.id if row is not None else None,
        "generation": generation,
        "cards": to_do,
        "census": {str(number): n for number, n in census.generations.items()},
        "warnings": census.warnings(),
    }
    if as_json:
        click.echo(json.dumps(plan))
        return
    click.echo(f"would re-encrypt {counted(to_do, 'card')} to generation {generation}")
    if row is not None:
        click.echo(f"would go on with rotation {row.id}, at card {row.card_cursor}")
    for line in census.warnings():
        click.echo(f"warning  {line}")
    click.echo("every data key opens; nothing was changed")


def as_object(rotation: Rotation) -> dict[str, object]:
    """A rotation as ``--json`` prints it."""
    row = rotation.row
    hidden = (
        "mac",
        "lease",
        "lease_at",
        "card_cursor",
        "census_before",
        "census_after",
    )
    return {
        **{name: value for name, value in row.items() if name not in hidden},
        "census_before": json.loads(row["census_before"]),
        "census_after": json.loads(row["census_after"] or "null"),
        "left": rotation.left,
    }


def _say_interrupted(rotation: Rotation, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(as_object(rotation)))
    done = rotation.row["reencrypted"]
    click.echo(
        f"cardvault: stopped: {counted(done, 'card')} re-encrypted so far", err=True
    )
    click.echo("cardvault: hint: go on with: cardvault rotate", err=True)


def _say_result(rotation: Rotation, as_json: bool) -> int:
    result, row = as_object(rotation), rotation.row
    bad, left = row["quarantined"], rotation.left
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(
            f"rotation {rotation.id}: {counted(row['reencrypted'], 'card')} re-encrypted to "
            f"generation {row['generation']}, {row['newer']:,} newer, "
            f"{row['read_back']:,} read back, {counted(row['keys_destroyed'], 'key')} destroyed"
        )
    if bad:
        _warn(
            f"{counted(bad, 'card')} could not be opened, and no key is destroyed",
            "quarantine list",
        )
        return EXIT_QUARANTINED
    if left:
        _warn(f"{counted(left, 'card')} of an older generation left", "rotate")
        return EXIT_NOTHING_MATCHED
    if not as_json:
        click.echo(f"next       cardvault report rotation {rotation.id}")
    return 0


def _warn(what: str, verb: str) -> None:
    click.echo(f"cardvault: warning: {what}", err=True)
    click.echo(f"cardvault: hint: cardvault {verb}", err=True)
