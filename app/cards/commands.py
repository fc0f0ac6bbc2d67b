"""``flask --app wsgi cards`` imports, updates, lists and reconciles customers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from app import current
from app.cli import EXIT_FOUND, SiteGroup, account, example, fail, harmless, say
from app.db import work
from app.spreadsheet import BYTE_ORDER_MARK
from vault.store.sqlite import checkpoint

from . import reconcile, unsaved
from .importing.command import import_file
from .reconcile import Orphan
from .search import export, index_check, listing
from .updating.command import update_file

OLDER = (
    "put the site's newer database back: their customers are in it "
    '(docs/operations.md, "An older backup")'
)

cards = SiteGroup("cards", help="Customers in bulk: import, update, list, reconcile.")
cards.add_command(import_file)
cards.add_command(update_file)


@cards.command("reconcile", epilog=example("cards reconcile --apply"))
@click.option("--apply", "applied", is_flag=True, help="Remove what can be removed.")
@click.option(
    "--remove",
    "number",
    type=click.IntRange(min=1),
    help="With --apply: how many cards it removes, when that is more than 20.",
)
@click.pass_context
def reconcile_command(
    context: click.Context, applied: bool, number: int | None
) -> None:
    """Compare customers with cards and repair what a crash left.

    Cards that no customer refers to are named. With --apply they are removed once they
    are an hour old: up to 20, and more only with --remove N, their exact number. If it
    looks as if an older database of the site was put back, nothing is removed.
    Customers with another expiry than their card's are named, and with --apply given
    the card's. Changes that the trail has and a crash kept from being saved are named,
    and with --apply recorded as failed. Customers whose card is missing are named.
    Customers whom the search would find by other words than theirs are named, and with
    --apply its index is made of their row anew.

    Exit code 1: something was found; 2: --apply was refused, nothing was changed.
    """
    vault, now = current.vault(), current.now()
    alone = reconcile.orphans(work(), vault, now)
    due = [orphan for orphan in alone if not orphan.young]
    lost = unsaved.changes(work(), vault)
    times = [one.made_at for one in alone] + [one.entry.at for one in lost]
    older = reconcile.looks_older(work(), times)
    left = [orphan for orphan in alone if orphan.young] if applied else alone
    if applied:
        _require_few(alone, due, older and bool(due or lost), number)
    _show(orphan.line() for orphan in left)
    if applied:
        _show(reconcile.remove(work(), vault, due, account()))
        _show(unsaved.record_changes(work(), lost, account()))
    else:
        _show(unsaved.lines(work(), lost))
    other_expiries = _show(
        reconcile.other_expiries(work(), vault, now, account(), applied)
    )
    missing = _show(reconcile.without_card(work(), vault))
    misfound = _show(index_check.found_otherwise(work(), account(), applied))
    misfound |= _show(index_check.of_nobody(work(), applied))
    if applied:
        checkpoint(vault.engine)
        index_check.forget_deleted(current.site_engine())
    elif older:
        say(f"next       {OLDER}")
    elif due or lost or other_expiries or misfound:
        more = f" --remove {len(due)}" if len(due) > reconcile.FEW else ""
        say(f"next       flask --app wsgi cards reconcile --apply{more}")
    found = bool(alone or lost) or other_expiries or missing or misfound
    if not found:
        say("every card has its customer, every customer a card")
    context.exit(EXIT_FOUND if found else 0)


@cards.command("list", epilog=example("cards list --csv > cards.csv"))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, to be joined by token.")
@click.option("--no-bom", is_flag=True, help="With --csv: for a program.")
def list_cards(as_csv: bool, no_bom: bool) -> None:
    """Show every customer with the masked card and its token.

    CSV is UTF-8 with a byte order mark, as Excel reads it, and marks as text what a
    spreadsheet would change: an expiry is ="01", a telephone number without hyphens
    ="09000000000". With --no-bom there is no byte order mark and no such mark.
    """
    if no_bom and not as_csv:
        fail("--no-bom goes with --csv", "cards list --csv --no-bom")
    bare = export.token_csv_for_programs if no_bom else export.token_csv
    lines = bare if as_csv else export.token_lines
    count = listing.count_everyone(work().site)
    # Record it before the first line, because a listing that is cut off has shown some.
    detail = {"lines": str(count + as_csv)}
    work().record("customers.listed", account(), detail=detail)
    work().commit()
    # CSV is UTF-8 whatever the terminal's encoding is.
    if as_csv and not no_bom:
        click.echo(BYTE_ORDER_MARK.encode(), nl=False)
    for line in lines(listing.everyone_in_turn(current.site_engine(), count)):
        click.echo(harmless(line).encode() if as_csv else harmless(line), nl=False)


def _show(lines: Iterable[str]) -> bool:
    """Print lines; returns whether there were any."""
    any_line = False
    for line in lines:
        any_line = True
        say(harmless(line))
    return any_line


def _require_few(
    alone: Sequence[Orphan], due: Sequence[Orphan], older: bool, number: int | None
) -> None:
    """End the command, with every card named and nothing changed, unless the cards
    ``due`` are as few as a crash may leave, or as many as --remove says."""
    if number is not None and number != len(due):
        what = f"{len(due):,} cards could be removed, not {number:,}"
        hint = "look at them first: flask --app wsgi cards reconcile"
    elif older:
        what = "the site's database looks older than the vault's"
        hint = OLDER
    elif number is None and len(due) > reconcile.FEW:
        what = f"{len(due):,} cards are more than a crash leaves"
        hint = f"if all are to go: cards reconcile --apply --remove {len(due)}"
    else:
        return
    _show(orphan.line() for orphan in alone)
    fail(f"{what}; nothing was removed", hint)
