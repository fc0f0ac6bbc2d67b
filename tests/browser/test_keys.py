"""The keys an operator presses all day."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.actors.keyboard import alt_n, press, register_by_keys
from tests.actors.operator_browser import Desk


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """An operator at the list, logged in."""
    made = new_desk()
    made.enter()
    return made


def test_cards_are_registered_one_after_the_other_by_keys_alone(desk: Desk) -> None:
    """Seven keys a card beside its data, and never a Tab through the list."""
    alt_n(desk)
    for _ in range(3):
        keys = register_by_keys(desk)
        expect(desk.page.locator("h2")).to_be_focused()
        keys += alt_n(desk)
        desk.page.wait_for_url("**/cards#customer_name")
        assert keys == 7
    assert desk.page.locator("tbody").inner_text().count("鍵 太郎") == 3
    assert desk.wrong == []


def test_the_ways_on_from_a_registered_card(desk: Desk) -> None:
    """The manual's two first, 戻る one Tab from what was said; 続けて登録 third, and
    the list it leads to is the one that was left."""
    desk.open("/cards?sort=name")
    alt_n(desk)
    register_by_keys(desk, "5555555555554444")
    desk.look("registered")
    said = []
    for _ in range(3):
        press(desk, "Tab")
        said.append(desk.page.evaluate("document.activeElement.textContent"))
    assert said == ["戻る", "ログアウト", "続けて登録"]
    press(desk, "Enter")
    desk.page.wait_for_url("**/cards?sort=name#customer_name")
    expect(desk.page.locator("[name=customer_name]")).to_be_focused()
    assert desk.wrong == []


def test_the_link_to_the_form_leads_into_it(desk: Desk) -> None:
    """新規登録へ is read with its key, and puts the caret into お客様名."""
    assert "新規登録へ（Alt+N）" in desk.text()
    desk.page.get_by_role("link", name="新規登録へ", exact=True).click()
    expect(desk.page.locator("[name=customer_name]")).to_be_focused()


def test_slash_can_be_switched_off_for_good(desk: Desk) -> None:
    """In the footer, for that browser; the hint says that there is such a key."""
    assert "（「/」キーで移動）" in desk.text()
    switch = desk.page.get_by_role("checkbox", name="「/」キーで検索欄へ移動する")
    expect(switch).to_be_checked()
    switch.uncheck()
    for _ in range(2):
        desk.page.locator("main").focus()
        press(desk, "/")
        expect(desk.page.locator("[name=q]")).not_to_be_focused()
        desk.open("/cards")
    desk.look("slash-off")
    switch.check()
    desk.open("/cards")
    press(desk, "/")
    expect(desk.page.locator("[name=q]")).to_be_focused()
    assert desk.wrong == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_that_asks_no_more_gets_the_checkbox(desk: Desk, width: int) -> None:
    """登録, 更新 and 削除 never go dead: the question comes back beside the button."""
    desk.page.set_viewport_size({"width": width, "height": 900})
    desk.page.add_init_script("window.confirm = () => false")
    desk.open("/cards")
    desk.fill(customer_name="無言", phone="0312345678")
    desk.card("6011111111111117", "1", "2030")
    _answer_by_checkbox(desk, "登録", "登録します。よろしいですか？")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")
    desk.open("/cards?q=無言")
    desk.press("編集")
    desk.fill(phone="0312345679")
    _answer_by_checkbox(desk, "更新", "変更します。よろしいですか？")
    expect(desk.page.locator("main")).to_contain_text("更新完了しました。")
    desk.open("/cards?q=無言")
    desk.press("編集")
    _answer_by_checkbox(desk, "削除", "削除します。よろしいですか？")
    expect(desk.page.locator("main")).to_contain_text("削除完了しました。")
    assert desk.wrong == []


def _answer_by_checkbox(desk: Desk, button: str, words: str) -> None:
    target = desk.page.get_by_role("button", name=button, exact=True)
    box = desk.page.get_by_role("checkbox", name=words)
    target.click()
    expect(box).to_be_focused()
    assert "確認のメッセージを表示できませんでした。" in desk.text()
    desk.look(f"unasked-{button}")
    target.click()
    expect(box).to_be_focused()
    box.check()
    target.click()
    desk.page.wait_for_load_state()
