"""``flask --app wsgi cards`` imports, lists and reconciles customers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from app import current
from app.cli import (
    EXIT_FOUND,
    EXIT_INTERRUPTED,
    SiteGroup,
    account,
    example,
    fail,
    harmless,
)
from app.db import work
from vault.store.database import checkpoint

from . import export, importing, reconcile, search
from .import_file import Sheet, SheetError
from .import_results import Results, first_token
from .importing import Checked, Overtaken
from .reconcile import Orphan

OLDER = (
    "put the site's newer database back: their customers are in it "
    '(docs/operations.md, "An older backup")'
)

cards = SiteGroup("cards", help="Customers in bulk: import, list, reconcile.")


@cards.command(
    "import", epilog=example("cards import customers.csv --results results.csv")
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check every row; write nothing.")
@click.option(
    "--results",
    "results_path",
    type=click.Path(path_type=Path),
    help="Write the result of each row to this CSV file.",
)
@click.pass_context
def import_file(
    context: click.Context, file: Path, dry_run: bool, results_path: Path | None
) -> None:
    """Register the customers of a CSV file.

    Its first line names the columns customer_name, phone, card_number,
    exp_month, exp_year; UTF-8 or CP932. The rules are the form's. Bad rows are named
    and left out, all others are imported. If it is stopped or killed, the same command
    goes on; it imports nothing twice.

    Exit code 1: some rows were refused; 2: the file can't be read, nothing was
    imported; 3: stopped, run it again.
    """
    try:
        sheet = Sheet(file)
        if dry_run:
            _require_free(results_path, file, None)
            refused = _dry_run(sheet, results_path)
        else:
            refused = _import(sheet, results_path)
    except SheetError as error:
        fail(str(error), error.hint)
    except Overtaken:
        fail("another import is running", "wait for it, then run this again")
    except KeyboardInterrupt:
        fail("stopped", "run the same command again to go on", EXIT_INTERRUPTED)
    context.exit(EXIT_FOUND if refused else 0)


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
    the card's. Customers whose card is missing are named.

    Exit code 1: something was found; 2: --apply was refused, nothing was changed.
    """
    vault, now = current.vault(), current.now()
    alone = reconcile.orphans(work(), vault, now)
    due = [orphan for orphan in alone if not orphan.young]
    older = reconcile.looks_older(work(), alone)
    left = [orphan for orphan in alone if orphan.young] if applied else alone
    if applied:
        _require_few(alone, due, older, number)
    _show(orphan.line() for orphan in left)
    if applied:
        _show(reconcile.remove(work(), vault, due, account()))
    unlike = _show(reconcile.unlike(work(), vault, now, account(), applied))
    missing = _show(reconcile.without_card(work(), vault))
    if applied:
        checkpoint(vault.engine)
    elif older:
        click.echo(f"next       {OLDER}")
    elif due or unlike:
        more = f" --remove {len(due)}" if len(due) > reconcile.FEW else ""
        click.echo(f"next       flask --app wsgi cards reconcile --apply{more}")
    found = bool(alone) or unlike or missing
    if not found:
        click.echo("every card has its customer, every customer a card")
    context.exit(EXIT_FOUND if found else 0)


@cards.command("list", epilog=example("cards list --csv > cards.csv"))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, to be joined by token.")
def list_cards(as_csv: bool) -> None:
    """Show every customer with the masked card and its token."""
    lines = export.token_csv if as_csv else export.token_lines
    found = search.everyone(work().site)
    # Record it before the first line, because a listing that is cut off has shown some.
    count = len(found) + as_csv
    work().record("customers.listed", account(), detail={"lines": str(count)})
    work().commit()
    for line in lines(search.in_turn(current.site_engine(), found)):
        click.echo(harmless(line), nl=False)


def _show(lines: Iterable[str]) -> bool:
    """Print lines; returns whether there were any."""
    any_line = False
    for line in lines:
        any_line = True
        click.echo(harmless(line))
    return any_line


def _require_few(
    alone: Sequence[Orphan], due: Sequence[Orphan], older: bool, number: int | None
) -> None:
    """End the command, with every card named and nothing changed, unless the cards
    ``due`` are as few as a crash may leave, or as many as --remove says."""
    if number is not None and number != len(due):
        what = f"{len(due):,} cards could be removed, not {number:,}"
        hint = "look at them first: flask --app wsgi cards reconcile"
    elif due and older:
        what = "the site's database looks older than the vault's"
        hint = OLDER
    elif number is None and len(due) > reconcile.FEW:
        what = f"{len(due):,} cards are more than a crash leaves"
        hint = f"if all are to go: cards reconcile --apply --remove {len(due)}"
    else:
        return
    _show(orphan.line() for orphan in alone)
    fail(f"{what}; nothing was removed", hint)


