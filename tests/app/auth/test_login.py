"""ログインID and パスワード: who gets past, and what all others see."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.auth import lockout
from app.auth.passwords import Hasher
from config import Config
from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import VISA, FakeClock

from .records import change, scalar, trail

WRONG = "wrong password 123"
REFUSED = (
    "ログインIDまたはパスワードが正しくありません。"
    "連続して失敗した場合は30分間ロックされます。"
)
DAY = 24 * 3600


def fail(auth: Auth, times: int) -> None:
    """Give a wrong password so many times."""
    for _ in range(times):
        auth.password(password=WRONG)


def is_let_in(auth: Auth) -> bool:
    """Say whether the right password is enough just now."""
    return auth.password().location == "/login/email"


def test_the_manuals_words_stand_on_every_page(auth: Auth) -> None:
    """Each step shows its sentence and leads to the next."""
    assert "ログインID、パスワードを入力してください。" in auth.get("/login").text
    assert auth.password().location == "/login/email"
    page = auth.get("/login/email").text
    assert "認証コードを送信するメールアドレスを入力してください。" in page
    assert auth.address().location == "/login/code"
    page = auth.get("/login/code").text
    assert "メールアドレス宛てに、認証コードをお送りしました。" in page
    assert "記載されている認証コードを入力してください。" in page
    assert auth.code(auth.mailbox.code()).location == "/cards"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"login_id": "", "password": PASSWORD}, "ログインIDを入力してください。"),
        ({"login_id": " ", "password": PASSWORD}, "ログインIDを入力してください。"),
        ({"login_id": LOGIN_ID, "password": ""}, "パスワードを入力してください。"),
    ],
)
def test_an_empty_field_is_named(auth: Auth, fields: dict[str, str], text: str) -> None:
    """The field's own text, the title's prefix, and no failure is counted."""
    answer = auth.post("/login", **fields)
    assert answer.status_code == 422
    assert text in answer.text
    assert "<title>エラー：" in answer.text
    assert scalar(auth.app, "SELECT count(*) FROM origin_failure") == 0


@pytest.mark.parametrize(
    "state",
    [
        "failures = 0",
        "locked_until = 9999999999",
        "disabled_at = 1",
        "used_at = used_at - 90 * 86400 - 1",
        "must_change = true, first_password_until = 1",
        "shared_until = 1",
    ],
)
def test_every_refusal_looks_like_an_unknown_id(auth: Auth, state: str) -> None:
    """Unknown, wrong, locked, disabled, unused, first password too old: one page
    and one status, the right password or not (AUT-04)."""
    change(auth.app, f"UPDATE operator SET {state}")
    right = PASSWORD if state != "failures = 0" else WRONG
    pages = [
        auth.password("nobody", WRONG),
        auth.password(LOGIN_ID, WRONG),
        auth.password(LOGIN_ID, right),
    ]
    assert [page.status_code for page in pages] == [422] * 3
    assert len({re.sub('value="[^"]*"', "", page.text) for page in pages}) == 1
    assert REFUSED in pages[0].text


@pytest.mark.parametrize(
    "state",
    ["locked_until = 9999999999", "disabled_at = 1", "shared_until = 1"],
)
def test_a_closed_door_costs_one_hash_too(
    auth: Auth, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Locked, disabled or over: the password is compared all the same."""
    change(auth.app, f"UPDATE operator SET {state}")
    counted: list[bool] = []
    hasher = auth.app.extensions["hasher"]
    agrees = hasher.agrees

    def counting(stored: str | None, typed: str) -> bool:
        counted.append(bool(agrees(stored, typed)))
        return counted[-1]

    monkeypatch.setattr(hasher, "agrees", counting)
    assert auth.password().status_code == 422
    assert counted == [True]


