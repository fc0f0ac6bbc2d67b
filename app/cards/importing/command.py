"""``flask --app wsgi cards import`` registers the customers of a CSV file."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import click
from flask.cli import with_appcontext

from app import current
from app.cli import EXIT_FOUND, EXIT_INTERRUPTED, account, example, fail, say
from app.db import Work, work
from vault import Actor
from vault.card.token import Share

from . import batches
from .batches import Overtaken
from .file import Record, Sheet
from .heading import SheetError
from .known import find_job
from .results import Results, first_token
from .rows import Checked, check

# What the rows are that look like a stored card, without and with --skip-likely.
LIKELY = (batches.POSSIBLE_DUPLICATE, batches.LIKELY_STORED)


class ImportRun:
    """One run of the import of a file: the job that imports it, begun by an earlier run
    or with the first batch of this one.

    Every method ends the transaction it began, so that no lock is held in between.
    """

    def __init__(self, unit: Work, sheet: Sheet, by: Actor) -> None:
        """Look for the job that imports or imported the file."""
        self._unit = unit
        self._sheet = sheet
        self._by = by
        self._newest = batches.newest_job(unit.site)
        unit.release()
        found = find_job(unit, sheet, luhn_exempt())
        self._job_id, self.done = found or (0, 0)
        self._newest_customer = batches.newest_before(unit.site, self._job_id)
        unit.release()

    @property
    def is_begun(self) -> bool:
        """Say whether an earlier run has imported rows of the file."""
        return bool(self._job_id)

    def take_in(
        self, begins: int, batch: Sequence[Checked], now: int, *, skip_likely: bool
    ) -> list[dict[str, object]]:
        """Import the rows after the first ``begins``, all or none; the first batch
        begins the job.  Returns the result of each row.  Raises Overtaken when another
        process imports the file."""
        unit = self._unit
        share = Share(begins, begins + len(batch), self._sheet.rows)
        prepared = batches.prepare(
            unit.site, batch, share, self._newest_customer, self._by, now, skip_likely
        )
        unit.write()
        if not self._job_id:
            self._job_id = batches.begin(
                unit.site, self._sheet, self._newest, self._by, now
            )
        results = batches.take_in(
            unit.site,
            unit.vault,
            unit.vault_db,
            self._job_id,
            begins,
            prepared,
            self._by,
        )
        unit.commit()
        return results

    def made(self, token: str) -> bool:
        """Say whether a token is of a card that this file's import sealed."""
        mine = self.is_begun and batches.is_of(self._unit.site, self._job_id, token)
        self._unit.release()
        return mine

    def write_results(self, out: Results) -> None:
        """Write the result of every row, and put the file in its place."""
        out.write(vars(row) for row in batches.results(self._unit.site, self._job_id))
        out.close()
        self._unit.release()

    def counts(self) -> dict[str, int]:
        """How many rows have each result."""
        counts = batches.counts(self._unit.site, self._job_id)
        self._unit.release()
        return counts


results_option = click.option(
    "--results",
    "results_path",
    type=click.Path(path_type=Path),
    help="Write the result of each row to this CSV file.",
)


