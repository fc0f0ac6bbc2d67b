"""Writes CSV so that a spreadsheet shows each cell as it is stored.

A spreadsheet that opens CSV runs what looks like a formula, and turns what looks like a
number or a date into one: 01 becomes 1, 09000000000 loses its zero, 01/2030 becomes a
day.  It takes a cell for the text it is when the file says ``="01"``, and saves 01 again.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence

BYTE_ORDER_MARK = "\ufeff"

# The signs that begin a formula in a spreadsheet (OWASP, CSV injection), and the
# full-width ones that some programs fold to them.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

# Longer numbers are shown as 4.11E+15.
MOST_DIGITS = 11
# The longest date: 2030-01-31.  Telephone numbers have more digits.
DATE_DIGITS = 8
_VALUE = re.compile(
    r"(?:明治|大正|昭和|平成|令和|[MTSHR])?[¥$€£(]*[0-9.]"
    r"[0-9.,:/%() eE+\-年月日時分秒]*(?:[AP]M?)?",
    re.IGNORECASE,
)
_MONTH = re.compile(
    r"(?:[0-9]+[ ./,-]*)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
    r"(?:[ ./,-]*[0-9]+)*",
    re.IGNORECASE,
)
_PHONE = re.compile(r"[0-9]+(?:-[0-9]+)+")
_DIGIT = re.compile(r"\d")
_TRUTH = ("TRUE", "FALSE")


def without_formula(cell: str) -> str:
    """``cell`` with a quote in front if a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell


def as_text(cell: str) -> str:
    """``cell`` as a spreadsheet leaves it whole: no formula, and marked as text where it
    would be turned into a number or a date."""
    return f'="{cell}"' if _would_change(cell) else without_formula(cell)


def line(cells: Sequence[str]) -> str:
    """The cells as one line of CSV, with the end that RFC 4180 asks for (CRLF)."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _would_change(cell: str) -> bool:
    if not _DIGIT.search(cell):
        return cell.upper() in _TRUTH
    # Spreadsheets read full-width digits as numbers too.
    flat = unicodedata.normalize("NFKC", cell).strip()
    if flat.isascii() and flat.isdigit():
        leading = len(flat) > 1 and flat.startswith("0")
        return leading or cell != flat or len(flat) > MOST_DIGITS
    if cell.startswith(FORMULA_SIGNS):
        return False
    if _PHONE.fullmatch(flat):
        return len(flat.replace("-", "")) <= DATE_DIGITS
    return bool(_MONTH.fullmatch(flat) or _VALUE.fullmatch(flat))
