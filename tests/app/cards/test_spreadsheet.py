"""What the site writes for people, a spreadsheet leaves whole."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from flask import Flask

from app.spreadsheet import as_text
from tests.actors.operator_client import A_CARD, Desk

BOM = b"\xef\xbb\xbf"
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


@pytest.mark.parametrize(
    "cell",
    [
        "01",
        "0004",
        "09000000000",
        "01/2030",
        "1-2",
        "2030-01-31",
        "2030/1",
        "1.50",
        "1,000",
        "12:30",
        "4111111111111111",
        "1e5",
        "2E15",
        "50%",
        "¥100",
        "(5)",
        "１２",
        "０１",
        "1月2日",
        "平成30年1月1日",
        "H30.1.1",
        "Jan-30",
        "5 May",
        "true",
        " 12",
    ],
)
def test_what_a_spreadsheet_would_change_is_marked_as_text(cell: str) -> None:
    """Numbers that lose zeros or digits, dates, times and truth values."""
    assert as_text(cell) == f'="{cell}"'


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "0",
        "2",
        "4444",
        "2030",
        "12345678901",
        "090-0000-0000",
        "03-12345678",
        "48**-****-****-0000",
        "card_bcdfghjklmnpqrstvwxzbcdfghjklmn",
        "山田 太郎",
        "山田1号",
        "May",
        "Mayumi",
        "Marcel 商店",
        "imported",
    ],
)
def test_what_a_spreadsheet_leaves_alone_is_written_as_it_is(cell: str) -> None:
    """A program that reads it finds no mark."""
    assert as_text(cell) == cell


@pytest.mark.parametrize("cell", ['="01"', '1"&A1', '=HYPERLINK("x")', "+1", "＝01"])
def test_no_cell_brings_a_formula_of_its_own(cell: str) -> None:
    """The mark is a formula that is only text, and only the site writes one."""
    assert as_text(cell) in (f"'{cell}", cell)
    assert not as_text(cell).startswith("=")


def rows(data: bytes) -> list[dict[str, str]]:
    """The rows of a file for people: UTF-8 with a byte order mark and CRLF."""
    assert data.startswith(BOM)
    assert data.count(b"\n") == data.count(b"\r\n")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_each_file_for_people_is_left_whole(
    app: Flask, desk: Desk, tmp_path: Path
) -> None:
    """The results of an import and the list by command; the site's own file is for
    programs too and has what was typed."""
    file, out = tmp_path / "customers.csv", tmp_path / "results.csv"
    file.write_text(HEADING + "山田,09000000000,4810000000020000,1,2030\n,,,x,\n")
    words = ["cards", "import", str(file), "--results", str(out)]
    assert app.test_cli_runner().invoke(args=words).exit_code == 1
    good, bad = rows(out.read_bytes())
    assert (good["line"], good["last4"]) == ("2", '="0000"')
    assert (bad["last4"], bad["error"].startswith("customer_name: お客様名")) == (
        "",
        True,
    )
    listed = app.test_cli_runner().invoke(args=["cards", "list", "--csv"])
    (row,) = rows(listed.stdout_bytes)
    assert row["token"] == good["token"]
    assert row["phone"] == '="09000000000"'
    assert (row["exp_month"], row["exp_year"]) == ('="01"', "2030")
    (row,) = rows(desk.open("/cards.csv").get_data())
    assert (row["電話番号"], row["有効期限"]) == ("09000000000", "01/2030")


def test_the_same_results_file_is_written_anew(app: Flask, tmp_path: Path) -> None:
    """One of this version, or one without a byte order mark of an older one."""
    file, out = tmp_path / "customers.csv", tmp_path / "results.csv"
    file.write_text(HEADING + "山田,09000000000,4810000000020000,1,2030\n")
    words = ["cards", "import", str(file), "--results", str(out)]
    assert app.test_cli_runner().invoke(args=words).exit_code == 0
    told = out.read_bytes()
    for older in (told, told.removeprefix(BOM)):
        out.write_bytes(older)
        assert app.test_cli_runner().invoke(args=words).exit_code == 0
        assert out.read_bytes() == told


def test_the_list_is_utf_8_whatever_the_terminal_is(app: Flask, desk: Desk) -> None:
    """Where a shell's own encoding is CP932, the file opens all the same."""
    desk.register(**{**A_CARD, "customer_name": "髙橋"})
    runner = app.test_cli_runner(charset="cp932")
    (row,) = rows(runner.invoke(args=["cards", "list", "--csv"]).stdout_bytes)
    assert row["customer_name"] == "髙橋"