@click.command(
    "import", epilog=example("cards import customers.csv --results results.csv")
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check every row; write nothing.")
@click.option(
    "--skip-likely",
    is_flag=True,
    help="Leave out the rows that look like a stored card, and name them.",
)
@results_option
@click.pass_context
@with_appcontext
def import_file(
    context: click.Context,
    file: Path,
    dry_run: bool,
    skip_likely: bool,
    results_path: Path | None,
) -> None:
    """Register the customers of a CSV file.

    Its first line names the columns customer_name, phone, card_number,
    exp_month, exp_year; UTF-8 or CP932. The rules are the form's. Bad rows are named
    and left out, all others are imported. If it is stopped or killed, the same command
    goes on; it imports nothing twice.

    A row looks like a stored card when brand, first two and last four digits and expiry
    are the same. It is imported all the same, unless --skip-likely leaves it out: for a
    file that was imported, mended and is given again. A dry run says how many there are.

    Exit code 1: some rows were refused; 2: the file can't be read, nothing was
    imported; 3: stopped, run it again.
    """
    try:
        sheet = Sheet(file)
        if dry_run:
            require_ours(results_path, file, None)
            refused = _dry_run(sheet, results_path, skip_likely=skip_likely)
        else:
            refused = _import(sheet, results_path, skip_likely=skip_likely)
    except SheetError as error:
        fail(str(error), error.hint)
    except Overtaken:
        fail("another import is running", "wait for it, then run this again")
    except KeyboardInterrupt:
        fail("stopped", "run the same command again to go on", EXIT_INTERRUPTED)
    context.exit(EXIT_FOUND if refused else 0)


def _dry_run(sheet: Sheet, path: Path | None, *, skip_likely: bool) -> int:
    """Check every row for ``--dry-run``; returns how many are refused."""
    out = open_results(path)
    refused, likely = 0, 0
    with progress("import", sheet.rows, 0) as advance:
        for batch in batches.batches(_checked(sheet.records())):
            results = batches.dry_run(work().site, batch, skip_likely=skip_likely)
            work().release()
            refused += _tell(batch, results)
            likely += sum(1 for result in results if result["status"] in LIKELY)
            if out:
                out.write(results)
            advance(len(batch))
    if out:
        out.close()
    stored = f"{likely:,} of them look stored already, " if likely else ""
    say(
        f"{sheet.rows:,} rows: {sheet.rows - refused:,} good, {stored}"
        f"{refused:,} refused"
    )
    say("nothing was imported")
    if likely and not skip_likely:
        say("next       leave those out that look stored: --skip-likely")
    return refused


def _import(sheet: Sheet, path: Path | None, *, skip_likely: bool) -> int:
    """Import the rows that are not imported yet; returns how many were refused."""
    run = ImportRun(work(), sheet, account())
    require_ours(path, sheet.path, run.made)
    if run.is_begun:
        say(f"{run.done:,} of {sheet.rows:,} rows are in already", err=True)
    with progress("import", sheet.rows, run.done) as advance, _loaded_is_kept():
        done = run.done
        for batch in batches.batches(_checked(islice(sheet.records(), done, None))):
            results = run.take_in(done, batch, current.now(), skip_likely=skip_likely)
            done += len(batch)
            _tell(batch, results)
            advance(len(batch))
    out = open_results(path)
    if out:
        run.write_results(out)
    return _sum_up(sheet, run.counts())


@contextmanager
def _loaded_is_kept() -> Iterator[None]:
    """Keep the garbage collector from looking, every few batches, through all that the
    site has loaded."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def require_ours(
    path: Path | None, file: Path, made: Callable[[str], bool] | None
) -> None:
    """End the command unless the results may be written to ``path``: it is free, or
    holds results of no row with a token, or those of the same run; ``made`` says so of
    a token."""
    if path is None or not path.exists():
        return
    if path.samefile(file) or not _results_are_ours(path, made):
        fail(
            f"{path} is there already and holds something else",
            "give --results another name",
        )


def _results_are_ours(path: Path, made: Callable[[str], bool] | None) -> bool:
    """Say whether a file holds results of this run, or of no row with a token."""
    token = first_token(path)
    if not token:
        return token == ""
    return made is not None and made(token)


def _checked(records: Iterable[Record]) -> Iterator[Checked]:
    now, exempt = current.now(), luhn_exempt()
    return (check(record, now, exempt) for record in records)


def _tell(batch: list[Checked], results: list[dict[str, object]]) -> int:
    """Print every fault of a batch and every row that was left out; returns how many
    rows have a fault."""
    for row, result in zip(batch, results, strict=True):
        if result["status"] == batches.LIKELY_STORED:
            say(f"line {row.line}: looks like a stored card, left out")
        for column, text in row.faults:
            where = f"line {row.line}: {column}: " if column else f"line {row.line}: "
            say(where + text)
    return sum(1 for row in batch if row.faults)


def open_results(path: Path | None) -> Results | None:
    """The results file to be written, if there is to be one; ends the command when the
    disk refuses it."""
    try:
        return Results(path) if path else None
    except OSError as error:
        fail(
            f"{path} can't be written: {error.strerror}", "give --results another name"
        )


def _sum_up(sheet: Sheet, counts: dict[str, int]) -> int:
    refused = counts.get(batches.REFUSED, 0)
    likely = counts.get(batches.POSSIBLE_DUPLICATE, 0)
    left = counts.get(batches.LIKELY_STORED, 0)
    left_out = f"{left:,} left out that look like a stored card, " if left else ""
    say(
        f"{sheet.rows:,} rows: {counts.get(batches.IMPORTED, 0):,} imported, "
        f"{likely:,} imported that look like a stored card, {left_out}"
        f"{refused:,} refused"
    )
    if refused:
        say("next       put the refused rows, mended, into a file of their own")
    say(f"next       destroy {sheet.path}: it holds card numbers (shred -u)")
    return refused


@contextmanager
def progress(what: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, when that is a terminal; ``what`` is written before it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    began = time.monotonic()

    def rate(_: object) -> str:
        seconds = max(time.monotonic() - began, 0.001)
        return f"{(bar.pos - done) / seconds:,.0f}/s"

    # It is told counts alone, so it has no items.
    bar = click.progressbar(
        range(0),
        length=total,
        label=what,
        file=sys.stderr,
        show_pos=True,
        item_show_func=rate,
    )
    bar.pos = done
    with bar:
        yield bar.update


def luhn_exempt() -> frozenset[str]:
    """The brands whose check digit is not asked for."""
    return frozenset({"unionpay"} if current.settings().luhn_exempt_unionpay else ())
