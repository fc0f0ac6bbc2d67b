"""What the login pages offer beside their fields: 表示, 戻る, and words in the right tone."""

from __future__ import annotations

import re

from flask import Flask

from tests.actors.operator_client import Auth
from tests.places.vault import FakeClock

from .authenticator import enrol_app
from .records import change

ENDED = (
    "入力回数が上限に達しました。30分後にもう一度ログインしてください。"
    "ログインできないときは、管理者に連絡してください。"
)


def reveals(page: str) -> list[str]:
    """The names of the buttons 表示."""
    return re.findall(r' hidden><span>(.*?)</span><span aria-hidden="true">表示', page)


def test_every_hidden_field_can_be_shown(auth: Auth) -> None:
    """By a button whose name says what it shows; the script makes it work, and without
    it there is none."""
    pages = {"/login": auth.get("/login").text}
    code = auth.to_code()
    pages["/login/code"] = auth.get("/login/code").text
    auth.code(code)
    pages["/password"] = auth.get("/password").text
    change(auth.app, "UPDATE login SET proved_at = 0")
    pages["/factors/proof"] = auth.get("/factors/proof").text
    assert {path: reveals(page) for path, page in pages.items()} == {
        "/login": ["パスワードを表示"],
        "/login/code": ["認証コードを表示"],
        "/password": [
            "現在のパスワードを表示",
            "新しいパスワードを表示",
            "新しいパスワード（確認）を表示",
        ],
        "/factors/proof": ["現在のパスワードを表示"],
    }
    for page in pages.values():
        assert page.count('" hidden><span>') == page.count('type="password"')


def back_on(auth: Auth, path: str) -> str:
    """Where 戻る leads to on a page; "" when there is none."""
    before, found, _ = auth.get(path).text.partition('">戻る</a>')
    return before.rpartition('href="')[2] if found else ""


def test_every_page_has_a_way_back(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """To the list, and before the end of the login to its beginning."""
    auth.password()
    assert back_on(auth, "/login/email") == "/login"
    assert auth.get("/login").status_code == 200
    auth.address()
    auth.code(auth.mailbox.code())
    for path in ("/password", "/factors"):
        assert back_on(auth, path) == "/cards"
    enrol_app(auth)
    auth.logout()
    auth.password()
    assert back_on(auth, "/login/code") == "/login"
    auth.logout()
    change(app, "DELETE FROM totp")
    change(app, "UPDATE operator SET shared_until = 2 * used_at")
    clock.advance(60)
    auth.login()
    assert back_on(auth, "/factors") == "/cards"


def test_a_phone_shows_digits_for_an_apps_code(auth: Auth) -> None:
    """A mailed code has letters too."""
    code = auth.to_code()
    assert 'inputmode="numeric"' not in auth.get("/login/code").text
    auth.code(code)
    enrol_app(auth)
    auth.logout()
    auth.password()
    assert 'inputmode="numeric"' in auth.get("/login/code").text


def test_a_lock_is_no_news(auth: Auth) -> None:
    """Red, read out at once, and with a way on; ログアウトしました。 is news."""
    code = auth.to_code()
    for _ in range(5):
        auth.code("22222222" if code != "22222222" else "33333333")
    page = auth.get("/login").text
    assert f'<p class="notice refusal" role="alert">{ENDED}</p>' in page
    auth.post("/logout", page="/login")
    said = '<p class="notice" role="status">ログアウトしました。</p>'
    assert said in auth.get("/login").text


NO_INPUT = "入力内容に誤りがあります。"


def test_what_is_no_input_is_its_own_heading(auth: Auth, clock: FakeClock) -> None:
    """A code that is too old, a passkey that was not read, a factor that has to stay:
    nothing that was typed is wrong."""
    code = auth.to_code()
    clock.advance(1801)
    late = auth.code(code).text
    said = (
        "認証コードの有効期限が切れています。「認証コードを再送信」を押してください。"
    )
    assert f"<h2>{said}</h2>" in late
    auth.post("/login/code/resend", page="/login/code")
    auth.code(auth.mailbox.code())
    enrol_app(auth)
    words = {"page": "/factors", "credential": "{}"}
    unread = auth.post("/factors/passkey", **words).text
    assert "<h2>パスキーの応答を読み取れませんでした。" in unread
    words = {"page": "/factors", "factor": "totp", "confirmed": "y"}
    last = auth.post("/factors/remove", **words).text
    assert "<h2>最後のログイン方法は削除できません。" in last
    for page in (late, unread, last):
        assert "<title>エラー：" in page
        assert NO_INPUT not in page


def test_what_was_typed_wrong_is(auth: Auth) -> None:
    """A wrong code, beside its box."""
    auth.to_code()
    page = auth.code("2").text
    assert f"<h2>{NO_INPUT}</h2>" in page
    assert 'aria-invalid="true"' in page
