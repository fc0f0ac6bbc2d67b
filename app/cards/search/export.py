"""Writes the masked list as CSV in which a spreadsheet finds no formula to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from app.japan_time import japan_time
from app.spreadsheet import BYTE_ORDER_MARK, as_text, line, without_formula
from vault.card.brands import BRAND_LABELS

from .. import texts
from ..models import Customer
from .listed import Listed

LINES_A_PIECE = 500

TOKEN_COLUMNS = (
    "token",
    "public_id",
    "customer_name",
    "phone",
    "card",
    "exp_month",
    "exp_year",
)


def masked_csv(customers: Iterable[Customer | Listed]) -> Iterator[str]:
    """The customers as lines of CSV (RFC 4180) behind a byte order mark."""
    yield BYTE_ORDER_MARK + line(texts.CSV_HEADINGS)
    for customer in customers:
        # Bare: the site's file is for programs too, which compare with what was typed.
        yield line([without_formula(cell) for cell in cells(customer)])


def cells(customer: Customer | Listed) -> tuple[str, ...]:
    """What the files of the list say of a customer, in the order of
    ``texts.CSV_HEADINGS``."""
    return (
        customer.name,
        customer.phone,
        customer.masked,
        BRAND_LABELS[customer.brand],
        str(customer.expires),
        japan_time(customer.updated_at),
    )


def in_pieces(lines: Iterable[str]) -> Iterator[str]:
    """The lines, many at a time: each piece is sent by itself, the heading at once."""
    left = iter(lines)
    yield from islice(left, 1)
    while piece := "".join(islice(left, LINES_A_PIECE)):
        yield piece


def token_csv(
    customers: Iterable[Customer | Listed], cell: Callable[[str], str] = as_text
) -> Iterator[str]:
    """Lines of CSV for billing, to be joined with the ops side's export by token;
    ``cell`` writes each cell."""
    yield line(TOKEN_COLUMNS)
    for customer in customers:
        yield line([cell(value) for value in _with_token(customer)])


def token_csv_for_programs(customers: Iterable[Customer | Listed]) -> Iterator[str]:
    """The same lines with every number and expiry bare."""
    return token_csv(customers, without_formula)


def token_lines(customers: Iterable[Customer | Listed]) -> Iterator[str]:
    """The same lines for a person to read, with tabs between the columns."""
    for customer in customers:
        yield "\t".join(_with_token(customer)) + "\n"


def _with_token(customer: Customer | Listed) -> list[str]:
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
