"""What was typed comes back after a login that ended, and the number never does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.actors.operator_browser import Desk

BACK = (
    "入力の途中でログアウトしたため、入力内容を戻しました。"
    "カード番号は安全のため再入力してください。"
)
NUMBER = "4810000000020000"


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """An operator at a browser, not logged in."""
    return new_desk()


def fill_in(desk: Desk) -> None:
    """A whole card."""
    desk.fill(customer_name="書きかけ 太郎", phone="03-1234-5678")
    desk.card(NUMBER, "7", "2031")


def typed(desk: Desk) -> list[str]:
    """What the card form holds."""
    names = ["customer_name", "phone", "exp_month", "exp_year"]
    names += [f"card_number_{n}" for n in range(1, 5)]
    return [desk.page.locator(f"[name={name}]").input_value() for name in names]


def kept(desk: Desk) -> str:
    """What the browser keeps for this tab."""
    text: str = desk.page.evaluate("JSON.stringify(sessionStorage)")
    return text


def test_a_form_that_met_a_dead_login_comes_back_after_the_next(desk: Desk) -> None:
    """On the list as it was, with all but the number, which was never kept."""
    login_id = desk.enter()
    desk.open("/cards?sort=name")
    fill_in(desk)
    desk.site.end_logins(login_id)
    desk.press("登録")
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    assert "書きかけ" in kept(desk)
    assert NUMBER[:4] not in kept(desk)
    desk.log_in(login_id)
    desk.page.wait_for_url("**/cards?sort=name")
    expect(desk.page.locator("#new .notice")).to_have_text(BACK)
    expect(desk.page.locator("#new .notice")).to_be_focused()
    assert typed(desk) == ["書きかけ 太郎", "03-1234-5678", "7", "2031", "", "", "", ""]
    desk.look("typed-is-back")
    assert kept(desk) == "{}"
    desk.card(NUMBER, "7", "2031")
    desk.press("登録")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")
    assert kept(desk) == "{}"
    assert desk.wrong == []


def test_the_page_of_a_card_is_opened_again(desk: Desk) -> None:
    """With what was typed into it; what was not typed is what is stored."""
    login_id = desk.enter()
    fill_in(desk)
    desk.press("登録")
    desk.open("/cards?sort=name")
    desk.press("編集")
    assert "sort=name" in desk.page.url
    page = desk.page.url
    desk.fill(phone="090-1111-2222")
    desk.site.end_logins(login_id)
    desk.press("更新")
    desk.log_in(login_id)
    desk.page.wait_for_url(page)
    expect(desk.page.locator(".edit .notice")).to_have_text(BACK)
    assert typed(desk)[:4] == ["書きかけ 太郎", "090-1111-2222", "", ""]
    assert desk.wrong == []


def test_fifteen_idle_minutes_lose_nothing_but_the_number(desk: Desk) -> None:
    """The page leaves by itself; what was typed waits for the next login."""
    login_id = desk.enter()
    desk.page.clock.install()
    desk.open("/cards")
    fill_in(desk)
    desk.site.end_logins(login_id)
    desk.page.clock.fast_forward("15:02")
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    desk.log_in(login_id)
    expect(desk.page.locator("#new .notice")).to_have_text(BACK)
    assert typed(desk)[:4] == ["書きかけ 太郎", "03-1234-5678", "7", "2031"]


def test_nobody_else_gets_it(desk: Desk) -> None:
    """Another operator's login in the same tab forgets it."""
    login_id = desk.enter()
    fill_in(desk)
    desk.site.end_logins(login_id)
    desk.press("登録")
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    desk.log_in(desk.site.operator())
    expect(desk.page.locator("[name=customer_name]")).to_have_value("")
    assert kept(desk) == "{}"


def test_who_logs_out_leaves_nothing(desk: Desk) -> None:
    """Not even what an answered form left behind when its answer was an error."""
    desk.enter()
    fill_in(desk)
    desk.press("登録")
    desk.press("続けて登録")
    desk.fill(customer_name="書きかけ")
    desk.press("ログアウト")
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    assert kept(desk) == "{}"


def test_a_number_in_the_wrong_box_is_not_kept(desk: Desk) -> None:
    """Whichever field it was typed into, and however."""
    desk.enter()
    desk.fill(
        customer_name="４８１０－００００－０００２－００００",
        phone="4810 0000 0002 0000",
        exp_month=NUMBER,
        exp_year="2031",
    )
    desk.page.evaluate("keepTyped()")
    assert "2031" in kept(desk)
    assert "481" not in kept(desk)
    assert "４８１" not in kept(desk)
