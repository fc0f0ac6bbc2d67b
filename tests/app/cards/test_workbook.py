"""「Excelで保存」: the list as a workbook whose cells are all text."""

from __future__ import annotations

import csv
import io
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from app.cards import texts
from app.cards.search import export, workbook
from tests.actors.operator_client import Desk
from tests.places.site import site_path
from tests.places.vault import VaultPlace

from .stocked import AMEX, VISA, stock

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", '=A"B,C', "{=1}", "_x0041_")


@pytest.fixture
def three(desk: Desk) -> Desk:
    """Three customers, registered in this order."""
    stock(
        desk,
        ("ヤマダ商店", "03-1234-5678", VISA, 203001),
        ("髙橋 <&> \U00020bb7", "09011112222", AMEX, 202612),
        ("すずき", "080-3333-0000", "5555555555554444", 202610),
    )
    return desk


class Opened:
    """A workbook as a program reads it, by its parts."""

    def __init__(self, raw: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(raw)) as parts:
            self.sheet = ET.fromstring(parts.read("xl/worksheets/sheet1.xml"))
            shared = ET.fromstring(parts.read("xl/sharedStrings.xml"))
            self.names = parts.namelist()
        self._texts = ["".join(one.itertext()) for one in shared]

    @property
    def kinds(self) -> set[str | None]:
        """How the cells are written; ``s`` is text."""
        return {cell.get("t") for cell in self.sheet.iter(f"{MAIN}c")}

    @property
    def rows(self) -> list[list[str]]:
        """The text of each cell."""
        return [
            [self._texts[int(cell.findtext(f"{MAIN}v", ""))] for cell in row]
            for row in self.sheet.iter(f"{MAIN}row")
        ]

    def part(self, name: str) -> dict[str, str]:
        """The attributes of the first element of this name."""
        return next(self.sheet.iter(f"{MAIN}{name}")).attrib


def saved(desk: Desk, query: str = "") -> Opened:
    """What 「Excelで保存」 saves."""
    answer = desk.client.get(f"/cards.xlsx{query}")
    assert answer.status_code == 200
    return Opened(answer.get_data())


@pytest.mark.engines("sqlite", "postgres")
def test_the_workbook_is_masked_and_named(three: Desk) -> None:
    """Every text whole: zeros, months, signs of XML, characters beyond 16 bits."""
    answer = three.client.get("/cards.xlsx?q=髙橋")

    assert answer.content_type == workbook.CONTENT_TYPE
    disposition = answer.headers["Content-Disposition"]
    assert disposition == 'attachment; filename="cards-20261123.xlsx"'
    opened = Opened(answer.get_data())
    assert opened.kinds == {"s"}
    assert opened.rows == [
        [
            "お客様名",
            "電話番号",
            "カード番号",
            "カードブランド",
            "有効期限",
            "更新日時",
        ],
        [
            "髙橋 <&> \U00020bb7",
            "09011112222",
            "37**-******-*0005",
            "American Express",
            "12/2026",
            "2026/11/23 12:00",
        ],
    ]


@pytest.mark.parametrize(
    "query", ["", "?sort=name", "?sort=-expiry", "?expiry=expired", "?q=0000&sort=name"]
)
def test_it_has_the_rows_of_the_csv_in_its_order(three: Desk, query: str) -> None:
    """The same search, filter and order, with all pages."""
    stock(three, *((f"客{n}", "0312345678", VISA, 203001) for n in range(60)))
    text = three.client.get(f"/cards.csv{query}").get_data(as_text=True)

    rows = saved(three, f"{query}{'&' if query else '?'}page=2").rows

    assert rows == list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) > 1


def test_no_name_is_a_formula(desk: Desk) -> None:
    """It stays as it was typed, without an apostrophe."""
    stock(desk, *((name, "03-1234-5678", VISA, 203001) for name in FORMULAS))

    opened = saved(desk)

    assert {row[0] for row in opened.rows[1:]} >= set(FORMULAS[:-1])
    # In a workbook _x0041_ means A, unless its first sign is written so itself.
    assert "_x005F_x0041_" in [row[0] for row in opened.rows]
    assert opened.kinds == {"s"}
    assert not list(opened.sheet.iter(f"{MAIN}f"))


