"""Reads a file of customers: CSV as spreadsheets save it, a row at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vault.store.encodings import UTF_16, Encodings

from .heading import AS_CSV_UTF_8, SheetError, require_columns

# EUC-JP is looked for because most of it can be read as CP932, as other names.
ENCODINGS = ("utf-8-sig", "cp932", "euc_jp")
CHUNK = 1 << 16
# How the files begin that Excel saves unless it is told to save CSV, and old ones of it.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


class Record(NamedTuple):
    """One row: the line it begins on and its cells by column.  When the number of cells
    doesn't fit the heading, ``cells`` is empty and the number is given."""

    line: int
    cells: dict[str, str]
    width: int


class Sheet:
    """A file whose encoding, heading, quotes and rows were checked to the end.

    ``rows`` is how many there are, ``size`` the file's bytes.
    """

    def __init__(
        self,
        path: Path,
        check_heading: Callable[[Path, Sequence[str]], None] = require_columns,
    ) -> None:
        """Read the file once; raises SheetError naming it and the line, and what
        ``check_heading`` raises about the names of the columns."""
        self.path = path
        self._check_heading = check_heading
        self.size, self._encoding = _first_look(path)
        self._heading = self._read_heading()
        self.rows = sum(1 for _ in self._rows())
        if not self.rows:
            raise SheetError(
                f"{path} has a heading and no row", "put a customer on each line"
            )

    def records(self) -> Iterator[Record]:
        """The rows in order, without blank lines and rows of nothing but commas, which
        spreadsheets leave where a row was cleared."""
        heading = self._heading
        for line, cells in self._rows():
            if len(cells) == len(heading):
                named = dict(zip(heading, cells, strict=True))
                yield Record(line, named, len(cells))
            else:
                yield Record(line, {}, len(cells))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """The line each row begins on, and its cells."""
        with self.path.open(encoding=self._encoding, newline="") as file:
            reader = csv.reader(file, strict=True)
            line = 0
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    raise self._broken(reader.line_num, str(error)) from None
                if cells is None:
                    return
                if line and "".join(cells).strip():
                    yield line + 1, cells
                line = reader.line_num

    def _broken(self, line: int, why: str) -> SheetError:
        if "field larger" in why:
            why = f"a field is over {csv.field_size_limit():,} characters"
        return SheetError(
            f"{self.path} line {line} is not CSV: {why}",
            "look for a quotation mark that is not closed; nothing was written",
        )

    def _read_heading(self) -> list[str]:
        with self.path.open(encoding=self._encoding, newline="") as file:
            try:
                heading = [cell.strip() for cell in next(csv.reader(file), [])]
            except csv.Error as error:
                raise self._broken(1, str(error)) from None
        self._check_heading(self.path, heading)
        return heading


def _first_look(path: Path) -> tuple[int, str]:
    """The size and the encoding of a file."""
    size, start = 0, b""
    encodings = Encodings(ENCODINGS)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                start = start or chunk[:8]
                size += len(chunk)
                encodings.feed(chunk)
    except OSError as error:
        raise SheetError(
            f"{path} can't be read: {error.strerror}", "check the name and its rights"
        ) from None
    encodings.feed(b"", final=True)
    if start.startswith(WORKBOOKS):
        raise SheetError(
            f"{path} is a workbook (.xlsx, .xls or the like), not CSV", AS_CSV_UTF_8
        )
    if start.startswith(UTF_16) or not encodings.left:
        raise SheetError(
            f"{path} is neither UTF-8 nor CP932 (Shift_JIS)",
            AS_CSV_UTF_8,
        )
    if not size:
        raise SheetError(f"{path} is empty", "save the sheet as CSV and try again")
    encoding = encodings.left[0]
    if encoding != "utf-8-sig" and "euc_jp" in encodings.left:
        raise SheetError(f"{path} is EUC-JP, or can't be told from it", AS_CSV_UTF_8)
    return size, encoding
