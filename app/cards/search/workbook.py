"""Writes the masked list as an Excel workbook, in which every cell is text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from threading import Lock

from xlsxwriter import Workbook

from .. import texts
from ..models import Customer
from . import export
from .listed import Listed

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# A workbook is made in memory, because XlsxWriter's other way leaves customers' names
# in temporary files when its process is killed.  So many rows take 210 MiB.
MOST_ROWS = 100_000
WIDTHS = (36, 18, 26, 18, 12, 18)

# Of those that are asked for at once, a process makes one at a time, so that they take
# no more memory; and who waits for it must not keep its threads from the other pages.
WAIT_SECONDS = 2.0
_one_at_a_time = Lock()


class Busy(Exception):
    """Another workbook is being made, and took longer than WAIT_SECONDS."""


def masked_workbook(customers: Iterable[Customer | Listed], now: int) -> bytes:
    """The customers, at most MOST_ROWS, as a workbook (.xlsx) made at ``now`` (seconds
    UTC).  Nothing is written to a disk.  Raises Busy."""
    if not _one_at_a_time.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        out = io.BytesIO()
        with Workbook(out, {"in_memory": True}) as book:
            made = datetime.fromtimestamp(now, UTC)
            book.set_properties({"created": made.replace(tzinfo=None)})
            _write(book, customers)
        return out.getvalue()
    finally:
        _one_at_a_time.release()


def _write(book: Workbook, customers: Iterable[Customer | Listed]) -> None:
    sheet = book.add_worksheet(texts.SHEET)
    # A cell that a person types into stays text too.
    text = book.add_format({"num_format": "@"})
    heading = book.add_format({"num_format": "@", "bold": True, "bottom": 1})
    for column, width in enumerate(WIDTHS):
        sheet.set_column(column, column, width, text)
    sheet.freeze_panes(1, 0)
    row = 0
    for column, label in enumerate(texts.CSV_HEADINGS):
        sheet.write_string(row, column, label, heading)
    for row, customer in enumerate(customers, start=1):
        for column, cell in enumerate(export.cells(customer)):
            sheet.write_string(row, column, cell, text)
    last = len(WIDTHS) - 1
    sheet.autofilter(0, 0, row, last)
    # Excel marks every telephone number without hyphens otherwise.
    sheet.ignore_errors({"number_stored_as_text": f"A1:F{row + 1}"})
