"""認証アプリ: one-time passwords by the clock (RFC 6238) on the code page."""

from __future__ import annotations

import html
import io
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
import segno
from flask import Flask

from app.auth.factors import totp
from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.vault import FakeClock

from .authenticator import enrol_app, shown_seed
from .records import change, scalar, trail

ENDED = "入力回数が上限に達しました。30分後にもう一度ログインしてください。"


def code_of(seed: bytes, clock: FakeClock, steps: int = 0) -> str:
    """What the app shows, so many steps from now."""
    return totp.code_at(seed, clock() // 30 + steps)


def wrong_code(seed: bytes, clock: FakeClock) -> str:
    """Six digits that are no code around now."""
    near = {code_of(seed, clock, steps) for steps in range(-3, 4)}
    return next(c for c in ("111111", "222222", "333333") if c not in near)


@pytest.fixture
def seed(auth: Auth, clock: FakeClock) -> bytes:
    """The operator has enrolled an app and logged out, a minute ago."""
    auth.login()
    made = enrol_app(auth)
    auth.logout()
    clock.advance(60)
    return made


def test_the_app_takes_the_codes_place(
    auth: Auth, seed: bytes, clock: FakeClock
) -> None:
    """Password, then the code page at once; no mail leaves; the list."""
    auth.mailbox.empty()
    assert auth.password().location == "/login/code"
    page = auth.get("/login/code").text
    assert "認証アプリに表示されている6桁の認証コードを入力してください。" in page
    assert "認証コードを再送信" not in page
    assert auth.code(code_of(seed, clock)).location == "/cards"
    assert auth.get("/cards").status_code == 200
    assert auth.mailbox.is_empty()
    assert ("login.totp", "success", LOGIN_ID) in trail(auth.app)


def test_it_may_be_typed_in_full_width(
    auth: Auth, seed: bytes, clock: FakeClock
) -> None:
    """With a blank between, too."""
    code = "".join(chr(ord(digit) + 0xFEE0) for digit in code_of(seed, clock))
    auth.password()
    assert auth.code(f"{code[:3]}　{code[3:]}").location == "/cards"


@pytest.mark.parametrize("path", ["/login/email", "/login/code/resend"])
def test_nobody_with_an_app_gets_a_mailed_code(
    auth: Auth, seed: bytes, path: str
) -> None:
    """The weaker way is closed, whatever is posted."""
    assert seed
    auth.mailbox.empty()
    auth.password()
    assert auth.get("/login/email").location == "/login/code"
    answer = auth.post(path, page="/login/code", email="taro@example.co.jp")
    assert answer.location in ("/login/code", "/login/email")
    assert scalar(auth.app, "SELECT count(*) FROM code") == 1
    assert auth.mailbox.is_empty()


def test_nobody_with_an_app_gets_one_sent_again(auth: Auth, seed: bytes) -> None:
    """Not even at the step of who was sent one."""
    assert seed
    auth.mailbox.empty()
    auth.password()
    change(auth.app, "UPDATE login SET step = 'code'")
    answer = auth.post("/login/code/resend", page="/login/code")
    assert answer.location == "/login/code"
    assert scalar(auth.app, "SELECT count(*) FROM code") == 1
    assert auth.mailbox.is_empty()


def test_a_code_mailed_before_does_not_help(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """A login half way by mail ends when an app is enrolled elsewhere."""
    auth.login()
    clock.advance(60)
    half = Auth(app, app.test_client(), auth.mailbox)
    code = half.to_code()
    enrol_app(auth)
    assert half.post("/login/code", page="/login", code=code).location == "/login"
    assert scalar(app, "SELECT count(*) FROM login") == 1


def test_a_step_is_used_once(auth: Auth, seed: bytes, clock: FakeClock) -> None:
    """Nor an earlier one after it, though it is inside the window."""
    code, before = code_of(seed, clock), code_of(seed, clock, -1)
    auth.password()
    assert auth.code(code).location == "/cards"
    auth.logout()
    auth.password()
    assert "残り4回" in auth.code(code).text
    assert "残り3回" in auth.code(before).text
    clock.advance(30)
    assert auth.code(code_of(seed, clock)).location == "/cards"


def test_the_code_that_confirmed_it_is_used(auth: Auth, clock: FakeClock) -> None:
    """Who read it over a shoulder can't log in with it."""
    auth.login()
    seed = enrol_app(auth)
    auth.logout()
    auth.password()
    assert "残り4回" in auth.code(code_of(seed, clock)).text


def test_twenty_right_answers_let_one_in(
    auth: Auth, app: Flask, seed: bytes, clock: FakeClock
) -> None:
    """Each in a login of its own: the step is used by one UPDATE (OTP-01)."""
    change(app, "UPDATE operator SET locked_until = 0, failures = -100")
    browsers = [Auth(app, app.test_client(), auth.mailbox) for _ in range(10)]
    tokens = []
    for browser in browsers:
        browser.password()
        tokens.append(browser.csrf("/login/code"))
    code, start = code_of(seed, clock), threading.Barrier(10)
    answers: list[str | None] = []

    def answer(browser: Auth, token: str) -> None:
        start.wait()
        fields = {"csrf_token": token, "code": code}
        answers.append(browser.client.post("/login/code", data=fields).location)

    pairs = zip(browsers, tokens, strict=True)
    threads = [threading.Thread(target=answer, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("/cards") == 1
    assert scalar(app, "SELECT count(*) FROM login WHERE step = 'in'") == 1


def test_wrong_codes_count_with_wrong_passwords(
    auth: Auth, seed: bytes, clock: FakeClock
) -> None:
    """Two and three lock the ID for half an hour (AUT-05)."""
    for _ in range(2):
        auth.password(password="wrong password 123")
    auth.password()
    wrong = wrong_code(seed, clock)
    assert "（残り2回）" in auth.code(wrong).text
    assert "（残り1回）" in auth.code(wrong).text
    assert auth.code(wrong).location == "/login"
    assert ENDED in auth.get("/login").text
    assert auth.password().status_code == 422
    clock.advance(1800)
    assert auth.password().location == "/login/code"
    assert auth.code(code_of(seed, clock)).location == "/cards"


def test_an_id_locked_meanwhile_is_not_let_in(
    auth: Auth, app: Flask, seed: bytes, clock: FakeClock
) -> None:
    """The right code doesn't help an ID that was locked elsewhere."""
    auth.password()
    other = Auth(app, app.test_client(), auth.mailbox)
    for _ in range(5):
        other.password(password="wrong password 123")
    assert auth.code(code_of(seed, clock)).location == "/login"
    assert ENDED in auth.get("/login").text


def test_an_empty_code_costs_no_try(auth: Auth, seed: bytes) -> None:
    """認証コードを入力してください。"""
    assert seed
    auth.password()
    assert "認証コードを入力してください。" in auth.code("").text
    assert scalar(auth.app, "SELECT failures FROM operator") == 0


# --- Enrolling it.


def test_nothing_counts_before_it_is_confirmed(auth: Auth, clock: FakeClock) -> None:
    """A wrong code says so; the mailed code stays the way in."""
    auth.login()
    auth.post("/factors/totp/new", page="/factors")
    seed = shown_seed(auth)
    answer = auth.post("/factors/totp", code=wrong_code(seed, clock))
    assert answer.status_code == 422
    assert "認証コードが正しくありません。" in answer.text
    assert shown_seed(auth) == seed
    auth.logout()
    assert auth.password().location == "/login/email"


def test_a_new_app_takes_the_old_ones_place(
    auth: Auth, seed: bytes, clock: FakeClock
) -> None:
    """認証アプリを変更: the old one's codes are wrong from then on."""
    auth.password()
    auth.code(code_of(seed, clock))
    new = enrol_app(auth)
    assert new != seed
    auth.logout()
    clock.advance(60)
    auth.password()
    assert auth.code(code_of(seed, clock)).status_code == 422
    assert auth.code(code_of(new, clock)).location == "/cards"


def test_a_change_that_was_left_changes_nothing(
    auth: Auth, seed: bytes, clock: FakeClock
) -> None:
    """The page was opened, even a wrong code typed: the old app's code is the one that
    logs in, as the page says, and the new one's is wrong."""
    auth.password()
    auth.code(code_of(seed, clock))
    auth.post("/factors/totp/new", page="/factors")
    offered = shown_seed(auth)
    auth.post("/factors/totp", code=wrong_code(offered, clock))
    note = "「設定」を押すまでは、これまでの認証アプリの認証コードでログインします。"
    assert note in auth.get("/factors/totp").text
    auth.logout()
    clock.advance(60)
    auth.password()
    assert "残り4回" in auth.code(code_of(offered, clock)).text
    assert auth.code(code_of(seed, clock)).location == "/cards"


def test_the_label_tells_sites_apart(auth: Auth) -> None:
    """Apps that read nothing else show the site and the login ID; a first app replaces
    none."""
    auth.login()
    auth.post("/factors/totp/new", page="/factors")
    page = auth.get("/factors/totp").text
    site = quote("オフィス24クレジットカード登録")
    assert f"otpauth://totp/{site}:{LOGIN_ID}?" in page
    assert "これまでの認証アプリ" not in page


def test_the_picture_is_a_qr_code_of_the_sites_own(auth: Auth) -> None:
    """SVG from the same origin, not stored, with nothing the policy forbids; none
    before a seed is offered."""
    auth.login()
    assert auth.get("/factors/totp.svg").status_code == 404
    assert auth.get("/factors/totp").location == "/factors"
    auth.post("/factors/totp/new", page="/factors")
    picture = auth.get("/factors/totp.svg")
    assert picture.mimetype == "image/svg+xml"
    assert picture.headers["Cache-Control"] == "no-store"
    assert ET.fromstring(picture.text).tag.endswith("svg")
    assert "style" not in picture.text
    page = auth.get("/factors/totp").text
    assert 'src="/factors/totp.svg"' in page
    assert 'href="otpauth://totp/' in page
    assert re.search(r">([A-Z2-7]{4} ){7}[A-Z2-7]{4}<", page)
    linked = html.unescape(page.partition('href="otpauth')[2].partition('"')[0])
    drawn = io.BytesIO()
    segno.make(f"otpauth{linked}", error="l", micro=False).save(
        drawn, kind="svg", scale=4, border=4, xmldecl=False, light="#fff"
    )
    assert picture.data == drawn.getvalue()


def test_the_seed_is_sealed_at_rest(
    auth: Auth, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its bytes nor its base32 are in a file, a cookie or the log."""
    caplog.set_level("DEBUG")
    auth.login()
    seed = enrol_app(auth)
    spelled = totp.spelled(seed).replace(" ", "").encode()
    cookie = auth.client.get_cookie("session")
    assert cookie is not None
    assert spelled.decode() not in cookie.value + caplog.text
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not [data for data in kept for secret in (seed, spelled) if secret in data]


def test_a_new_secret_key_takes_the_seeds_along(
    auth: Auth, seed: bytes, clock: FakeClock, make_app: Any
) -> None:
    """SECRET_KEY_FALLBACKS opens them, a login seals them anew, and then the old
    key can go; without it from the start the login fails closed."""
    old = "a secret of at least thirty-two bytes"
    new = "quite another secret, as long as the first one"

    def log_in(**changes: str) -> int:
        clock.advance(60)
        app = make_app(SECRET_KEY=new, **changes)
        browser = Auth(app, app.test_client(), auth.mailbox)
        browser.password()
        return browser.code(code_of(seed, clock)).status_code

    assert log_in() == 503
    assert log_in(SECRET_KEY_FALLBACKS=old) == 303
    assert log_in() == 303
