"""Reads a CSV file with a token in each row, as spreadsheets and programs save it."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...errors import FileRefused, InputError
from ...store.encodings import UTF_16, Encodings
from .layout import OWN, TOKEN

ENCODINGS = ("utf-8-sig", "cp932")
CHUNK = 1 << 16


class Record(NamedTuple):
    """One row: the line it begins on, its token, as it was typed, and its carried
    cells.  ``fault`` says what is wrong with the row's shape, or nothing."""

    line: int
    token: str
    cells: tuple[str, ...]
    fault: str = ""


class Sheet:
    """A file of rows, in UTF-8 with or without a BOM or in CP932.

    ``carried`` are the names of the columns that go along: all but the token's, those
    without a name, and those that the vault fills itself, which are ``passed_over``.
    It is read twice, so it has
    to be a plain file that stays as it is.
    """

    def __init__(self, path: Path) -> None:
        """Read the heading and look at every byte; raises InputError naming ``path``,
        or FileRefused."""
        self.path = path
        self._seen = _state(path)
        self._encoding = _encoding_of(path)
        self._heading = self._read_heading()
        own = [name for name in self._heading if name and name not in OWN]
        self.carried = tuple(own)
        self.passed_over = tuple(
            name for name in self._heading if name in OWN and name != TOKEN
        )
        self._places = [self._heading.index(name) for name in own]
        self._unnamed = [at for at, name in enumerate(self._heading) if not name]
        self._token = self._heading.index(TOKEN)

    def records(self) -> Iterator[Record]:
        """The rows in order, without those in which nothing stands."""
        rows = self._rows()
        next(rows, None)
        for line, cells in rows:
            if "".join(cells).strip():
                yield self._record(line, cells)

    def require_unchanged(self) -> None:
        """Raise FileRefused when the file is no longer the one that was checked."""
        if _state(self.path) != self._seen:
            raise self.changed()

    def changed(self) -> FileRefused:
        """The error of a file that is no longer the one that was checked."""
        return FileRefused(
            f"{self.path} was changed while it was read",
            hint="run the same command again when it stays as it is",
        )

    def _record(self, line: int, cells: list[str]) -> Record:
        if len(cells) != len(self._heading):
            fault = f"has {len(cells)} cells, the heading has {len(self._heading)}"
            return Record(line, "", (), fault)
        fault = ""
        if self._unnamed and any(cells[at].strip() for at in self._unnamed):
            fault = "has a value in a column without a name"
        carried = tuple([cells[at] for at in self._places])
        return Record(line, cells[self._token].strip(), carried, fault)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with the line it begins on."""
        with self.path.open(encoding=self._encoding, newline="") as file:
            reader = csv.reader(file, strict=True)
            line = 0
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    why = f"line {line + 1} is not CSV: {error}"
                    hint = "look for a quotation mark that is not closed"
                    raise InputError(str(self.path), why, hint=hint) from None
                if cells is None:
                    return
                yield line + 1, cells
                line = reader.line_num

    def _read_heading(self) -> list[str]:
        _, cells = next(self._rows(), (1, []))
        heading = [cell.strip() for cell in cells]
        if TOKEN not in heading:
            raise InputError(
                str(self.path),
                "its first line does not name a column token, between commas",
                hint="begin the file with a line like: token,order_no,amount",
            )
        for name in heading:
            if name and heading.count(name) > 1:
                raise InputError(
                    str(self.path),
                    "its first line names a column twice",
                    hint="give each column a name of its own",
                )
        return heading


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file is written or replaced."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(
            f"{path} is no plain file", hint="it is read twice; save it as a file first"
        )
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _encoding_of(path: Path) -> str:
    """The encoding of a file; raises InputError when it is in neither."""
    encodings = Encodings(ENCODINGS)
    with path.open("rb") as file:
        start = os.pread(file.fileno(), 2, 0)
        while chunk := file.read(CHUNK):
            encodings.feed(chunk)
    encodings.feed(b"", final=True)
    if start in UTF_16 or not encodings.left:
        raise InputError(
            str(path),
            "is neither UTF-8 nor CP932 (Shift_JIS)",
            hint="save it again as CSV UTF-8",
        )
    return encodings.left[0]
