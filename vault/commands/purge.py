"""``cardvault purge`` deletes the cards that expired long enough ago."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from sqlalchemy import Engine, Row

from ..card.scrub import one_line
from ..ops.purge import Purge, doubt_about_clock
from ..store.sqlite import checkpoint
from ..web.vault import card_of
from .anchors import give_anchor
from .leavings import clear_tables
from .output import counted, reader_may_leave
from .progress import Stop, follow, progress
from .vaults import (
    EXAMPLE,
    HintedUsage,
    actor,
    vault_with_root_key_if_there,
    vault_without_root_key,
)

MAX_DAYS, MAX_AHEAD = 36_500, 366
EXIT_FOUND, EXIT_INTERRUPTED = 1, 3
# A reader (a backup, a long page) keeps the write-ahead log from being emptied.
CHECKPOINT_SECONDS = 5.0


@click.command(
    epilog=EXAMPLE
    + "cardvault purge --expired-for 90 --dry-run\n"
    + "  cardvault purge --expired-for 90 --dry-run --ahead 7\n"
    + "  cardvault purge --expired-for 90"
)
@click.option(
    "--expired-for",
    "days",
    type=click.IntRange(0, MAX_DAYS),
    required=True,
    metavar="DAYS",
    help="Cards whose month ended more than so many days ago, in Japan time.",
)
@click.option("--dry-run", is_flag=True, help="List them; change nothing.")
@click.option(
    "--ahead",
    type=click.IntRange(0, MAX_AHEAD),
    default=0,
    metavar="DAYS",
    help="With --dry-run: list what it would be in so many days.",
)
@click.option(
    "--clock-is-right",
    "vouched",
    is_flag=True,
    help="Go on although the clock is far ahead of the trail; the trail gets this.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def purge(
    context: click.Context,
    days: int,
    dry_run: bool,
    ahead: int,
    vouched: bool,
    as_json: bool,
) -> None:
    """Delete the cards that expired long enough ago, for good.

    A card is good until its month ends in Japan. The customers stay: the site says
    that the number is gone and asks for a new one. If it is stopped or killed, the same
    command goes on.

    Needs no root key. With it the marks of purged cards are signed by the root; without
    it whoever has the web key could have made them.

    A clock that is more than a day ahead of the trail's newest entry is refused, since a
    wrong year would delete cards that are good; so is one where nothing but the last
    day's entries is younger than 31 days. --dry-run says it too, with exit code 1.

    Exit code 1: cards that are not as they were written were not deleted, all others
    were; 2: the clock is in doubt, nothing was deleted; 3: interrupted.
    """
    if dry_run:
        vault = vault_without_root_key(read_only=True)
        doubt = "" if vouched else doubt_about_clock(vault)
        run = Purge(vault, days, ahead=ahead)
        with reader_may_leave():
            (_list_as_json if as_json else _list)(run, days, ahead, doubt)
        if doubt:
            _warn(doubt, _next_step(days))
        context.exit(EXIT_FOUND if run.damaged or doubt else 0)
    if ahead:
        raise click.UsageError("--ahead looks; give it with --dry-run")
    if not vouched:
        # The root key comes later: its use may be an entry, at the clock's own time.
        _require_clock(days)
    vault = vault_with_root_key_if_there()
    run = Purge(vault, days, vouched=vouched)
    with Stop() as stop, progress() as shown:
        finished = follow(run.run(actor()), shown, stop)
    emptied = _empty_log(vault.engine)
    give_anchor(vault, actor())
    clear_tables(vault.engine)
    _say_result(run, finished, emptied, as_json)
    if not finished:
        context.exit(EXIT_INTERRUPTED)
    context.exit(EXIT_FOUND if run.damaged or not emptied else 0)


def _require_clock(days: int) -> None:
    """Raise HintedUsage when the clock is in doubt."""
    vault = vault_without_root_key(read_only=True)
    doubt = doubt_about_clock(vault)
    vault.engine.dispose()
    if doubt:
        raise HintedUsage(f"{doubt}; nothing was deleted", hint=_next_step(days))


def _next_step(days: int) -> str:
    return (
        "set the clock; if it is right: "
        f"cardvault purge --expired-for {days} --clock-is-right"
    )


def _list(run: Purge, days: int, ahead: int, doubt: str) -> None:
    count = 0
    for row in run.due():
        click.echo("  ".join(_shown(row).values()))
        count += 1
    _name_damaged(run)
    when = f" in {counted(ahead, 'day')}" if ahead else ""
    would = f"would purge {counted(count, 'card')}{when}"
    click.echo(f"{would}; nothing was changed", err=True)
    if count and not ahead and not doubt:
        click.echo(f"next  cardvault purge --expired-for {days}", err=True)


def _list_as_json(run: Purge, days: int, ahead: int, doubt: str) -> None:
    """Print one object, a card at a time, because there may be a million."""
    count = 0
    asked = {"dry_run": True, "expired_for": days, "ahead": ahead, "clock": doubt}
    click.echo(json.dumps(asked).removesuffix("}") + ', "would_purge": [', nl=False)
    for count, row in enumerate(run.due(), 1):
        comma = ", " if count > 1 else ""
        click.echo(comma + json.dumps(_shown(row)), nl=False)
    click.echo(f'], "cards": {count}, "damaged": {json.dumps(run.damaged)}}}')


def _shown(row: Row[Any]) -> dict[str, str]:
    card = card_of(row)
    return {"token": card.token, "card": card.masked, "expiry": str(card.expiry)}


def _empty_log(engine: Engine) -> bool:
    """Remove what was deleted from the files (PCI DSS 3.2.1); False when readers or a
    full disk were in the way all the time."""
    give_up = time.monotonic() + CHECKPOINT_SECONDS
    while not checkpoint(engine):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def _say_result(run: Purge, finished: bool, emptied: bool, as_json: bool) -> None:
    if as_json:
        told = {
            "finished": finished,
            "cards": run.purged,
            "damaged": run.damaged,
            "gone_from_files": emptied,
        }
        click.echo(json.dumps(told))
    else:
        click.echo(f"purged {counted(run.purged, 'card')}")
    _name_damaged(run)
    if not finished:
        _warn("stopped", "go on with the same command")
    if not emptied:
        _warn(
            "what was deleted is still in the database's log: a reader or a full disk "
            "was in the way",
            "run the same command again when the backup or the report is done",
        )


def _name_damaged(run: Purge) -> None:
    for token in map(one_line, run.damaged):
        click.echo(f"{token}  is not as it was written (MAC), left alone", err=True)
    if run.damaged:
        click.echo(
            "cardvault: hint: look closer with: cardvault verify; then delete the "
            "card on the site or put the row back from a backup",
            err=True,
        )


def _warn(what: str, hint: str) -> None:
    click.echo(f"cardvault: warning: {what}", err=True)
    click.echo(f"cardvault: hint: {hint}", err=True)
