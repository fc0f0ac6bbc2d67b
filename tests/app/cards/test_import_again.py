"""A file that was imported, mended and is given again (cards import --skip-likely)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cards.importing import batches
from app.cards.importing.file import Sheet
from app.cards.models import Customer
from tests.places.vault import VaultPlace
from vault.card.pan import luhn_ok

HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"
STORED, MENDED = 7, 3


def run(app: Flask, *args: str) -> Result:
    """Run ``flask cards import`` with ``args``."""
    return app.test_cli_runner().invoke(args=["cards", "import", *args])


def number(place: int) -> str:
    """A card number whose last four digits are no other place's."""
    start = f"48100000000{place:04}"
    return next(start + end for end in "0123456789" if luhn_ok(start + end))


def names(app: Flask) -> list[str]:
    """Every customer's name in the order of registration."""
    with Session(app.extensions["site_engine"]) as site:
        return list(site.scalars(select(Customer.name).order_by(Customer.id)))


def statuses(path: Path) -> list[str]:
    """The status of each row of a results file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


@pytest.fixture
def mended(app: Flask, tmp_path: Path) -> Path:
    """A file of which all rows but three were imported, with these mended since."""
    file = tmp_path / "customers.csv"
    rows = [
        f"客{place},090-0000-0000,{number(place)},1,2030\n"
        for place in range(STORED + MENDED)
    ]
    bad = [row.replace(",1,2030", ",13,2030") for row in rows[STORED:]]
    file.write_text(HEADING + "".join(rows[:STORED] + bad))
    assert run(app, str(file)).exit_code == 1
    assert len(names(app)) == STORED
    file.write_text(HEADING + "".join(rows))
    return file


@pytest.mark.parametrize("flags", [(), ("--skip-likely",)], ids=["all", "skip"])
def test_a_dry_run_says_how_many_look_stored_already(
    app: Flask, mended: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """The same number either way; without the flag it is named as the next step."""
    out = tmp_path / "results.csv"
    ran = run(app, str(mended), "--dry-run", "--results", str(out), *flags)
    said = "10 rows: 10 good, 7 of them look stored already, 0 refused\n"
    assert (ran.exit_code, said in ran.stdout) == (0, True)
    assert ("--skip-likely" in ran.stdout) is not bool(flags)
    status = "likely_stored" if flags else "possible_duplicate"
    assert statuses(out) == [status] * STORED + ["would_import"] * MENDED
    assert len(names(app)) == STORED


def test_the_stored_rows_are_left_out_and_named(
    app: Flask, mended: Path, tmp_path: Path, place: VaultPlace
) -> None:
    """The mended ones go in; again, the same command changes nothing."""
    out = tmp_path / "results.csv"
    words = (str(mended), "--skip-likely", "--results", str(out))
    ran = run(app, *words)
    assert ran.exit_code == 0, ran.output
    left_out = [
        f"line {line}: looks like a stored card" in ran.stdout for line in (2, 8)
    ]
    assert left_out == [True, True]
    said = "10 rows: 3 imported, 0 imported that look like a stored card, "
    said += "7 left out that look like a stored card, 0 refused\n"
    assert said in ran.stdout
    told = out.read_bytes()
    assert statuses(out) == ["likely_stored"] * STORED + ["imported"] * MENDED
    assert names(app) == [f"客{place}" for place in range(STORED + MENDED)]
    again = run(app, *words)
    assert ("10 of 10 rows are in already" in again.stderr, said in again.stdout) == (
        True,
        True,
    )
    assert (out.read_bytes(), len(names(app))) == (told, STORED + MENDED)
    assert place.findings() == {}


def test_all_rows_are_left_out_when_all_are_stored(
    app: Flask, mended: Path, place: VaultPlace
) -> None:
    """No customer is made, however often it is typed."""
    run(app, str(mended), "--skip-likely")
    lines = mended.read_text().splitlines(keepends=True)
    mended.write_text("".join([lines[0], *reversed(lines[1:])]))
    for _ in range(2):
        ran = run(app, str(mended), "--skip-likely")
        assert "10 left out that look like a stored card" in ran.stdout
        assert (ran.exit_code, len(names(app))) == (0, STORED + MENDED)
    assert place.findings() == {}


@pytest.mark.parametrize("size", [2, 9])
def test_an_import_cut_off_goes_on_leaving_out(
    app: Flask, mended: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Whether its first batch was left out whole or in part."""
    monkeypatch.setattr(batches, "BATCH", size)
    real, calls = batches.take_in, iter([True, False])

    def cut(*args: object) -> object:
        if next(calls, False):
            return real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(batches, "take_in", cut)
        assert run(app, str(mended), "--skip-likely").exit_code == 3
    assert run(app, str(mended), "--skip-likely").exit_code == 0
    assert names(app) == [f"客{place}" for place in range(STORED + MENDED)]


def test_rows_of_nothing_but_commas_are_passed_over(app: Flask, tmp_path: Path) -> None:
    """With blanks in them too; the lines count on."""
    file = tmp_path / "customers.csv"
    good = f"客,090-0000-0000,{number(1)},1,2030\n"
    file.write_text(HEADING + ",,,,\n" + good + " ,\u3000,,\t,\n,,,\n" + good)
    assert [record.line for record in Sheet(file).records()] == [3, 6]
    ran = run(app, str(file))
    assert (ran.exit_code, "2 rows: 2 imported" in ran.stdout) == (0, True)
    file.write_text(HEADING + ",,,,\n")
    assert "has a heading and no row" in run(app, str(file)).stderr