def test_the_heading_stays_and_filters(three: Desk) -> None:
    """It is frozen, over all rows; each column is as wide as what it holds."""
    opened = saved(three)

    assert opened.part("pane")["state"] == "frozen"
    assert opened.part("pane")["ySplit"] == "1"
    assert opened.part("autoFilter") == {"ref": "A1:F4"}
    columns = list(opened.sheet.iter(f"{MAIN}col"))
    widths = [float(column.attrib["width"]) for column in columns]
    longest = [max(map(len, column)) for column in zip(*opened.rows, strict=True)]
    assert all(width > most for width, most in zip(widths, longest, strict=True))


def test_an_empty_list_is_a_heading(desk: Desk) -> None:
    """Nothing stored is no fault."""
    assert saved(desk).rows == [list(texts.CSV_HEADINGS)]


def test_the_workbook_is_in_the_trail(three: Desk) -> None:
    """Who took how many rows, and in what kind of file."""
    saved(three, "?expiry=expired")

    event, _, detail = three.trail()[-1]
    assert event == "cards.exported_masked"
    assert '"rows": "1"' in detail
    assert '"kind": "xlsx"' in detail


def test_without_its_entry_nothing_is_sent(
    three: Desk, monkeypatch: pytest.MonkeyPatch, place: VaultPlace
) -> None:
    """The trail can't be written, so the answer is no file."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    file = place.folder / "vault.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = three.client.get("/cards.xlsx")

    assert answer.status_code == 503
    assert answer.mimetype == "text/html"


def test_more_than_a_workbook_may_have_is_said(
    three: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list says what to do; nothing was taken, so the trail says nothing."""
    before = three.trail()
    monkeypatch.setattr(workbook, "MOST_ROWS", 2)

    answer = three.open("/cards.xlsx?sort=name&page=1")

    assert (answer.status_code, answer.location) == (303, "/cards?sort=name")
    three.open("/cards?sort=name")
    assert texts.too_many_for_a_workbook(2) in three.page
    assert three.trail() == before
    assert len(saved(three, "?q=0000").rows) == 3


def test_no_file_is_written(
    three: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There is no folder for temporary files, and none is needed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    assert len(saved(three).rows) == 4


def test_nothing_is_held_while_it_is_made(
    three: Desk, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    """Another may write, and empty the log, at every row."""
    free, cells = [], export.cells

    def looked(customer: Any) -> tuple[str, ...]:
        with closing(sqlite3.connect(site_path(environ), timeout=0)) as other:
            busy, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        free.append(not busy)
        return cells(customer)

    monkeypatch.setattr(export, "cells", looked)

    assert len(saved(three).rows) == 4
    assert free == [True] * 3


def test_who_waits_for_another_workbook_is_told_soon(
    three: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and no entry, so that waiting keeps no thread from the other pages."""
    before = three.trail()
    monkeypatch.setattr(workbook, "WAIT_SECONDS", 0.01)
    with workbook._one_at_a_time:
        assert three.client.get("/cards.xlsx").status_code == 503
        assert three.client.get("/cards").status_code == 200
    assert three.trail() == before
    assert len(saved(three).rows) == 4


def test_a_workbook_that_fails_is_in_nobodys_way(
    three: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one is made."""
    with monkeypatch.context() as patch:
        patch.setattr(export, "cells", lambda _customer: (1,))
        assert three.client.get("/cards.xlsx").status_code == 500
    assert len(saved(three).rows) == 4


def test_the_link_keeps_what_is_shown(three: Desk) -> None:
    """Search, order and filter, but no page; it stands beside that of the CSV."""
    three.open("/cards?q=0000&sort=name&expiry=expired&page=-1")

    for kind in ("csv", "xlsx"):
        link = f'href="/cards.{kind}?q=0000&amp;sort=name&amp;expiry=expired"'
        assert link in three.page
    assert ">Excelで保存</a>" in three.page
