"""ログイン方法の設定 and LOGIN_FACTOR: who needs which second factor."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.auth.factors import totp
from config import Config, ConfigError
from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock

from .authenticator import (
    Authenticator,
    enrol_app,
    enrol_passkey,
    give_passkey,
    operator_of,
)
from .records import change, scalar, trail

LAST = "最後のログイン方法は削除できません。"
SETTINGS = ("totp", "passkey", "any-strong")


def requiring(auth: Auth, make_app: Any, factor: str) -> Auth:
    """The same operator at a browser of a site with LOGIN_FACTOR set."""
    app = make_app(LOGIN_FACTOR=factor)
    return Auth(app, app.test_client(), auth.mailbox)


def remove(auth: Auth, factor: str) -> Any:
    """Press 削除 beside a factor and say yes."""
    words = {"factor": factor, "confirmed": "y"}
    return auth.post("/factors/remove", page="/factors", **words)


# --- Nothing is asked of anybody who asks for nothing.


def test_the_manuals_way_is_the_default(auth: Auth, environ: dict[str, str]) -> None:
    """Mail; the list is shown without a word about factors but the link."""
    assert Config.from_environ(environ).login_factor == "mail"
    assert auth.login().location == "/cards"
    page = auth.get("/cards").text
    assert page.count("ログイン方法の設定") == 1
    assert 'href="/factors"' in page


def test_a_stranger_sees_no_link(auth: Auth) -> None:
    """The login pages are the manual's."""
    auth.password()
    for path in ("/login/email", "/login"):
        assert "ログイン方法の設定" not in auth.get(path).text


# --- One of them is required.


@pytest.mark.parametrize("factor", SETTINGS)
def test_who_has_none_must_enrol_before_anything_else(
    auth: Auth, make_app: Any, factor: str
) -> None:
    """The mailed code lets in as far as ログイン方法の設定."""
    desk = requiring(auth, make_app, factor)
    assert desk.login().location == "/cards"
    for path in ("/cards", "/cards.csv", "/cards/x/edit", "/password"):
        assert desk.get(path).location == "/factors", path
    token = desk.csrf("/factors")
    answer = desk.post("/cards", csrf_token=token, customer_name="A")
    assert answer.location == "/factors"
    page = desk.get("/factors").text
    assert "続けるには、ログイン方法を設定してください。" in page
    assert ("認証アプリを設定" in page) is (factor != "passkey")
    assert ("パスキーを追加" in page) is (factor != "totp")
    assert 'href="/cards"' not in page


@pytest.mark.parametrize("factor", SETTINGS)
def test_who_has_enrolled_goes_on(auth: Auth, make_app: Any, factor: str) -> None:
    """In the same login, which was begun with a mailed code."""
    desk = requiring(auth, make_app, factor)
    desk.login()
    if factor == "passkey":
        enrol_passkey(desk, Authenticator())
    else:
        enrol_app(desk)
    assert desk.get("/cards").status_code == 200


@pytest.mark.parametrize(
    ("factor", "has", "enough"),
    [
        ("totp", "totp", True),
        ("totp", "passkey", False),
        ("passkey", "passkey", True),
        ("passkey", "totp", False),
        ("any-strong", "totp", True),
        ("any-strong", "passkey", True),
    ],
)
def test_what_is_enough(
    auth: Auth, make_app: Any, factor: str, has: str, enough: bool
) -> None:
    """What the setting names, and nothing else."""
    auth.login()
    if has == "totp":
        enrol_app(auth)
    else:
        enrol_passkey(auth, Authenticator())
    app = make_app(LOGIN_FACTOR=factor)
    cookie = auth.client.get_cookie("session")
    assert cookie is not None
    browser = app.test_client()
    browser.set_cookie("session", cookie.value)
    assert browser.get("/cards").location == (None if enough else "/factors")


