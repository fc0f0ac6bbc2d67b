"""In by import, out by export: every number and expiry is the same."""

from __future__ import annotations

import csv
import io
import os
import random
import re
from pathlib import Path

import pyrage

from tests.places.site import Place
from vault.card.brands import BRANDS
from vault.card.pan import luhn_ok
from vault.ops.pan_scan import Found, scan

# ROUND_TRIP=100000 is the size an owner may want to see once.
ROWS = int(os.environ.get("ROUND_TRIP", "2000"))
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


def numbers(count: int) -> list[str]:
    """Generated numbers of every brand, prefix and length in turn."""
    draw, made = random.Random(count), []
    shapes = [
        (low, length)
        for brand in BRANDS
        for low, _ in brand.prefixes
        for length in sorted(brand.lengths)
    ]
    for place in range(count):
        low, length = shapes[place % len(shapes)]
        start = low + "".join(draw.choices("0123456789", k=length - len(low) - 1))
        made.append(next(start + end for end in "0123456789" if luhn_ok(start + end)))
    return made


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    """Joined by token; no file on the way but the input holds a number."""
    place = Place(tmp_path).make()
    file, results, out = (tmp_path / name for name in ("in.csv", "results.csv", "out"))
    rows = [
        (f"090-{place // 10_000:04}-{place % 10_000:04}", number, place % 12 + 1)
        for place, number in enumerate(numbers(ROWS))
    ]
    lines = [
        f"山田 太郎,{phone},{number},{month},2031\n" for phone, number, month in rows
    ]
    file.write_text(HEADING + "".join(lines))
    words = ("cards", "import", str(file), "--results", str(results))
    done = place.run("flask", "--app", "wsgi", *words)
    assert done.returncode == 0, done.stdout[-500:]
    identity = pyrage.x25519.Identity.generate()
    to = ("--recipient", str(identity.to_public()), "--reason", "test")
    done = place.ops("export", *to, "--out", str(out))
    assert done.returncode == 0, done.stderr
    file.unlink()
    assert not any(isinstance(one, Found) for one in scan(tmp_path))
    assert not re.search(rb"[0-9]{12}", out.read_bytes())
    with results.open(newline="", encoding="utf-8-sig") as told:
        tokens = [row["token"] for row in csv.DictReader(told)]
    opened = pyrage.decrypt(out.read_bytes(), [identity]).decode()
    cards = {row["token"]: row for row in csv.DictReader(io.StringIO(opened))}
    assert len(cards) == ROWS
    for token, (_, number, month) in zip(tokens, rows, strict=True):
        card = cards[token]
        assert card["card_number"] == number
        assert (card["exp_month"], card["exp_year"]) == (f"{month:02}", "2031")


def test_what_goes_in_is_billed(tmp_path: Path) -> None:
    """An amount for each imported customer comes out beside the number it is for, in
    the billing file's order, as records of fixed length too."""
    place = Place(tmp_path).make()
    typed = numbers(ROWS)
    lines = [
        f"山田,090-0000-0000,{number},{n % 12 + 1},2031\n"
        for n, number in enumerate(typed)
    ]
    (tmp_path / "in.csv").write_text(HEADING + "".join(lines))
    words = ("cards", "import", "in.csv", "--results", "results.csv")
    assert place.run("flask", "--app", "wsgi", *words).returncode == 0
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8-sig") as told:
        tokens = [row["token"] for row in csv.DictReader(told)]
    # Twice each, in no order: two amounts for one card are two lines.
    order = [*range(ROWS), *range(ROWS)]
    random.Random(ROWS).shuffle(order)
    rows = [f"{tokens[card]},{amount}\n" for amount, card in enumerate(order)]
    (tmp_path / "amounts.csv").write_text("token,amount\n" + "".join(rows))
    identity = pyrage.x25519.Identity.generate()
    to = ("--recipient", str(identity.to_public()), "--reason", "test")
    columns = ("--with", "amounts.csv", "--columns", "amount,card_number,exp_yymm")
    for out, fixed in (("a.age", ()), ("b.age", ("--fixed", "08,19,4"))):
        done = place.ops("export", *to, "--out", out, *columns, *fixed, "--no-header")
        assert done.returncode == 0, done.stderr
        opened = pyrage.decrypt((tmp_path / out).read_bytes(), [identity]).decode()
        for amount, (line, card) in enumerate(
            zip(opened.splitlines(), order, strict=True)
        ):
            number, expiry = typed[card], f"31{card % 12 + 1:02}"
            if fixed:
                assert line == f"{amount:08}{number:19}{expiry}"
            else:
                assert line == f"{amount},{number},{expiry}"
