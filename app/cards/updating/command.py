"""``flask --app wsgi cards update`` takes in a file of changes to customers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from app import current
from app.cli import EXIT_FOUND, EXIT_INTERRUPTED, account, example, fail, say
from app.db import work

from .. import texts
from ..importing.command import (
    luhn_exempt,
    open_results,
    progress,
    require_ours,
    results_option,
)
from ..importing.file import Sheet
from ..importing.heading import SheetError
from . import batches, deciding, jobs
from .batches import Overtaken
from .heading import Heading
from .jobs import Survey
from .rows import Asked, Reader, with_fault

# The statuses of rows that changed nothing and need a person.
LEFT_ALONE = (deciding.CONFLICT, deciding.REFUSED, deciding.UNKNOWN)
STOPPED = (deciding.STOPPED, deciding.WOULD_STOP)
# How a count of each status is written, in this order.
COUNTED = {
    deciding.UPDATED: "updated",
    deciding.WOULD_UPDATE: "would be updated",
    deciding.UNCHANGED: "unchanged",
    deciding.STOPPED: "stopped",
    deciding.WOULD_STOP: "would be marked as stopped",
    deciding.CONFLICT: "in conflict",
    deciding.REFUSED: "refused",
    deciding.UNKNOWN: "unknown",
}


class AnswerFile:
    """The file, after a first reading that writes nothing."""

    def __init__(self, path: Path) -> None:
        """Raises SheetError when it can't be read, or names no customers."""
        heading = Heading()
        self._sheet = Sheet(path, heading.check)
        self.key = heading.key
        self.has_numbers = heading.has_numbers
        self.path = path
        self.since = current.now()
        self._reader = Reader(
            self.key,
            self.since,
            luhn_exempt(),
            current.settings().card_stopped_values,
        )
        self.survey = Survey(work(), self.key, self._rows())

    def batches(self, after: int = 0) -> Iterator[list[tuple[Asked, int]]]:
        """The rows after so many, a batch at a time, each with the rev that its
        customer had at the first reading.  Raises SheetError when the file is another
        one by now."""
        rows = islice(self._rows_with_revs(), after, None)
        while batch := list(islice(rows, batches.BATCH)):
            yield batch

    def _rows_with_revs(self) -> Iterator[tuple[Asked, int]]:
        seen = self.survey.seen
        count = 0
        for count, asked in enumerate(self._rows(), 1):
            if count > len(seen):
                break
            yield self._not_twice(asked), seen[count - 1]
        if count != len(seen):
            raise SheetError(
                f"{self.path} was changed while it was read",
                "leave it as it is, and run the same command again",
            )

    def made(self, token: str) -> bool:
        """Say whether a token is in the results of an update by this file."""
        return jobs.made(work(), self.survey.digest, token)

    def _rows(self) -> Iterator[Asked]:
        return self._reader.read(self._sheet.records())

    def _not_twice(self, asked: Asked) -> Asked:
        if asked.key in self.survey.twice:
            return with_fault(asked, self.key, texts.KEY_TWICE)
        return asked


@click.command(
    "update", epilog=example("cards update answer.csv --results results.csv")
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what it would do; write nothing.")
@results_option
@click.pass_context
@with_appcontext
def update_file(
    context: click.Context, file: Path, dry_run: bool, results_path: Path | None
) -> None:
    """Change customers as a CSV file says: the acquirer's answer (洗替).

    Its first line names token or public_id, and any of card_number, exp_month,
    exp_year, customer_name, phone, status; UTF-8 or CP932. A blank cell keeps what is
    stored. The rules are the edit page's: a new number gets a new token, and the old
    card is deleted.

    status is blank, or one of CARD_STOPPED_VALUES for a card that was stopped: the list
    then shows 要確認 with the date until a new number is entered.

    Every row gets a status: updated, unchanged, stopped, or, when it changed nothing,
    conflict (somebody else changed the customer meanwhile, or since the file was taken
    in), refused or unknown. If it is stopped or killed, the same command goes on; given
    again, the same file changes nothing.

    Exit code 1: some rows are in conflict, refused or unknown; 2: the file can't be
    read, nothing was changed; 3: stopped, run it again.
    """
    try:
        answer = AnswerFile(file)
        require_ours(results_path, file, answer.made)
        if dry_run:
            counts = _dry_run(answer, results_path)
        else:
            counts = _update(answer, results_path)
    except SheetError as error:
        fail(str(error), error.hint)
    except Overtaken:
        fail(
            "another update by this file is running", "wait for it, then run this again"
        )
    except KeyboardInterrupt:
        fail("stopped", "run the same command again to go on", EXIT_INTERRUPTED)
    context.exit(EXIT_FOUND if any(map(counts.get, LEFT_ALONE)) else 0)


def _dry_run(answer: AnswerFile, path: Path | None) -> Mapping[str, int]:
    """Print what would become of each row; returns how many have each status."""
    out = open_results(path)
    job = jobs.imagined(work(), answer.survey, answer.key, answer.since)
    counts: dict[str, int] = {}
    with progress("update", answer.survey.rows, 0) as advance:
        done = 0
        for batch in answer.batches():
            results = batches.dry_run(work(), job, done, batch, current.now())
            done += len(batch)
            _tell(results)
            for result in results:
                status = str(result["status"])
                counts[status] = counts.get(status, 0) + 1
            if out:
                out.write(results)
            advance(len(batch))
    if out:
        out.close()
    _sum_up(answer, counts)
    say("nothing was changed")
    return counts


def _update(answer: AnswerFile, path: Path | None) -> Mapping[str, int]:
    """Take in the rows that are not done yet; returns how many of all have each
    status."""
    unit, by, survey = work(), account(), answer.survey
    job = jobs.begin(unit, survey, answer.key, by, answer.since)
    for left in filter(None, (job.earlier, job.done and job.id)):
        jobs.delete_left(unit, left, by)
    if job.done:
        say(f"{job.done:,} of {survey.rows:,} rows are done already", err=True)
    with progress("update", survey.rows, job.done) as advance:
        done = job.done
        for batch in answer.batches(after=done):
            _tell(batches.take_in(unit, job, done, batch, by, current.now()))
            done += len(batch)
            advance(len(batch))
    out = open_results(path)
    if out:
        out.write(vars(row) for row in jobs.results(unit.site, job.id))
        out.close()
        unit.release()
    jobs.end(unit, job, current.now())
    counts = jobs.counts(unit, job.id)
    _sum_up(answer, counts)
    if any(map(counts.get, LEFT_ALONE)):
        say("next       put the rows that changed nothing, mended, into a new file")
    if answer.has_numbers:
        say(f"next       destroy {answer.path}: it holds card numbers (shred -u)")
    return counts


def _tell(results: Iterable[Mapping[str, Any]]) -> None:
    """Print every row that changed nothing and needs a person, and why, and every card
    that is stopped."""
    for result in results:
        line, status = result["line"], result["status"]
        if status in LEFT_ALONE:
            say(f"line {line}: {status}: {result['error']}")
        elif status in STOPPED:
            say(f"line {line}: stopped")


def _sum_up(answer: AnswerFile, counts: Mapping[str, int]) -> None:
    parts = [
        f"{counts[status]:,} {words}"
        for status, words in COUNTED.items()
        if counts.get(status)
    ]
    say(f"{answer.survey.rows:,} rows: {', '.join(parts)}")