def test_the_required_one_is_asked_where_both_are_enrolled(
    auth: Auth, make_app: Any, clock: FakeClock
) -> None:
    """LOGIN_FACTOR=passkey takes no app's code from who has a passkey."""
    auth.login()
    seed, passkey = enrol_app(auth), Authenticator()
    enrol_passkey(auth, passkey)
    clock.advance(60)
    desk = requiring(auth, make_app, "passkey")
    desk.password()
    assert 'name="code"' not in desk.get("/login/code").text
    code = totp.code_at(seed, clock() // 30)
    assert desk.post("/login/code", code=code).status_code == 422
    assert give_passkey(desk, passkey).location == "/cards"
    other = requiring(auth, make_app, "totp")
    other.password()
    assert "パスキーでログイン" not in other.get("/login/code").text
    answer = other.post("/login/passkey", page="/login/code", credential="{}")
    assert answer.location == "/login/code"
    assert other.code(code).location == "/cards"


def test_what_was_enrolled_before_is_no_weaker_than_mail(
    auth: Auth, make_app: Any, clock: FakeClock
) -> None:
    """With another factor required since, the old one lets in to enrol."""
    auth.login()
    seed = enrol_app(auth)
    clock.advance(60)
    desk = requiring(auth, make_app, "passkey")
    assert desk.password().location == "/login/code"
    assert desk.code(totp.code_at(seed, clock() // 30)).location == "/cards"
    assert desk.get("/cards").location == "/factors"


def test_a_first_password_comes_before_the_factor(auth: Auth, make_app: Any) -> None:
    """One duty after the other."""
    change(auth.app, "UPDATE operator SET must_change = true")
    change(auth.app, "UPDATE operator SET first_password_until = used_at + 86400")
    desk = requiring(auth, make_app, "totp")
    desk.login()
    assert desk.get("/cards").location == "/password"
    assert desk.get("/factors").location == "/password"
    desk.post(
        "/password",
        current_password=PASSWORD,
        new_password="another horse battery 6",
        new_password_again="another horse battery 6",
    )
    assert desk.get("/cards").location == "/factors"


@pytest.mark.parametrize(
    "changes",
    [
        {"LOGIN_FACTOR": "sms"},
        {"LOGIN_FACTOR": "TOTP"},
        {"LOGIN_FACTOR": "passkey", "TRUSTED_HOSTS": "127.0.0.1"},
    ],
    ids=["unknown", "capitals", "no host name"],
)
def test_an_impossible_setting_is_a_fault(
    environ: dict[str, str], changes: dict[str, str]
) -> None:
    """The site does not start (WEB-04)."""
    with pytest.raises(ConfigError, match="LOGIN_FACTOR"):
        Config.from_environ({**environ, **changes})


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        ("cards.example.jp,www.example.jp", "cards.example.jp"),
        ("192.0.2.1,cards.example.jp:8443", "cards.example.jp"),
        ("192.0.2.1:8443,192.0.2.2", ""),
    ],
)
def test_passkeys_belong_to_the_first_host_name(
    environ: dict[str, str], hosts: str, name: str
) -> None:
    """Of TRUSTED_HOSTS, without its port; an IP address is none."""
    https = {"ALLOW_INSECURE_LOOPBACK": "0", "TRUSTED_HOSTS": hosts}
    assert Config.from_environ({**environ, **https}).passkey_host == name


# --- Changing them.


def test_ten_minutes_after_the_password_it_is_asked_again(
    auth: Auth, clock: FakeClock
) -> None:
    """600 s free, one more not; nothing is changed by then (ASVS 7.5.1)."""
    auth.login()
    clock.advance(600)
    assert auth.get("/factors").status_code == 200
    token = auth.csrf("/factors")
    clock.advance(1)
    for path in ("/factors", "/factors/totp", "/factors/totp.svg"):
        assert auth.get(path).location == "/factors/proof", path
    for path in ("totp/new", "totp", "passkey", "remove"):
        answer = auth.post(f"/factors/{path}", csrf_token=token, factor="totp")
        assert answer.location == "/factors/proof", path
    page = auth.get("/factors/proof").text
    assert "本人確認のため、現在のパスワードを入力してください。" in page
    proved = auth.post("/factors/proof", current_password=PASSWORD)
    assert proved.location == "/factors"
    assert auth.get("/factors").status_code == 200


def test_the_proof_says_what_is_wrong_and_counts(auth: Auth) -> None:
    """Empty and wrong; the fifth wrong one ends the login and locks."""
    auth.login()
    change(auth.app, "UPDATE login SET proved_at = 0")
    empty = auth.post("/factors/proof", current_password="")
    assert "現在のパスワードを入力してください。" in empty.text
    for _ in range(4):
        answer = auth.post("/factors/proof", current_password="wrong password 123")
        assert "現在のパスワードが正しくありません。" in answer.text
        assert auth.get("/factors").location == "/factors/proof"
    last = auth.post("/factors/proof", current_password="wrong password 123")
    assert last.location == "/login"
    assert auth.password().status_code == 422


def test_a_changed_password_proves_too(auth: Auth, clock: FakeClock) -> None:
    """It was just given."""
    auth.login()
    clock.advance(700)
    auth.post(
        "/password",
        current_password=PASSWORD,
        new_password="another horse battery 6",
        new_password_again="another horse battery 6",
    )
    assert auth.get("/factors").status_code == 200


def test_one_can_be_given_up_while_another_is_left(auth: Auth, app: Flask) -> None:
    """The last one stays: back to the mail leads an administrator alone."""
    auth.login()
    enrol_app(auth)
    assert "削除" not in auth.get("/factors").text.replace("削除し", "")
    assert LAST in remove(auth, "totp").text
    enrol_passkey(auth, Authenticator())
    enrol_passkey(auth, Authenticator())
    first, second = (str(passkey.id) for passkey in operator_of(app).passkeys)
    assert remove(auth, "totp").location == "/factors"
    assert "認証アプリを削除しました。" in auth.get("/factors").text
    assert remove(auth, first).location == "/factors"
    assert "パスキーを削除しました。" in auth.get("/factors").text
    assert LAST in remove(auth, second).text
    left = operator_of(app)
    assert left.totp is None
    assert [str(passkey.id) for passkey in left.passkeys] == [second]
    events = [event for event, _, _ in trail(app) if event.startswith("operator.")]
    assert events == [
        "operator.totp_enrolled",
        "operator.passkey_enrolled",
        "operator.passkey_enrolled",
        "operator.totp_removed",
        "operator.passkey_removed",
    ]


def test_giving_one_up_is_asked_once(auth: Auth, app: Flask) -> None:
    """Without script by a box of its own beside each, whose error names the right one."""
    auth.login()
    enrol_app(auth)
    enrol_passkey(auth, Authenticator(), "事務所のパソコン")
    number = str(operator_of(app).passkeys[0].id)
    page = auth.get("/factors").text
    for words in ("認証アプリ", "パスキー「事務所のパソコン」"):
        assert f'data-words="{words}を削除します。よろしいですか？"' in page
    for factor in ("totp", number):
        answer = auth.post("/factors/remove", page="/factors", factor=factor)
        assert answer.status_code == 422
        link = (
            f'<a href="#remove_{factor}">内容を確認して、チェックを入れてください。</a>'
        )
        assert link in answer.text
        assert answer.text.count('aria-invalid="true"') == 1
        box = f'<input id="remove_{factor}" name="confirmed" type="checkbox" value="y" required'
        assert f'{box} aria-invalid="true"' in answer.text
    assert operator_of(app).totp is not None
    assert len(operator_of(app).passkeys) == 1


def test_the_required_one_can_not_be_given_up(
    auth: Auth, make_app: Any, clock: FakeClock
) -> None:
    """Another one of another kind is not enough."""
    auth.login()
    seed = enrol_app(auth)
    enrol_passkey(auth, Authenticator())
    clock.advance(60)
    desk = requiring(auth, make_app, "totp")
    desk.password()
    desk.code(totp.code_at(seed, clock() // 30))
    assert LAST in remove(desk, "totp").text
    assert remove(desk, "1").location == "/factors"


@pytest.mark.parametrize("named", ["", "0", "2", "passkey", "totp\0", "１"])
def test_nobody_elses_is_given_up(auth: Auth, app: Flask, named: str) -> None:
    """Unknown and another operator's alike: 404 (INP-02)."""
    auth.login()
    enrol_passkey(auth, Authenticator())
    change(
        app,
        "INSERT INTO operator (id, login_id, name, password_hash, password_epoch,"
        " must_change, first_password_until, failures, locked_until, first_lock_at,"
        " disabled_at, used_at, created_at)"
        " VALUES (9, 'jiro', 'J', 'x', 1, false, 0, 0, 0, 0, 0, 0, 0)",
    )
    change(app, "INSERT INTO passkey VALUES (2, 9, 'AAAA', x'00', 0, 0, 0, '')")
    assert remove(auth, named).status_code == 404
    assert scalar(app, "SELECT count(*) FROM passkey") == 2


def test_a_doubled_field_is_refused(auth: Auth) -> None:
    """No browser sends one twice (INP-02)."""
    auth.login()
    fields = {"csrf_token": auth.csrf("/factors"), "factor": ["1", "2"]}
    assert auth.client.post("/factors/remove", data=fields).status_code == 400


@pytest.mark.parametrize(
    "path", ["/factors", "/factors/totp", "/factors/totp.svg", "/factors/proof"]
)
def test_strangers_are_led_to_the_login(auth: Auth, path: str) -> None:
    """At every step before the last (AUT-01)."""
    assert auth.get(path).location == "/login"
    auth.password()
    assert auth.get(path).location == "/login/email"


# --- Recovery.


def test_an_administrator_leads_back_to_the_mail(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """reset-factors takes all, ends the logins, and the trail names who did it."""
    auth.login()
    enrol_app(auth)
    enrol_passkey(auth, Authenticator())
    runner = app.test_cli_runner()
    listed = runner.invoke(args=["operators", "list"]).stdout
    assert "\tactive, passkey, totp\t" in listed
    done = runner.invoke(args=["operators", "reset-factors", LOGIN_ID])
    assert (done.exit_code, done.stdout) == (0, f"reset the factors of {LOGIN_ID}\n")
    assert auth.get("/cards").location == "/login"
    event, outcome, actor = trail(app)[-1]
    assert (event, outcome) == ("operator.factors_reset", "success")
    assert actor != LOGIN_ID
    clock.advance(60)
    assert auth.login().location == "/cards"
    again = runner.invoke(args=["operators", "reset-factors", LOGIN_ID])
    assert again.exit_code == 2
    assert "neither an authenticator app nor a passkey" in again.stderr


def test_a_reset_password_does_not_reset_the_factors(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Who talked the desk into one has not got the other."""
    auth.login()
    enrol_app(auth)
    done = app.test_cli_runner().invoke(args=["operators", "reset-password", LOGIN_ID])
    new = done.stdout.splitlines()[-1].rpartition(": ")[2]
    clock.advance(60)
    assert auth.password(password=new).location == "/login/code"
    assert "認証アプリ" in auth.get("/login/code").text
