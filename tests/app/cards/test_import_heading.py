"""A file that is no CSV of the five columns is refused with the reason by name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from flask import Flask

from app.cards.importing.heading import COLUMNS

ROW = ("山田 太郎", "090-0000-0000", "4810000000020000", "1", "2030")
ALL_MISSING = (
    "the column customer_name is missing, as are phone, card_number, exp_month, "
    "exp_year"
)


def workbook() -> bytes:
    """The beginning of an .xlsx: a zip with its list of parts."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
    return data.getvalue()


def refused(app: Flask, tmp_path: Path, data: bytes) -> str:
    """What is said of a file; it is refused whole, on a dry run too."""
    file = tmp_path / "customers.csv"
    file.write_bytes(data)
    said = []
    for flags in ((), ("--dry-run",)):
        words = ["cards", "import", str(file), *flags]
        ran = app.test_cli_runner().invoke(args=words)
        assert (ran.exit_code, ran.stdout) == (2, "")
        said.append(ran.stderr)
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize("heading", [COLUMNS, ("お客様名", "電話番号", "カード番号")])
@pytest.mark.parametrize(
    ("delimiter", "named"),
    [
        (";", "semicolons"),
        ("\t", "tabs"),
        ("|", "vertical bars"),
        ("，", "full-width commas"),
        ("、", "Japanese commas"),
    ],
)
def test_another_delimiter_is_named(
    app: Flask, tmp_path: Path, delimiter: str, named: str, heading: tuple[str, ...]
) -> None:
    """Whatever the columns are called."""
    text = f"{delimiter.join(heading)}\n{delimiter.join(ROW)}\n"
    said = refused(app, tmp_path, text.encode())
    assert f"the columns are separated by {named}, not by commas" in said
    assert "CSV UTF-8" in said


@pytest.mark.parametrize("first", ["sep=,", "sep=;", "SEP=\t", '"sep=,"'])
def test_excels_own_line_is_named(app: Flask, tmp_path: Path, first: str) -> None:
    """It is to be deleted; the heading after it may be good."""
    text = f"{first}\n{','.join(COLUMNS)}\n{','.join(ROW)}\n"
    said = refused(app, tmp_path, text.encode())
    assert "begins with the line sep=" in said
    assert "delete that line" in said


@pytest.mark.parametrize(
    ("heading", "named"),
    [
        ("お客様名,電話番号,カード番号,月,年", ALL_MISSING),
        ("customer_name,phone,card_number", "exp_month is missing, as are exp_year"),
        (f"{','.join(COLUMNS)},,", "no name in column 6, 7"),
        (f"{','.join(COLUMNS[:4])},", "exp_year is missing; no name in column 5"),
        (f"{','.join(COLUMNS)},phone", "the column phone is there twice"),
        (f"{','.join(COLUMNS)},note", "columns besides the 5 known"),
        (",".join(ROW), ALL_MISSING),
    ],
)
def test_each_fault_of_the_heading_is_named(
    app: Flask, tmp_path: Path, heading: str, named: str
) -> None:
    """All at once, and no word of the file is repeated: it may hold a number."""
    said = refused(app, tmp_path, f"{heading}\n{','.join(ROW)}\n".encode())
    assert named in said
    assert f"the first line must name: {', '.join(COLUMNS)}" in said
    assert not any(word in said for word in ("お客様名", ROW[0], ROW[2]))


@pytest.mark.parametrize(
    "data",
    [workbook(), bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512)],
    ids=["xlsx", "xls"],
)
def test_a_workbook_is_refused_with_the_words_that_help(
    app: Flask, tmp_path: Path, data: bytes
) -> None:
    """Whatever the file is called."""
    said = refused(app, tmp_path, data)
    assert "is a workbook" in said
    assert "CSV UTF-8（コンマ区切り）" in said