def _dry_run(sheet: Sheet, path: Path | None) -> int:
    """Check every row for ``--dry-run``; returns how many are refused."""
    out = _open(path)
    refused = 0
    with _progress(sheet.rows, 0) as advance:
        for batch in importing.batches(_checked(sheet)):
            results = importing.dry_run(work().site, batch)
            work().release()
            refused += _tell(batch)
            if out:
                out.write(results)
            advance(len(batch))
    if out:
        out.close()
    click.echo(
        f"{sheet.rows:,} rows: {sheet.rows - refused:,} good, {refused:,} refused"
    )
    click.echo("nothing was imported")
    return refused


def _import(sheet: Sheet, path: Path | None) -> int:
    """Import the rows that are not imported yet; returns how many were refused."""
    found, newest = _take_up(sheet, path)
    job_id, done = found or (0, 0)
    with _progress(sheet.rows, done) as advance:
        for place, batch in enumerate(importing.batches(_checked(sheet))):
            begins = place * importing.BATCH
            if begins < done:
                continue
            work().write()
            if not job_id:
                job_id = importing.begin(
                    work().site, sheet, newest, account(), current.now()
                )
            importing.take_in(
                work().site,
                current.vault(),
                work().vault_db,
                job_id,
                begins,
                batch,
                account(),
                current.now(),
            )
            work().commit()
            _tell(batch)
            advance(len(batch))
    _write_results(job_id, path)
    return _sum_up(sheet, job_id)


def _take_up(sheet: Sheet, path: Path | None) -> tuple[tuple[int, int] | None, int]:
    """The job that imports this file, with the number of rows imported so far, or None;
    and the newest job of any file before this one was looked for."""
    newest = importing.newest_job(work().site)
    work().release()
    found = importing.find_job(work(), sheet, _luhn_exempt())
    _require_free(path, sheet.path, found[0] if found else None)
    if found:
        click.echo(f"{found[1]:,} of {sheet.rows:,} rows are in already", err=True)
    return found, newest


def _require_free(path: Path | None, file: Path, job_id: int | None) -> None:
    """End the command unless the results may be written to ``path``."""
    if path is None or not path.exists():
        return
    token = first_token(path)
    ours = token == "" or (
        token is not None
        and job_id is not None
        and importing.is_of(work().site, job_id, token)
    )
    work().release()
    if not ours or path.samefile(file):
        fail(
            f"{path} is there already and holds something else",
            "give --results another name",
        )


def _checked(sheet: Sheet) -> Iterator[Checked]:
    now, exempt = current.now(), _luhn_exempt()
    return (importing.check(record, now, exempt) for record in sheet.records())


def _tell(batch: list[Checked]) -> int:
    """Print every fault of a batch; returns how many rows have one."""
    for row in batch:
        for column, text in row.faults:
            where = f"line {row.line}: {column}: " if column else f"line {row.line}: "
            click.echo(where + text)
    return sum(1 for row in batch if row.faults)


def _write_results(job_id: int, path: Path | None) -> None:
    out = _open(path)
    if out:
        out.write(vars(row) for row in importing.results(work().site, job_id))
        out.close()
        work().release()


def _open(path: Path | None) -> Results | None:
    try:
        return Results(path) if path else None
    except OSError as error:
        fail(
            f"{path} can't be written: {error.strerror}", "give --results another name"
        )


def _sum_up(sheet: Sheet, job_id: int) -> int:
    counts = importing.counts(work().site, job_id)
    work().release()
    refused = counts.get(importing.REFUSED, 0)
    likely = counts.get(importing.POSSIBLE_DUPLICATE, 0)
    click.echo(
        f"{sheet.rows:,} rows: {counts.get(importing.IMPORTED, 0):,} imported, "
        f"{likely:,} imported that look like a stored card, {refused:,} refused"
    )
    if refused:
        click.echo("next       put the refused rows, mended, into a file of their own")
    click.echo(f"next       destroy {sheet.path}: it holds card numbers (shred -u)")
    return refused


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, when that is a terminal."""
    console, began = Console(stderr=True), time.monotonic()
    with Progress(
        TextColumn("import"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as shown:
        task, came = shown.add_task("import", total=total, completed=done, rate="-"), 0

        def advance(count: int) -> None:
            nonlocal came
            came += count
            rate = f"{came / max(time.monotonic() - began, 0.001):,.0f}"
            shown.update(task, advance=count, rate=rate)

        yield advance


def _luhn_exempt() -> frozenset[str]:
    return frozenset({"unionpay"} if current.settings().luhn_exempt_unionpay else ())
