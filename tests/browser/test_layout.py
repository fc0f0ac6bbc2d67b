"""Where things stand on the page, wide, narrow and zoomed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.actors.operator_browser import Desk, Site

LONG = "社会福祉法人 東京都北区ひまわり福祉会 本部事務局"
CARDS = [
    ("髙橋 一郎", "5555555555554444", "1", "2030"),
    ("株式会社杉山運輸", "4810000000020000", "12", "2045"),
    ("渡邉 花子", "378282246310005", "2", "2031"),
    (LONG, "8171999900000000021", "3", "2032"),
    ("有限会社山﨑工務店", "30569309025904", "4", "2033"),
]


@pytest.fixture(scope="module")
def login_id(site: Site) -> str:
    """An operator who registers the cards first."""
    return site.operator()


@pytest.fixture
def desk(new_desk: Callable[..., Desk], filled: None) -> Desk:
    """An operator at the list of CARDS."""
    assert filled is None
    made = new_desk()
    made.enter()
    return made


@pytest.fixture(scope="module")
def filled(site: Site, chromium: Any) -> Iterator[None]:
    """CARDS, registered."""
    context = chromium.new_context(locale="ja-JP")
    made = Desk(context.new_page(), site, "filling")
    made.page.on("dialog", lambda dialog: dialog.accept())
    made.enter()
    for name, number, month, year in CARDS:
        made.fill(customer_name=name, phone="090-1234-5678")
        made.card(number, month, year)
        made.press("登録")
        made.press("戻る")
    yield
    context.close()


def lines(desk: Desk, selector: str) -> list[int]:
    """How many lines of text each element has."""
    counted: list[int] = desk.page.eval_on_selector_all(
        selector,
        """(all) => all.map((one) => {
            const range = document.createRange();
            range.selectNodeContents(one);
            return new Set([...range.getClientRects()].map((box) => Math.round(box.bottom / 8))).size;
        })""",
    )
    return counted


@pytest.mark.parametrize("width", [1060, 1280, 1366, 1920])
def test_dates_and_expiries_are_on_one_line(desk: Desk, width: int) -> None:
    """At any width at which the list is a table."""
    desk.page.set_viewport_size({"width": width, "height": 800})
    assert set(lines(desk, "td.updated")) == {1}
    assert set(lines(desk, "td.expires")) == {1}
    assert set(lines(desk, "td .masked")) == {1}


def test_the_columns_stay_where_they_are(desk: Desk) -> None:
    """編集 is in the same place whatever the page shows, and rows are low."""
    places = []
    for q in ("", "髙橋", "本部事務局"):
        desk.open(f"/cards?q={q}")
        box = desk.page.locator("td.act a").first.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        places.append(box["x"])
    assert len(set(places)) == 1
    desk.open("/cards?q=髙橋")
    row = desk.page.locator("tbody tr").bounding_box()
    assert row is not None
    assert row["height"] < 62


def test_six_rows_are_in_sight(desk: Desk) -> None:
    """At 1280 by 800, where a row has one line."""
    desk.page.set_viewport_size({"width": 1280, "height": 800})
    rows = [row.bounding_box() for row in desk.page.locator("tbody tr").all()]
    boxes = [box for box in rows if box is not None]
    top, height = boxes[0]["y"], min(box["height"] for box in boxes)
    assert top + 6 * height <= 800


@pytest.mark.parametrize(
    ("width", "number", "in_line"),
    [(390, "999", True), (390, "1,000以上", False), (320, "1,000以上", False)],
)
def test_the_filters_stay_beside_each_other(
    desk: Desk, width: int, number: str, in_line: bool
) -> None:
    """With three digits in one line; a longer number stands under its word."""
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.page.eval_on_selector_all(
        ".filter a",
        """(all, number) => all.slice(1).forEach((one) => {
            one.textContent = one.textContent.replace(/（.*）/, `（${number}）`);
        })""",
        number,
    )
    boxes = [link.bounding_box() for link in desk.page.locator(".filter a").all()]
    first, *others = [box for box in boxes if box is not None]
    middles = {round(box["y"] + box["height"] / 2) for box in (first, *others)}
    assert len(middles) == 1
    assert len(others) == 2
    assert all((box["height"] < 50) is in_line for box in others)
    assert all(box["height"] >= 44 for box in (first, *others))
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 640, 850])
def test_nothing_vanishes_when_it_is_narrow_or_zoomed(desk: Desk, width: int) -> None:
    """The headings that sort are seen where they are reached; so are the date and
    the operator's own name."""
    desk.page.set_viewport_size({"width": width, "height": 800})
    for label in ("お客様名", "有効期限", "更新日"):
        link = desk.page.get_by_role("link", name=label)
        link.focus()
        box = link.bounding_box()
        assert box is not None
        assert box["height"] >= 24
        assert box["width"] > 40
        expect(link).to_be_in_viewport(ratio=1)
    assert "並べ替え" in desk.page.evaluate(
        "getComputedStyle(document.querySelector('.list thead tr'), '::before').content"
    )
    assert "更新日" in desk.page.evaluate(
        "getComputedStyle(document.querySelector('td.updated'), '::before').content"
    )
    expect(desk.page.locator("td.updated").first).to_be_visible()
    expect(desk.page.locator(".who")).to_be_visible()
    header = desk.page.locator("header").bounding_box()
    assert header is not None
    assert header["height"] < 140
    desk.page.get_by_role("link", name="お客様名").click()
    desk.page.wait_for_url("**/cards?sort=name")
    desk.look("narrow")
    assert desk.wrong == []