def test_every_refusal_costs_one_hash(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown ID is compared with a dummy hash."""
    counted: list[str] = []
    argon2 = auth.app.extensions["hasher"]._argon2
    verify = argon2.verify

    class Counting:
        def verify(self, stored: str, typed: str) -> bool:
            counted.append(stored)
            return bool(verify(stored, typed))

    monkeypatch.setattr(auth.app.extensions["hasher"], "_argon2", Counting())
    auth.password("nobody", WRONG)
    auth.password(LOGIN_ID, WRONG)
    assert len(counted) == 2
    assert (
        counted[0].rpartition("$")[0].rpartition("$")[0]
        == (counted[1].rpartition("$")[0].rpartition("$")[0])
    )


def test_five_failures_lock_for_half_an_hour(
    auth: Auth, clock: FakeClock, make_app: Any
) -> None:
    """Not four; across a restart; 1799 seconds locked, 1800 open (AUT-05)."""
    fail(auth, 5)
    restarted = make_app()
    again = Auth(restarted, restarted.test_client(), auth.mailbox)
    assert not is_let_in(again)
    clock.advance(1799)
    assert not is_let_in(again)
    clock.advance(1)
    assert is_let_in(again)
    assert ("login.locked", "success", LOGIN_ID) in trail(auth.app)


def test_a_login_to_the_end_forgets_failures(auth: Auth) -> None:
    """Four and four wrong passwords with a login between lock nobody."""
    fail(auth, 4)
    auth.login()
    auth.logout()
    fail(auth, 4)
    assert is_let_in(auth)


def test_passwords_and_codes_count_together(auth: Auth) -> None:
    """Three wrong passwords and two wrong codes are five failures."""
    fail(auth, 3)
    auth.to_code()
    assert "残り4回" in auth.code("22222222").text
    assert auth.code("22222222").location == "/login"
    assert not is_let_in(auth)


def test_the_third_lock_of_a_day_stays(auth: Auth, clock: FakeClock) -> None:
    """Until an administrator unlocks."""
    for _ in range(3):
        fail(auth, 5)
        clock.advance(1800)
    clock.advance(40 * DAY)
    assert not is_let_in(auth)
    auth.app.test_cli_runner().invoke(args=["operators", "unlock", LOGIN_ID])
    assert is_let_in(auth)


@pytest.mark.parametrize(
    ("hours", "stays"),
    [
        ((0, 1, 2), True),
        ((0, 23, 23.9), True),
        ((0, 23, 24.5, 25), True),
        ((0, 23, 24.5), False),
        ((0, 13, 26, 39), False),
    ],
)
def test_any_three_locks_inside_a_day_stay(
    auth: Auth, clock: FakeClock, hours: tuple[float, ...], stays: bool
) -> None:
    """The day is any 24 hours, not one that began with the first lock."""
    begin = clock()
    for hour in hours:
        clock.now = begin + int(hour * 3600)
        fail(auth, 5)
    clock.advance(40 * 3600)
    assert is_let_in(auth) is not stays


@pytest.mark.parametrize(("later", "let_in"), [(90 * DAY, True), (90 * DAY + 1, False)])
def test_ninety_days_unused_keep_out(
    auth: Auth, clock: FakeClock, later: int, let_in: bool
) -> None:
    """PCI DSS 8.2.6."""
    clock.advance(later)
    assert is_let_in(auth) is let_in


def test_twenty_failures_block_an_origin(auth: Auth, clock: FakeClock) -> None:
    """429 with Retry-After, whoever is named and whatever X-Forwarded-For says;
    a quarter of an hour later it is over (AUT-06)."""
    for number in range(20):
        assert auth.password(f"nobody{number}", WRONG).status_code == 422
    token = auth.csrf("/login")
    answer = auth.client.post(
        "/login",
        data={"csrf_token": token, "login_id": LOGIN_ID, "password": PASSWORD},
        headers={"X-Forwarded-For": "203.0.113.9"},
    )
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    clock.advance(900)
    assert is_let_in(auth)


def test_wrong_codes_count_for_the_origin(auth: Auth) -> None:
    """The same limit holds for the code page."""
    auth.to_code()
    change(
        auth.app,
        "INSERT INTO origin_failure (id, origin, at) "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) "
        "SELECT i, '127.0.0.1', :at FROM n",
        at=auth.app.extensions["clock"](),
    )
    assert auth.code("22222222").status_code == 429


def test_a_card_number_as_login_id_is_never_shown(auth: Auth) -> None:
    """The field comes back empty, and the trail says unknown."""
    answer = auth.password(VISA, WRONG)
    assert VISA not in answer.text
    assert trail(auth.app)[-1] == ("login.password", "failure", "unknown")


def test_full_house_answers_at_once(auth: Auth) -> None:
    """With four hashes being made the fifth is told 503 (AUT-03)."""
    room = auth.app.extensions["hasher"]._room
    for _ in range(4):
        assert room.acquire(blocking=False)
    assert auth.password().status_code == 503
    for _ in range(4):
        room.release()
    assert is_let_in(auth)


def test_a_weaker_hash_is_made_anew(auth: Auth, app: Flask) -> None:
    """At the first right password after the setting was raised."""
    app.extensions["hasher"] = Hasher(2048)
    assert is_let_in(auth)
    assert "$m=2048,t=3,p=4$" in scalar(app, "SELECT password_hash FROM operator")
    assert is_let_in(auth)


def test_hashes_cost_what_the_setting_says(app: Flask, environ: dict[str, str]) -> None:
    """ARGON2_MEMORY_KIB, three passes, four lanes (AUT-03)."""
    assert app.name
    site = create_app(Config.from_environ(environ | {"ARGON2_MEMORY_KIB": "20480"}))
    hashed = site.extensions["hasher"].hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=20480,t=3,p=4$")


def test_a_password_changed_meanwhile_lets_nobody_in(
    auth: Auth, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Argon2 worked an administrator gave another password."""
    hasher = app.extensions["hasher"]
    agrees = hasher.agrees

    def slow(stored: str, typed: str) -> bool:
        right = bool(agrees(stored, typed))
        change(app, "UPDATE operator SET password_hash = :new", new="another")
        return right

    monkeypatch.setattr(hasher, "agrees", slow)
    assert not is_let_in(auth)


def test_a_new_login_ends_the_one_begun_before(auth: Auth, app: Flask) -> None:
    """One browser holds one login."""
    auth.password()
    auth.password()
    assert scalar(app, "SELECT count(*) FROM login") == 1


def test_nobody_is_there_to_begin_with(app: Flask) -> None:
    """A new site has no default account (AUT-08)."""
    assert scalar(app, "SELECT count(*) FROM operator") == 0


def test_no_address_leads_elsewhere(auth: Auth) -> None:
    """There is no ``next`` in an address: who logs in comes to the list (AUT-08)."""
    token = auth.csrf("/login")
    fields = {"csrf_token": token, "login_id": LOGIN_ID, "password": PASSWORD}
    answer = auth.client.post("/login?next=//evil.example", data=fields)
    assert answer.location == "/login/email"
    auth.address()
    code = {"csrf_token": auth.csrf("/login/code"), "code": auth.mailbox.code()}
    answer = auth.client.post("/login/code?next=//evil.example", data=code)
    assert answer.location == "/cards"


@pytest.mark.parametrize("path", ["/login", "/logout", "/password", "/cards"])
def test_a_form_without_its_token_is_refused(auth: Auth, path: str) -> None:
    """Login and logout too (WEB-02)."""
    auth.login()
    answer = auth.post(path, csrf_token="made up")
    assert answer.status_code == 400
    assert auth.get("/cards").status_code == 200


def test_a_doubled_field_is_refused(auth: Auth) -> None:
    """No browser sends one twice (INP-02)."""
    token = auth.csrf("/login")
    fields = {"csrf_token": token, "login_id": [LOGIN_ID, "x"], "password": PASSWORD}
    assert auth.client.post("/login", data=fields).status_code == 400


def test_the_trail_tells_a_login(auth: Auth, app: Flask) -> None:
    """Every step in order, under the login ID."""
    before = len(trail(app))
    auth.login()
    auth.logout()
    assert trail(app)[before:] == [
        (event, "success", LOGIN_ID)
        for event in (
            "login.password",
            "login.code_made",
            "login.code_sent",
            "login.code",
            "login.logged_in",
            "login.logged_out",
        )
    ]


def test_without_a_trail_nobody_logs_in(auth: Auth, app: Flask) -> None:
    """The act is undone and the page answers 503 (AUD-03)."""
    with app.extensions["vault"].engine.begin() as db:
        db.exec_driver_sql("ALTER TABLE audit_entry RENAME TO gone")
    assert auth.password().status_code == 503
    assert scalar(app, "SELECT count(*) FROM login") == 0


def test_limits_are_as_agreed() -> None:
    """PCI DSS 8.3.4 and the issue's own numbers."""
    assert (lockout.FAILURES, lockout.LOCK_SECONDS) == (5, 30 * 60)


@pytest.mark.parametrize(
    "login_id",
    ["taro\x00", "\x00", "ta\x00ro", "taro\x1b[2K", "ta\ufff9ro", "x" * 65, "x" * 9000],
)
def test_what_can_be_no_id_is_refused_in_its_field(auth: Auth, login_id: str) -> None:
    """Nobody has such an ID, and PostgreSQL is not asked for one: the usual 422, what
    was typed is gone, no hash is made and nobody's failures grow."""
    answer = auth.password(login_id=login_id)
    assert answer.status_code == 422
    assert REFUSED in answer.text
    assert re.search(r'id="login_id"[^>]* value=""', answer.text)
    with auth.app.extensions["site_engine"].connect() as db:
        assert db.exec_driver_sql("SELECT * FROM origin_failure").all() == []


@pytest.mark.parametrize("typed", ["ｔａｒｏ", " taro\u200b", "\ufefftaro"])
def test_the_width_of_a_login_id_does_not_matter(auth: Auth, typed: str) -> None:
    """An IME's full width and what a copy brings along are folded; case is not."""
    assert auth.password(typed).location == "/login/email"


def test_the_case_of_a_login_id_matters(auth: Auth) -> None:
    """Taro is another ID than taro, in full width as well."""
    assert auth.password("Ｔaro").status_code == 422
