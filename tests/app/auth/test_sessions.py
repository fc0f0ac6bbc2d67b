"""Logins as rows on the server, and the cookie that names one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.auth import logins
from app.auth.models import Login
from tests.actors.operator_client import Auth
from tests.places.vault import FakeClock

from .records import change, scalar, trail

EXPIRED = (
    "一定時間操作がなかったため、ログアウトしました。もう一度ログインしてください。"
)
HOUR = 3600


def cookie_of(auth: Auth) -> str:
    """What the browser's session cookie holds."""
    cookie = auth.client.get_cookie("session")
    assert cookie is not None
    return str(cookie.value)


def with_cookie(auth: Auth, value: str) -> Auth:
    """Another browser that was given a captured cookie."""
    other = auth.app.test_client()
    other.set_cookie("session", value)
    return Auth(auth.app, other, auth.mailbox)


def is_in(auth: Auth) -> bool:
    """Say whether this browser is shown the list."""
    return auth.get("/cards").status_code == 200


def test_the_cookie_on_https(make_app: Any, app: Flask) -> None:
    """__Host-, Secure, HttpOnly, SameSite=Strict, path / (SES-03)."""
    assert app.name
    site = make_app(ALLOW_INSECURE_LOOPBACK="0", TRUSTED_HOSTS="cards.example.jp")
    answer = site.test_client().get("/login", base_url="https://cards.example.jp")
    name, _, attributes = answer.headers["Set-Cookie"].partition("=")
    assert name == "__Host-session"
    assert set(attributes.split("; ")[1:]) == {
        "Secure",
        "HttpOnly",
        "Path=/",
        "SameSite=Strict",
    }


