"""LibreOffice opens the files that commands and pages write, and saves files that go
in."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from tests.actors.operator_client import Desk

from .stocked import VISA, stock

pytestmark = pytest.mark.skipif(
    shutil.which("soffice") is None and "CI" not in os.environ,
    reason="LibreOffice is not installed",
)

# UTF-8, commas, every cell as it is shown; see LibreOffice's filter options for CSV.
UTF_8 = "44,34,76"
AS_SHOWN = f"csv:Text - txt - csv (StarCalc):{UTF_8},1,,0,false,true,false"
NAMES = ("髙橋 花子", "株式会社 山田 2")
PHONES = ("09000000000", "03-1234-5678")


def saved(folder: Path, file: Path, form: str) -> Path:
    """``file`` opened and saved in another form, with a profile of its own."""
    words = ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless"]
    out = folder / "saved"
    if file.suffix == ".csv":
        # Nobody answers its question about the file, which its byte order mark does.
        words.append(f"--infilter=CSV:{UTF_8}")
    words += ["--convert-to", form, "--outdir", str(out), str(file)]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    return out / f"{file.stem}.{form.partition(':')[0]}"


def shown(folder: Path, file: Path) -> list[dict[str, str]]:
    """What the spreadsheet shows in each cell of a CSV file."""
    sheet = saved(folder, file, "ods")
    data = saved(folder, sheet, AS_SHOWN).read_text(encoding="utf-8")
    return list(csv.DictReader(data.splitlines()))


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """A file of two customers, as a spreadsheet program has it: a workbook."""
    heading = "customer_name,phone,card_number,exp_month,exp_year"
    rows = [
        f'{name},"=""{phone}""","=""4810000000020000""","=""01""",2030'
        for name, phone in zip(NAMES, PHONES, strict=True)
    ]
    written = tmp_path / "customers.csv"
    written.write_text("\r\n".join([heading, *rows, ""]), encoding="utf-8-sig")
    return saved(tmp_path, written, "xlsx")


def test_a_workbook_saved_as_csv_goes_in_and_the_files_show_what_is_stored(
    app: Flask, tmp_path: Path, customers: Path
) -> None:
    """Names, telephone numbers, expiries and tokens, in the results and in the list."""
    workbook = tmp_path / "out.csv"
    file, results = saved(tmp_path, customers, AS_SHOWN), tmp_path / "results.csv"
    words = ["cards", "import", str(file), "--results", str(results)]
    ran = app.test_cli_runner().invoke(args=words)
    assert ran.exit_code == 0, ran.output
    found = shown(tmp_path, results)
    assert [(row["status"], row["last4"]) for row in found] == [
        ("imported", "0000"),
        ("imported", "0000"),
    ]
    listed = app.test_cli_runner().invoke(args=["cards", "list", "--csv"])
    workbook.write_bytes(listed.stdout_bytes)
    rows = {row["token"]: row for row in shown(tmp_path, workbook)}
    assert list(rows) == [row["token"] for row in found]
    cells = ("customer_name", "phone", "exp_month", "exp_year")
    assert [tuple(row[name] for name in cells) for row in rows.values()] == [
        (name, phone, "01", "2030") for name, phone in zip(NAMES, PHONES, strict=True)
    ]


def test_the_lists_workbook_shows_what_is_stored(tmp_path: Path, desk: Desk) -> None:
    """Names, telephone numbers with their zeros, months and times, all as text."""
    names = (*NAMES, "=1+1", "1-2")
    stock(desk, *((name, PHONES[0], VISA, 203001) for name in names))
    stock(desk, ("A", PHONES[1], VISA, 203012))
    book = tmp_path / "cards.xlsx"
    book.write_bytes(desk.client.get("/cards.xlsx?sort=name").get_data())
    csv_file = saved(tmp_path, book, AS_SHOWN)
    rows = list(csv.DictReader(csv_file.read_text(encoding="utf-8").splitlines()))
    assert {row["お客様名"] for row in rows} == {*names, "A"}
    assert {row["電話番号"] for row in rows} == set(PHONES)
    assert {row["カード番号"] for row in rows} == {"48**-****-****-0000"}
    assert {row["有効期限"] for row in rows} == {"01/2030", "12/2030"}
    assert {row["更新日時"] for row in rows} == {"2026/11/23 12:00"}
