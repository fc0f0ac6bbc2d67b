"""The steps of the printed manual, taken by an operator at a browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.actors.operator_browser import Desk, Site
from tests.places.site import PASSWORD

NUMBER = "4810000000020000"
SECOND = "5555555555554444"
MASK = "48**-****-****-0000"


def log_in(desk: Desk, site: Site) -> None:
    """Go from the first page to the list."""
    login_id = site.operator()
    desk.open("/")
    assert desk.page.title() == "ログイン - オフィス24クレジットカード登録"
    assert "ログインID、パスワードを入力してください。" in desk.text()
    assert "mothikari_support@mot-net.com" in desk.text()
    assert "Copyright ©2016-2017 Office24 Co., Ltd. All Rights Reserved." in desk.text()
    desk.look("login")
    desk.press("ログイン")
    assert "入力内容に誤りがあります。" in desk.text()
    assert desk.page.title().startswith("エラー：")
    desk.look("login-error")
    desk.fill(login_id=login_id, password=PASSWORD)
    desk.press("ログイン")
    assert "認証コードを送信するメールアドレスを入力してください。" in desk.text()
    desk.look("address")
    desk.fill(email=f"{login_id}@example.co.jp")
    desk.press("送信")
    assert "メールアドレス宛てに、認証コードをお送りしました。" in desk.text()
    assert "記載されている認証コードを入力してください。" in desk.text()
    assert f"{login_id}@example.co.jp" in desk.text()
    desk.look("code")
    code = site.mails.code()
    desk.fill(code="wrong")
    desk.press("ログイン")
    assert "認証コードが正しくありません。（残り4回）" in desk.text()
    desk.look("code-error")
    desk.fill(code=code.upper())
    desk.press("ログイン")


def register(desk: Desk) -> None:
    """Register a card at the list, at the second try."""
    for words in (
        "クレジットカード情報の一覧",
        "クレジットカード情報の新規登録",
        "※ AMEX等の15桁のカードの場合は左詰めで4桁ずつ入力し、最後の欄は3桁で入力してください。",
        "smartsafety_support@mot-net.com",
    ):
        assert words in desk.text()
    desk.look("list")
    desk.fill(customer_name="A", phone="12")
    desk.card(NUMBER, "01", "2030")
    desk.press("登録")
    # The script tells it before anything is sent, so the digits stay.
    told = "電話番号は0から始まる" if desk.scripts else "カード番号は安全のため再入力"
    assert told in desk.page.locator("#summary").inner_text()
    kept = NUMBER[:4] if desk.scripts else ""
    assert desk.page.locator("[name=card_number_1]").input_value() == kept
    assert desk.dialogs == []
    desk.look("list-error")
    desk.fill(customer_name="A", phone="090-0000-0000")
    desk.card(NUMBER, "01", "2030")
    desk.press("登録")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")
    _summary(desk, "A", MASK)
    desk.look("registered")
    desk.press("戻る")
    assert MASK in desk.text()
    desk.look("list-with-card")


def edit(desk: Desk) -> None:
    """Give the card another name, another expiry and another number."""
    steps: tuple[tuple[str, Callable[[], None], str, str], ...] = (
        ("name", lambda: desk.fill(customer_name="B"), "B", MASK),
        ("expiry", lambda: desk.fill(exp_month="12", exp_year="2031"), "B", MASK),
        ("number", lambda: desk.card(SECOND), "B", "55**-****-****-4444"),
    )
    for step, fill, name, mask in steps:
        desk.press("編集")
        assert "クレジットカード情報の更新" in desk.text()
        assert "変更する場合のみ入力してください。" in desk.text()
        if step == "name":
            desk.look("edit")
        fill()
        desk.press("更新")
        expect(desk.page.locator("main")).to_contain_text("更新完了しました。")
        _summary(desk, name, mask)
        desk.look(f"updated-{step}")
        desk.press("戻る")


def delete(desk: Desk) -> None:
    """Delete the card."""
    desk.press("編集")
    desk.look("edit-with-history")
    desk.press("削除")
    expect(desk.page.locator("main")).to_contain_text("削除完了しました。")
    _summary(desk, "B", "55**-****-****-4444")
    desk.look("deleted")
    desk.press("戻る")
    assert "55**-****" not in desk.text()


def _summary(desk: Desk, name: str, mask: str) -> None:
    shown = desk.text()
    for words in ("お客様名", name, "電話番号", "090-0000-0000", "カード番号", mask):
        assert words in shown
