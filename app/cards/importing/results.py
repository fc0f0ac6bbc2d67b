"""Writes the file with the result of each imported row; it holds no card number."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.spreadsheet import as_text
from vault.store.files import NewFile, disk_faults

COLUMNS = ("line", "status", "public_id", "token", "brand", "last4", "error")


class Results:
    """Rows of CSV for a spreadsheet, written beside ``path``; ``close`` renames the file
    to ``path``, so that a killed run leaves the older file as it was."""

    def __init__(self, path: Path) -> None:
        """Raises FileRefused when another import is writing there or the ``.part``
        file is another user's, OSError when the disk refuses."""
        self.path = path
        self._part = NewFile(path, replace=True)
        self._file = io.TextIOWrapper(
            self._part.file, encoding="utf-8-sig", newline="", write_through=True
        )
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, in the input's order."""
        with self._tidily():
            for row in rows:
                self._writer.writerow([as_text(str(row[name])) for name in COLUMNS])

    def close(self) -> None:
        """Put the complete file in its place, durably."""
        with self._tidily():
            self._file.flush()
            self._part.sync()
            self._part.publish()
            self._part.close()

    @contextmanager
    def _tidily(self) -> Iterator[None]:
        """Remove the ``.part`` file when it can't be written; raises FileRefused when
        the disk refuses."""
        try:
            with disk_faults(self.path):
                yield
        except BaseException:
            self._part.close()
            raise


def first_token(path: Path) -> str | None:
    """The first token in an older results file; "" when it has none, as that of a dry
    run; None when it is no results file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                return None
            return next((row["token"] for row in rows if row["token"]), "")
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
