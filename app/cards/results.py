"""The file that tells what became of each imported row; it holds no number."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .export import harmless

COLUMNS = ("line", "status", "public_id", "token", "brand", "last4", "error")


class Results:
    """Rows written beside ``path`` and put in its place by ``close``, so that a
    run that was cut off leaves the older file as it was."""

    def __init__(self, path: Path) -> None:
        """Raises OSError naming what is in the way."""
        self.path = path
        self._beside = path.with_name(f"{path.name}.part")
        self._beside.unlink(missing_ok=True)
        descriptor = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, in the input's order."""
        for row in rows:
            self._writer.writerow([harmless(str(row[name])) for name in COLUMNS])

    def close(self) -> None:
        """Put the file in its place, whole and on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._beside.replace(self.path)


def first_token(path: Path) -> str | None:
    """The first token in an older results file: "" when it holds none, as a dry
    run's; None when the file is something else."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                return None
            return next((row["token"] for row in rows if row["token"]), "")
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
