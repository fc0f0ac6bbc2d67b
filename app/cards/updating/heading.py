"""Checks the first line of a file that updates customers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..importing.heading import SheetError, doubled, refuse_separators, unnamed

KEYS = ("token", "public_id")
NUMBER = "card_number"
VALUES = (NUMBER, "exp_month", "exp_year", "customer_name", "phone", "status")
WANTED = (
    f"the first line must name: {' or '.join(KEYS)}, and any of {', '.join(VALUES)}"
)


class Heading:
    """The names of a file's columns, once ``check`` has read them: ``key`` is the one
    that names the customer."""

    def __init__(self) -> None:
        self.key = ""
        self.has_numbers = False

    def check(self, path: Path, heading: Sequence[str]) -> None:
        """Raise SheetError unless ``heading`` names one of KEYS and at least one of
        VALUES, each once, and no other column."""
        refuse_separators(path, heading, WANTED)
        known = (*KEYS, *VALUES)
        faults = [*_of_keys(heading), *doubled(heading, known), *unnamed(heading)]
        if not set(VALUES) & set(heading):
            faults.append("there is no column to update")
        if unknown := [
            place for place, name in enumerate(heading, 1) if name not in known
        ]:
            numbers = ", ".join(map(str, unknown))
            faults.append(f"there are columns of other names (column {numbers})")
        if faults:
            raise SheetError(f"{path}: {'; '.join(faults)}", WANTED)
        self.key = next(key for key in KEYS if key in heading)
        self.has_numbers = NUMBER in heading


def _of_keys(heading: Sequence[str]) -> list[str]:
    found = [key for key in KEYS if key in heading]
    if len(found) > 1:
        return [f"there are both {' and '.join(KEYS)}; leave one"]
    return [] if found else [f"the column {' or '.join(KEYS)} is missing"]
