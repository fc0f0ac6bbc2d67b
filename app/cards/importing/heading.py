"""Checks the first line of a file of customers and says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

COLUMNS = ("customer_name", "phone", "card_number", "exp_month", "exp_year")
WANTED = f"the first line must name: {', '.join(COLUMNS)}"
AS_CSV_UTF_8 = (
    "save it again as CSV UTF-8; in Excel: Save As, CSV UTF-8 (Comma delimited), "
    "CSV UTF-8（コンマ区切り）"
)
# What spreadsheets and programs write between columns in place of commas.
DELIMITERS = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    "，": "full-width commas",
    "、": "Japanese commas",
    "；": "full-width semicolons",
}
_SEPARATOR_LINE = re.compile("sep=.?", re.IGNORECASE)


class SheetError(Exception):
    """The file can't be read as customers.  ``hint`` says what to do; neither text
    quotes the file."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def require_columns(path: Path, heading: Sequence[str]) -> None:
    """Raise SheetError unless ``heading`` names each column once and no other; it names
    the delimiter found and every column that is missing, double or empty."""
    refuse_separators(path, heading, WANTED)
    faults = _missing(heading) + doubled(heading, COLUMNS) + unnamed(heading)
    if not faults and len(heading) > len(COLUMNS):
        faults = [f"there are columns besides the {len(COLUMNS)} known"]
    if faults:
        raise SheetError(f"{path}: {'; '.join(faults)}", WANTED)


def refuse_separators(path: Path, heading: Sequence[str], wanted: str) -> None:
    """Raise SheetError when a line for Excel alone stands where the heading should be,
    or columns are separated by anything but commas; ``wanted`` says what the first line
    must name."""
    if _SEPARATOR_LINE.fullmatch("".join(heading[:1])):
        raise SheetError(
            f"{path} begins with the line sep=, which is for Excel alone",
            f"delete that line; {wanted}",
        )
    if delimiter := _delimiter(heading):
        raise SheetError(
            f"{path}: the columns are separated by {delimiter}, not by commas",
            AS_CSV_UTF_8,
        )


def _delimiter(heading: Sequence[str]) -> str:
    """What stands between the columns in place of commas, or ""."""
    line = ",".join(heading)
    # Some columns may be missing, or all be named in Japanese.
    found = {sign: line.count(sign) for sign in DELIMITERS if sign in line}
    most = max(found, key=lambda sign: found[sign], default="")
    return DELIMITERS[most] if most and found[most] >= len(heading) else ""


def _missing(heading: Sequence[str]) -> list[str]:
    missing = [column for column in COLUMNS if column not in heading]
    if not missing:
        return []
    others = f", as are {', '.join(missing[1:])}" if missing[1:] else ""
    return [f"the column {missing[0]} is missing{others}"]


def doubled(heading: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A fault for each of ``columns`` that a heading names more than once."""
    return [
        f"the column {column} is there twice"
        for column in columns
        if heading.count(column) > 1
    ]


def unnamed(heading: Sequence[str]) -> list[str]:
    """A fault that counts the columns without a name, if there are any."""
    empty = [str(place) for place, name in enumerate(heading, 1) if not name]
    return [f"no name in column {', '.join(empty)}"] if empty else []