@pytest.fixture
def stopped(site: Site, filled: None) -> Iterator[None]:
    """Each of CARDS is marked as stopped."""
    assert filled is None
    path = site.place.folder / "site.db"
    for mark in ("1795402800", "NULL"):
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"UPDATE customer SET stopped_at = {mark}")
            db.commit()
        if mark != "NULL":
            yield


@pytest.mark.parametrize("width", [1060, 1280, 1920, 390])
def test_a_stopped_cards_badge_stays_in_its_column(
    desk: Desk, stopped: None, width: int
) -> None:
    """With its date on one line; the edit page has it too."""
    assert stopped is None
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.open("/cards?expiry=stopped")
    assert set(lines(desk, "td .stopped")) == {1}
    for cell in desk.page.locator("td.expires").all():
        outer, inner = cell.bounding_box(), cell.locator(".stopped").bounding_box()
        assert outer is not None
        assert inner is not None
        assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= width
    desk.look("stopped")
    desk.page.get_by_role("link", name="編集").first.click()
    expect(desk.page.locator("dd .stopped")).to_have_text("要確認 2026/11/23")
    desk.look("stopped-edit")
    assert desk.wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_table_is_one_for_a_screen_reader(desk: Desk, width: int) -> None:
    """Chromium keeps the table's parts although the narrow page shows them as blocks,
    so that no role has to be written out."""
    desk.page.set_viewport_size({"width": width, "height": 800})
    session = desk.page.context.new_cdp_session(desk.page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    rows = len(CARDS)
    assert roles.count("table") == 1
    assert roles.count("rowheader") == rows
    assert roles.count("columnheader") == 6
    assert roles.count("gridcell") + roles.count("cell") == 5 * rows


@pytest.mark.parametrize("width", [1280, 390])
def test_deleting_stands_apart(desk: Desk, width: int) -> None:
    """更新, 戻る, and 削除 last and away from both, with what it means."""
    desk.page.set_viewport_size({"width": width, "height": 800})
    desk.press("編集")
    boxes = []
    for role, name in (("button", "更新"), ("link", "戻る"), ("button", "削除")):
        box = desk.page.get_by_role(role, name=name, exact=True).bounding_box()  # type: ignore[arg-type]
        assert box is not None
        boxes.append(box)
    change, back, delete = boxes
    assert "削除すると元に戻せません。" in desk.text()
    if width == 1280:
        assert change["x"] < back["x"] < delete["x"]
        assert delete["x"] - (back["x"] + back["width"]) > 150
    else:
        assert change["y"] < back["y"] < delete["y"]
        assert delete["y"] - (back["y"] + back["height"]) > 30
    desk.look("edit")
    assert desk.wrong == []


def test_paper_has_the_list_and_the_slip_and_nothing_to_press(desk: Desk) -> None:
    """As wide as a sheet of A4, which on the screen is narrow."""
    desk.page.set_viewport_size({"width": 718, "height": 1000})
    desk.page.emulate_media(media="print")
    expect(desk.page.locator("#list")).to_be_visible()
    display = "getComputedStyle(document.querySelector('table')).display"
    assert desk.page.evaluate(display) == "table"
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert desk.page.evaluate(over) == 0
    for hidden in (".search", "#new", "td.act", ".who", "footer"):
        expect(desk.page.locator(hidden).first).to_be_hidden()
    desk.look("paper-list")
    desk.page.emulate_media(media="screen")
    desk.fill(customer_name="紙", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    slip = desk.page.locator(".slip")
    expect(slip.first).to_be_hidden()
    desk.page.emulate_media(media="print")
    assert slip.all_inner_texts()[1].split() == ["担当者", "山田"]
    expect(slip.first).to_be_visible()
    expect(desk.page.get_by_role("link", name="戻る")).to_be_hidden()
    desk.look("paper-slip")
    assert desk.wrong == []
