"""What the login pages offer beside their fields: 表示, 戻る, and words in the right tone."""

from __future__ import annotations

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
    return [part.split('"')[0] for part in page.split('aria-label="')[1:]]


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
        assert page.count(" hidden>表示</button>") == page.count('type="password"')


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
