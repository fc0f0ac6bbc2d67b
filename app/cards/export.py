"""The masked list as CSV that a spreadsheet opens and never executes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from vault import BRAND_LABELS

from . import texts
from .calendar import japan_time
from .models import Customer

BYTE_ORDER_MARK = "\ufeff"

# What a spreadsheet takes for the start of a formula (OWASP, CSV injection),
# and the full-width signs some fold to them.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def masked_csv(customers: Iterable[Customer]) -> str:
    """The customers as CSV (RFC 4180) behind a byte order mark."""
    out = io.StringIO()
    out.write(BYTE_ORDER_MARK)
    writer = csv.writer(out)
    writer.writerow(texts.CSV_HEADINGS)
    writer.writerows(map(_row, customers))
    return out.getvalue()


def _row(customer: Customer) -> list[str]:
    return [
        _harmless(cell)
        for cell in (
            customer.name,
            customer.phone,
            customer.masked,
            BRAND_LABELS[customer.brand],
            str(customer.expires),
            japan_time(customer.updated_at),
        )
    ]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell
