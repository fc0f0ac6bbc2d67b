"""Prints the plan, the progress and the result of ``cardvault rotate``."""

from __future__ import annotations

import json
from typing import Any

import click
from sqlalchemy import Row

from ..clock import japan_stamp
from ..ops.census import take_census
from ..ops.open_vault import OpenVault
from ..ops.rotation.helper import Helper
from ..ops.rotation.rotation import Rotation
from ..ops.rotation.start import unfinished
from ..ops.rotation.status import RotationStatus, rotation_status
from ..store.database import reading
from .output import counted

EXIT_INTERRUPTED, EXIT_QUARANTINED, EXIT_NOTHING_MATCHED = 3, 4, 7


def print_plan(vault: OpenVault, as_json: bool) -> None:
    """Print what a rotation would do, after opening every data key."""
    with reading(vault.engine) as db:
        census = take_census(vault, db)
        row = unfinished(vault, db)
        begun = rotation_status(vault, db, row) if row is not None else None
        for key in census.keys:
            if key.cards and key.state != "damaged":
                vault.cipher(db, key.id)
    to_do = census.cards if begun is None else census.older_cards
    generation = census.generation + (1 if begun is None else 0)
    plan = {
        "dry_run": True,
        "resumes": begun.id if begun is not None else None,
        "generation": generation,
        "cards": to_do,
        "census": {str(number): n for number, n in census.generations.items()},
        "warnings": census.warnings(),
    }
    if as_json:
        click.echo(json.dumps(plan))
        return
    click.echo(f"would re-encrypt {counted(to_do, 'card')} to generation {generation}")
    if row is not None and begun is not None:
        click.echo(f"would go on with rotation {row.id}, {_where(row, begun)}")
    for line in census.warnings():
        click.echo(f"warning  {line}")
    click.echo("every data key opens; nothing was changed")


def _where(row: Row[Any], begun: RotationStatus) -> str:
    if not begun.ranges:
        return f"at card {row.card_cursor}"
    return f"{begun.ranges_done} of {counted(begun.ranges, 'range')} done"


def as_object(rotation: Rotation) -> dict[str, object]:
    """A rotation as ``--json`` prints it."""
    row = rotation.facts
    hidden = (
        "mac",
        "ops_mac",
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


def print_resumed(rotation: Rotation) -> None:
    """Print who began the rotation that goes on, and when."""
    row = rotation.row
    begun = japan_stamp(row["started_at"])
    reason = f", for: {row['reason']}" if row["reason"] else ""
    click.echo(
        f"going on with rotation {rotation.id}, begun by {row['actor']} "
        f"at {begun}{reason}",
        err=True,
    )


def print_interrupted(rotation: Rotation, as_json: bool) -> int:
    """Print how far the rotation came and how to go on; returns the exit code."""
    if as_json:
        click.echo(json.dumps(as_object(rotation)))
    _print_stopped(rotation.facts["reencrypted"], "rotate")
    return EXIT_INTERRUPTED


def _print_stopped(done: int, verb: str) -> None:
    click.echo(
        f"cardvault: stopped: {counted(done, 'card')} re-encrypted so far", err=True
    )
    click.echo(f"cardvault: hint: go on with: cardvault {verb}", err=True)


def print_helped(helper: Helper, whole: bool, as_json: bool) -> int:
    """Print what this command did as a helper; returns the exit code."""
    number, done = helper.row["id"], helper.counts
    if as_json:
        facts = {"joined": number, "generation": helper.row["generation"], **done}
        click.echo(json.dumps(facts))
    if not whole:
        _print_stopped(done["reencrypted"], "rotate --join")
        return EXIT_INTERRUPTED
    if not as_json:
        click.echo(
            f"helped rotation {number}: {counted(done['reencrypted'], 'card')} "
            f"re-encrypted in {counted(done['ranges'], 'range')}, "
            f"{done['newer']:,} newer, {done['quarantined']:,} unreadable; "
            "no more ranges to take"
        )
    if not helper.is_held:
        _warn(f"no process is left to finish rotation {number}", "rotate")
    return 0


def print_result(rotation: Rotation, as_json: bool) -> int:
    """Print the result of the rotation; returns the exit code."""
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
    if rotation.trail_fault is not None:
        _warn(
            f"the trail is broken, and no key is destroyed: {rotation.trail_fault}",
            "audit verify",
        )
        return EXIT_QUARANTINED
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
