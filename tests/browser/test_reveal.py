"""表示 beside what is typed blind."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.actors.operator_browser import Desk
from tests.places.site import PASSWORD


def test_a_password_is_shown_while_its_button_is_pressed(
    new_desk: Callable[..., Desk],
) -> None:
    """Its name stays, its state says if it is pressed, and nothing is sent from a box of
    plain text, which the browser would offer again."""
    desk = new_desk()
    desk.open("/login")
    desk.look("login", narrow=True)
    field = desk.page.get_by_label("パスワード")
    button = desk.page.get_by_role("button", name="パスワードを表示", exact=True)
    expect(button).to_have_attribute("aria-pressed", "false")
    desk.fill(login_id="nobody", password="correct horse battery 5")
    for shown in (True, False, True):
        button.click()
        expect(button).to_have_attribute("aria-pressed", str(shown).lower())
        expect(field).to_have_attribute("type", "text" if shown else "password")
        expect(field).to_have_value("correct horse battery 5")
    kinds = desk.page.evaluate(
        """() => new Promise((resolve) => {
            const field = document.getElementById("password");
            field.form.addEventListener("submit", (event) => {
                event.preventDefault();
                resolve(field.type);
            });
            field.form.requestSubmit();
        })"""
    )
    assert kinds == "password"
    assert desk.wrong == []


def test_three_passwords_can_be_shown_one_by_one(
    new_desk: Callable[..., Desk],
) -> None:
    """Each box has its own button; the page has a way back."""
    desk = new_desk()
    desk.login()
    desk.press("パスワードの変更")
    desk.fill(new_password="password1password1")
    desk.press("新しいパスワードを表示")
    shown = desk.page.locator("input[type=text]:visible")
    assert [box.get_attribute("name") for box in shown.all()] == ["new_password"]
    desk.look("password", narrow=True)
    desk.press("戻る")
    assert "クレジットカード情報の一覧" in desk.text()
    assert desk.wrong == []


def test_a_refused_password_says_why(new_desk: Callable[..., Desk]) -> None:
    """Beside its box, and the boxes hide what they hold."""
    desk = new_desk()
    desk.login()
    desk.press("パスワードの変更")
    words = dict.fromkeys(("new_password", "new_password_again"), "password1password1")
    desk.fill(current_password=PASSWORD, **words)
    desk.press("変更")
    assert "推測されやすいパスワードです（同じ文字や言葉のくり返し）。" in desk.text()
    desk.look("password-refused", narrow=True)
    assert desk.wrong == []


def test_without_script_there_is_no_button(new_desk: Callable[..., Desk]) -> None:
    """Nothing to press that does nothing."""
    desk = new_desk(scripts=False)
    desk.open("/login")
    assert desk.page.get_by_role("button").all_inner_texts() == ["ログイン"]