def test_the_cookie_on_loopback(client: FlaskClient) -> None:
    """A plain name and no Secure, all else the same."""
    name, _, attributes = client.get("/login").headers["Set-Cookie"].partition("=")
    assert name == "session"
    assert set(attributes.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=Strict"}


def test_each_step_has_an_id_and_a_token_of_its_own(auth: Auth) -> None:
    """The cookies of the steps before are dead (SES-01)."""
    auth.get("/login")
    cookies, tokens = [cookie_of(auth)], [auth.csrf("/login")]
    auth.password()
    tokens.append(auth.csrf("/login/email"))
    cookies.append(cookie_of(auth))
    auth.address()
    tokens.append(auth.csrf("/login/code"))
    cookies.append(cookie_of(auth))
    auth.code(auth.mailbox.code())
    tokens.append(auth.csrf("/cards"))
    assert len(set(tokens)) == 4
    for old in cookies:
        assert with_cookie(auth, old).get("/login/code").location == "/login"


def test_the_row_holds_a_hash(auth: Auth, app: Flask) -> None:
    """SHA-256 of 256 random bits; the cookie holds the bits, signed."""
    auth.login()
    with auth.client.session_transaction() as session:
        kept = session["login"]
    assert len(kept) == 43
    assert scalar(app, "SELECT id FROM login") == (
        hashlib.sha256(kept.encode()).hexdigest()
    )


@pytest.mark.parametrize("broken", ["", "x", "eyJsb2dpbiI6IngifQ.x.x", "\x00", "é" * 3])
def test_a_made_up_cookie_is_a_strangers(auth: Auth, broken: str) -> None:
    """Whatever it holds, it leads to /login and breaks nothing."""
    answer = with_cookie(auth, broken).get("/cards")
    assert (answer.status_code, answer.location) == (303, "/login")


def test_a_cookie_from_before_logout_is_dead(auth: Auth, app: Flask) -> None:
    """The row is gone; the browser reads ログアウトしました。"""
    auth.login()
    captured = cookie_of(auth)
    assert auth.logout().location == "/login"
    assert "ログアウトしました。" in auth.get("/login").text
    assert not is_in(with_cookie(auth, captured))
    assert scalar(app, "SELECT count(*) FROM login") == 0


def test_nothing_planted_before_login_survives(auth: Auth) -> None:
    """The session holds what the site puts in and nothing else."""
    with auth.client.session_transaction() as session:
        session["planted"] = "yes"
    auth.password()
    with auth.client.session_transaction() as session:
        assert set(session) == {"login"}


def test_a_claimed_remember_me_changes_nothing(auth: Auth) -> None:
    """There is none, and the cookie of that name hides no login."""
    auth.login()
    auth.client.set_cookie("remember_token", "1|x")
    assert "ログアウト" in auth.get("/cards").text
    assert auth.post("/password", page="/cards").status_code == 422


@pytest.mark.parametrize(("idle", "alive"), [(900, True), (901, False)])
def test_fifteen_idle_minutes_end_a_login(
    auth: Auth, clock: FakeClock, idle: int, alive: bool
) -> None:
    """900 s yes, 901 s no; being asked for anything counts (SES-02)."""
    auth.login()
    clock.advance(600)
    assert is_in(auth)
    clock.advance(idle)
    assert is_in(auth) is alive


@pytest.mark.parametrize(("last", "alive"), [(0, True), (1, False)])
def test_eight_hours_end_a_login(
    auth: Auth, clock: FakeClock, last: int, alive: bool
) -> None:
    """However busy it was."""
    auth.login()
    for _ in range(8 * HOUR // 900):
        clock.advance(900)
        assert is_in(auth)
    clock.advance(last)
    assert is_in(auth) is alive


@pytest.mark.parametrize(("late", "alive"), [(2100, True), (2101, False)])
def test_logging_in_may_take_35_minutes(
    auth: Auth, clock: FakeClock, late: int, alive: bool
) -> None:
    """From the password on, whatever is asked for between."""
    auth.password()
    clock.advance(1000)
    auth.get("/login/email")
    clock.advance(late - 1000)
    assert (auth.get("/login/email").status_code == 200) is alive


def test_an_expired_login_is_told_and_recorded(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """The text stands on the login page, the end in the trail, both once."""
    auth.login()
    clock.advance(901)
    assert auth.get("/cards").location == "/login"
    assert EXPIRED in auth.get("/login").text
    assert EXPIRED not in auth.get("/login").text
    ended = [entry for entry in trail(app) if entry[0] == "login.expired"]
    assert ended == [("login.expired", "success", "taro")]


def test_a_form_after_the_end_changes_nothing(auth: Auth, clock: FakeClock) -> None:
    """It leads to the login page with its reason."""
    auth.login()
    token = auth.csrf("/cards")
    clock.advance(901)
    answer = auth.post("/cards", csrf_token=token, customer_name="A")
    assert answer.location == "/login"
    assert EXPIRED in auth.get("/login").text


@pytest.mark.parametrize("step", [-24 * HOUR, 24 * HOUR])
def test_a_stepped_clock_revives_nothing(
    auth: Auth, clock: FakeClock, step: int
) -> None:
    """A day back or forth ends a login (REL-05)."""
    auth.login()
    clock.advance(step)
    assert not is_in(auth)
    clock.advance(-step)
    assert not is_in(auth)


def test_one_login_a_person(auth: Auth, clock: FakeClock) -> None:
    """The newest ends the one before, and any that is half way."""
    auth.login()
    half = with_cookie(auth, "")
    half.password()
    clock.advance(60)
    newest = with_cookie(auth, "")
    newest.login()
    assert is_in(newest)
    assert not is_in(auth)
    assert half.get("/login/email").location == "/login"


def test_the_trail_tells_of_a_replaced_login(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """By a login elsewhere and by one in the same browser; one that was not all
    the way in elsewhere is not worth an entry."""
    auth.login()
    clock.advance(60)
    half, newest = with_cookie(auth, ""), with_cookie(auth, "")
    half.password()
    newest.login()
    replaced = [entry for entry in trail(app) if entry[0] == "login.replaced"]
    assert replaced == [("login.replaced", "success", "taro")]
    assert trail(app)[-2][0] == "login.logged_in"
    half.password()
    half.password()
    replaced = [entry for entry in trail(app) if entry[0] == "login.replaced"]
    assert len(replaced) == 2


def test_a_changed_password_gives_no_new_eight_hours(
    auth: Auth, clock: FakeClock
) -> None:
    """The hours are counted from the login (SES-02)."""
    auth.login()
    for _ in range(8 * HOUR // 900):
        clock.advance(900)
        assert is_in(auth)
    changed = auth.post(
        "/password",
        current_password="correct horse battery 5",
        new_password="another horse battery 6",
        new_password_again="another horse battery 6",
    )
    assert changed.location == "/cards"
    assert is_in(auth)
    clock.advance(1)
    assert not is_in(auth)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM login",
        "UPDATE operator SET disabled_at = 1",
        "UPDATE operator SET password_epoch = 2",
    ],
)
def test_a_login_can_be_ended_from_outside(
    auth: Auth, app: Flask, statement: str
) -> None:
    """At the operator's very next request (AUT-08)."""
    auth.login()
    change(app, statement)
    assert not is_in(auth)


@pytest.mark.engines("sqlite", "postgres")
def test_a_request_on_its_way_revives_nothing(
    auth: Auth, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Argon2 works without a lock the login ends: it stays ended."""
    auth.login()
    hasher = app.extensions["hasher"]
    agrees = hasher.agrees

    def slow(stored: str, typed: str) -> bool:
        change(app, "DELETE FROM login")
        return bool(agrees(stored, typed))

    monkeypatch.setattr(hasher, "agrees", slow)
    answer = auth.post(
        "/password",
        current_password="correct horse battery 5",
        new_password="another horse battery 6",
        new_password_again="another horse battery 6",
    )
    assert answer.location == "/login"
    assert scalar(app, "SELECT count(*) FROM login") == 0
    assert scalar(app, "SELECT password_epoch FROM operator") == 1


@pytest.mark.engines("sqlite", "postgres")
def test_a_login_that_ended_does_not_advance(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Another connection deleted the row after this one had read it."""
    auth.login()
    with Session(app.extensions["site_engine"]) as site:
        login = site.scalars(select(Login)).one()
        site.execute(delete(Login).execution_options(synchronize_session=False))
        with pytest.raises(logins.LoginEnded):
            logins.advance(site, login, "in", clock())


def test_a_stranger_may_press_logout(auth: Auth) -> None:
    """A second press of ログアウト is answered like the first."""
    assert auth.post("/logout", page="/login").location == "/login"
    assert "ログアウトしました。" in auth.get("/login").text


def test_a_fallback_secret_keeps_logins(auth: Auth, make_app: Any) -> None:
    """SECRET_KEY_FALLBACKS; without it the cookie is nobody's."""
    auth.login()
    new = "quite another secret, as long as the first one"
    old = "a secret of at least thirty-two bytes"
    kept = Auth(
        make_app(SECRET_KEY=new, SECRET_KEY_FALLBACKS=old), auth.client, auth.mailbox
    )
    browser = kept.app.test_client()
    browser.set_cookie("session", cookie_of(auth))
    assert browser.get("/cards").status_code == 200
    stranger = make_app(SECRET_KEY=new).test_client()
    stranger.set_cookie("session", cookie_of(auth))
    assert stranger.get("/cards").location == "/login"


def test_a_second_press_keeps_the_login(auth: Auth) -> None:
    """The loser of a double click gets no cookie that would end the winner's."""
    code = auth.to_code()
    token, before = auth.csrf("/login/code"), cookie_of(auth)
    auth.code(code)
    late = with_cookie(auth, before).client
    answer = late.post("/login/code", data={"csrf_token": token, "code": code})
    assert answer.location == "/login"
    assert "Set-Cookie" not in answer.headers
