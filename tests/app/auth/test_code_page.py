"""What the code page answers, whichever factor is given on it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.auth.factors import totp
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.vault import FakeClock

from .authenticator import Authenticator, enrol_app, enrol_passkey
from .records import change, scalar, trail

pytestmark = pytest.mark.mutation("app/auth/code_views.py", area="code check")

WRONG = "22222222"


def status_and_place(answer: Any) -> tuple[int, str | None]:
    """How an answer leads on."""
    return answer.status_code, answer.location


@pytest.mark.engines("sqlite", "postgres")
def test_the_right_code_lets_in(auth: Auth, app: Flask) -> None:
    """To the list, under a new cookie that holds the login and nothing else."""
    code = auth.to_code()
    before = scalar(app, "SELECT id FROM login")
    page = auth.get("/login/code").text
    assert "8文字・30分間有効です。" in page
    assert "送信できませんでした。" not in page
    assert status_and_place(auth.code(code)) == (303, "/cards")
    assert scalar(app, "SELECT id FROM login") != before
    with auth.client.session_transaction() as session:
        assert set(session) == {"login"}
    assert ("login.code", "success", LOGIN_ID) in trail(app)


def test_a_code_that_is_not_sent_shows_the_page_again(auth: Auth) -> None:
    """With why not."""
    auth.to_code()
    answer = auth.post("/login/code/resend", page="/login/code")
    assert answer.status_code == 429
    assert "認証コードを送信できませんでした。" in answer.text
    assert "あと60秒お待ちください。" in answer.text


def test_a_wrong_code_shows_the_page_again(auth: Auth) -> None:
    """With its address and what was wrong; the code itself is not shown."""
    auth.to_code()
    answer = auth.code("abcdefgh")
    assert answer.status_code == 422
    assert "認証コードが正しくありません。（残り4回）" in answer.text
    assert ADDRESS in answer.text
    assert "abcdefgh" not in answer.text
    assert "パスキーでログイン" not in answer.text


def test_an_expired_code_shows_the_page_again(auth: Auth, clock: FakeClock) -> None:
    """And a wrong one after it too: there is nothing left to try."""
    code = auth.to_code()
    clock.advance(1801)
    for typed in (code, WRONG):
        answer = auth.code(typed)
        assert answer.status_code == 422
        assert "有効期限が切れています" in answer.text


@pytest.mark.engines("sqlite", "postgres")
def test_a_locked_ids_login_ends_at_its_code(auth: Auth, app: Flask) -> None:
    """The right code or a wrong one: it leads to the door, and no try is counted."""
    auth.to_code()
    change(app, "UPDATE operator SET locked_until = 9999999999")
    assert status_and_place(auth.code(WRONG)) == (303, "/login")
    assert scalar(app, "SELECT count(*) FROM login") == 0
    assert scalar(app, "SELECT tries FROM code") == 0
    assert scalar(app, "SELECT failures_since FROM operator") == 0


def test_an_app_alone_is_asked_for_no_passkey(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Its code is; a wrong one says how many are left, the right one is told."""
    auth.login()
    seed = enrol_app(auth)
    auth.logout()
    clock.advance(60)
    auth.password()
    page = auth.get("/login/code")
    assert page.status_code == 200
    assert "パスキーでログイン" not in page.text
    answer = auth.code("000000x")
    assert answer.status_code == 422
    assert "認証コードが正しくありません。（残り4回）" in answer.text
    assert ("login.totp", "failure", LOGIN_ID) in trail(app)
    right = auth.code(totp.code_at(seed, clock() // 30))
    assert status_and_place(right) == (303, "/cards")
    assert ("login.totp", "success", LOGIN_ID) in trail(app)


def test_a_passkey_alone_takes_no_code(auth: Auth, app: Flask) -> None:
    """Whatever is typed is said to be no way in, and counts for nothing, not even
    where the ID is locked."""
    auth.login()
    enrol_passkey(auth, Authenticator())
    auth.logout()
    auth.password()
    assert "パスキーでログイン" in auth.get("/login/code").text
    change(app, "UPDATE operator SET locked_until = 9999999999")
    answer = auth.code(WRONG)
    assert answer.status_code == 422
    assert "「パスキーでログイン」を押してください。" in answer.text
    assert scalar(app, "SELECT failures_since FROM operator") == 0
    assert scalar(app, "SELECT count(*) FROM login") == 1


def test_a_site_without_a_name_asks_for_no_passkey(auth: Auth, make_app: Any) -> None:
    """Who has one is shown the page without it: a passkey belongs to a name."""
    auth.login()
    enrol_passkey(auth, Authenticator())
    app = make_app(TRUSTED_HOSTS="127.0.0.1")
    app.config["SERVER_NAME"] = "127.0.0.1"
    desk = Auth(app, app.test_client(), auth.mailbox)
    assert status_and_place(desk.password()) == (303, "/login/code")
    page = desk.get("/login/code")
    assert page.status_code == 200
    assert "data-options" not in page.text
