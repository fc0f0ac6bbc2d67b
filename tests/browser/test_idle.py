"""The bar that warns before the login ends, by a clock that is put forward."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.actors.operator_browser import Desk


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """An operator at the list, whose browser's clock the test moves."""
    made = new_desk()
    made.enter()
    made.page.clock.install()
    made.open("/cards")
    return made


def renewals(desk: Desk) -> list[str]:
    """The requests that keep the login, from now on."""
    sent: list[str] = []
    desk.page.on(
        "request",
        lambda request: (
            sent.append(request.url) if "still-here" in request.url else None
        ),
    )
    return sent


def test_the_bar_says_how_long_and_what_is_lost(desk: Desk) -> None:
    """Two minutes before the end, and not before; 続ける gives the focus back."""
    bar, field = desk.page.locator("#idle"), desk.page.locator("[name=exp_month]")
    field.focus()
    desk.page.clock.fast_forward("12:50")
    expect(bar).to_be_hidden()
    desk.page.clock.fast_forward("00:15")
    expect(bar).to_be_visible()
    expect(bar).to_contain_text(
        "まもなく自動的にログアウトします。（あと約2分）カード番号は失われます。"
    )
    desk.look("idle")
    sent = renewals(desk)
    desk.page.get_by_role("button", name="続ける").click()
    expect(bar).to_be_hidden()
    expect(field).to_be_focused()
    assert len(sent) == 1
    assert desk.wrong == []


def test_who_types_sees_no_bar(desk: Desk) -> None:
    """A key pressed within the last minute renews the login once, silently."""
    sent = renewals(desk)
    desk.page.clock.fast_forward("12:30")
    with desk.page.expect_response("**/still-here"):
        desk.page.locator("[name=customer_name]").press("a")
        desk.page.clock.fast_forward("00:35")
    expect(desk.page.locator("#idle")).to_be_hidden()
    desk.page.clock.fast_forward("10:00")
    expect(desk.page.locator("#idle")).to_be_hidden()
    assert len(sent) == 1


def test_any_key_in_a_form_counts_as_going_on(desk: Desk) -> None:
    """Nobody has to leave the field for 続ける."""
    bar, field = desk.page.locator("#idle"), desk.page.locator("[name=customer_name]")
    desk.page.clock.fast_forward("13:05")
    expect(bar).to_be_visible()
    with desk.page.expect_response("**/still-here"):
        field.press("a")
    expect(bar).to_be_hidden()
    expect(field).to_be_focused()
    expect(field).to_have_value("a")


def test_the_eight_hours_are_announced(desk: Desk) -> None:
    """Ten minutes before, with the time; nothing to press puts it off."""
    bar = desk.page.locator("#ending")
    seconds = int(bar.get_attribute("data-seconds") or "0")
    assert 8 * 3600 - 600 < seconds <= 8 * 3600
    desk.page.evaluate("document.querySelector('#ending').dataset.seconds = '720'")
    desk.page.evaluate("watchEnding(document.querySelector('#ending'))")
    desk.page.clock.fast_forward("01:50")
    expect(bar).to_be_hidden()
    desk.page.clock.fast_forward("00:15")
    expect(bar).to_be_visible()
    expect(bar).to_have_text(
        re.compile(
            r"\d\d:\d\dに自動的にログアウトします（ログインから8時間）。"
            "入力中の内容は、それまでに登録してください。"
        )
    )
    assert bar.get_by_role("button").count() == 0
    desk.look("ending")
    assert desk.wrong == []
