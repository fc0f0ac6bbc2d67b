"""Checks the rows of a file of customers by the rules of the form, and names what a
spreadsheet spoiled in them."""

from __future__ import annotations

from typing import NamedTuple

from vault import Expiry, Pan
from vault.errors import InputError

from .. import rules, service, texts
from ..typed import phone_of
from . import spoiled
from .file import Record

Faults = tuple[tuple[str, str], ...]
"""What is wrong with a row: the column, "" for the whole row, and the text."""


class Checked(NamedTuple):
    """A row after checking: what to store, or what is wrong with it, by column."""

    line: int
    entry: service.NewCard | None
    faults: Faults


def check(record: Record, now: int, luhn_exempt: frozenset[str]) -> Checked:
    """Check a row by the rules of the form; ``now`` is seconds since 1970 UTC."""
    if not record.cells:
        return Checked(record.line, None, (("", texts.wrong_width(record.width)),))
    cells, faults = record.cells, []
    name = rules.name_of(cells["customer_name"])
    phone = phone_of(cells["phone"])
    if fault := rules.name_fault(name) or spoiled.name_fault(name):
        faults.append(("customer_name", fault))
    if fault := rules.phone_fault(phone):
        faults.append(("phone", spoiled.phone_fault(cells["phone"]) or fault))
    pan, fault = number_of(cells["card_number"], luhn_exempt)
    if fault:
        faults.append(("card_number", fault))
    expiry, column, fault = expiry_of(cells["exp_month"], cells["exp_year"], now)
    if fault:
        faults.append((column, fault))
    entry = None
    if pan and expiry and not faults:
        entry = service.NewCard(name, phone, pan, expiry)
    return Checked(record.line, entry, tuple(faults))


def expiry_of(month: str, year: str, now: int) -> tuple[Expiry | None, str, str]:
    """The expiry of a row, or the column that is wrong in it and what is wrong."""
    try:
        return Expiry.parse(month, year, now), "", ""
    except InputError as error:
        column = "exp_year" if error.reason in ("year", "far") else "exp_month"
        fault = texts.EXPIRY_REASONS[error.reason]
        if error.reason not in ("past", "far"):
            fault = spoiled.expiry_fault(month, year) or fault
        return None, column, fault


def number_of(cell: str, luhn_exempt: frozenset[str]) -> tuple[Pan | None, str]:
    """The card number of a row, and what is wrong with it, or ""."""
    try:
        pan = Pan.parse(cell, luhn_exempt=luhn_exempt)
    except InputError as error:
        fault = ""
        if error.reason in ("not_digits", "check_digit"):
            fault = spoiled.number_fault(cell, luhn_exempt)
        return None, fault or texts.NUMBER_REASONS[error.reason]
    # The check digit of zeros that Excel made of digits may be right, or not asked for.
    doubtful = luhn_exempt or pan.length >= spoiled.DIGITS_KEPT + spoiled.SURE_ZEROS
    return pan, spoiled.number_fault(cell, luhn_exempt) if doubtful else ""


def written_faults(faults: Faults) -> str:
    """The faults of a row as its result has them."""
    return " / ".join(": ".join(filter(None, fault)) for fault in faults)
