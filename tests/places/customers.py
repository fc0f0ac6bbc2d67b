"""Customers of a site as the import takes them in, and as the pages show them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cards import numbers
from bench.searching import customers
from vault import Pan

from .site import Place

HEADINGS = ("customer_name", "phone", "card_number", "exp_month", "exp_year")


@dataclass(frozen=True)
class Row:
    """A customer as the list shows them; ``expiry`` is ``MM/YYYY``."""

    name: str
    phone: str
    masked: str
    expiry: str


@dataclass(frozen=True)
class Newcomer:
    """A customer with a whole card number; ``expiry`` is ``MM/YYYY``."""

    name: str
    phone: str
    number: str
    expiry: str

    @property
    def row(self) -> Row:
        """The customer as the list shows them."""
        masked = Pan.parse(self.number).masked
        return Row(self.name, self.phone, masked, self.expiry)


def newcomers(count: int) -> Iterator[Newcomer]:
    """``count`` made-up customers with Visa cards, the same every time."""
    for made, number in zip(customers(count), numbers(count), strict=True):
        expiry = f"{made['id'] % 12 + 1:02}/2031"
        yield Newcomer(made["name"], made["phone"], number, expiry)


def take_in(place: Place, everyone: list[Newcomer]) -> None:
    """Register customers by the site's own import."""
    path = place.folder / "customers.csv"
    _write(path, everyone)
    done = place.run("flask", "--app", "wsgi", "cards", "import", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    path.unlink()


def _write(path: Path, everyone: list[Newcomer]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADINGS)
        for one in everyone:
            month, year = one.expiry.split("/")
            out.writerow([one.name, one.phone, one.number, month, year])
