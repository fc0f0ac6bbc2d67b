"""Writes the masked list as CSV in which a spreadsheet finds no formula to run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from app.japan_time import japan_time
from vault.card.brands import BRAND_LABELS

from .. import texts
from ..models import Customer

LINES_A_PIECE = 500
BYTE_ORDER_MARK = "\ufeff"

TOKEN_COLUMNS = (
    "token",
    "public_id",
    "customer_name",
    "phone",
    "card",
    "exp_month",
    "exp_year",
)

# The signs that begin a formula in a spreadsheet (OWASP, CSV injection), and the
# full-width ones that some programs fold to them.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def masked_csv(customers: Iterable[Customer]) -> Iterator[str]:
    """The customers as lines of CSV (RFC 4180) behind a byte order mark."""
    yield BYTE_ORDER_MARK + _written(texts.CSV_HEADINGS)
    for customer in customers:
        yield _written(_row(customer))


def in_pieces(lines: Iterable[str]) -> Iterator[str]:
    """The lines, many at a time: each piece is sent by itself, the heading at once."""
    left = iter(lines)
    yield from islice(left, 1)
    while piece := "".join(islice(left, LINES_A_PIECE)):
        yield piece


def token_csv(customers: Iterable[Customer]) -> Iterator[str]:
    """Lines of CSV for billing, to be joined with the ops side's export by token."""
    yield _line(TOKEN_COLUMNS)
    for customer in customers:
        yield _line(_with_token(customer))


def token_lines(customers: Iterable[Customer]) -> Iterator[str]:
    """The same lines for a person to read, with tabs between the columns."""
    for customer in customers:
        yield "\t".join(_with_token(customer)) + "\n"


def _with_token(customer: Customer) -> list[str]:
    expiry = customer.expires
    return [
        customer.token,
        customer.public_id,
        customer.name,
        customer.phone,
        customer.masked,
        f"{expiry.month:02}",
        str(expiry.year),
    ]


def _line(cells: Sequence[str]) -> str:
    return _written([harmless(cell) for cell in cells])


def _written(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _row(customer: Customer) -> list[str]:
    return [
        harmless(cell)
        for cell in (
            customer.name,
            customer.phone,
            customer.masked,
            BRAND_LABELS[customer.brand],
            str(customer.expires),
            japan_time(customer.updated_at),
        )
    ]


def harmless(cell: str) -> str:
    """``cell`` with a quote in front if a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell
