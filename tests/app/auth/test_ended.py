"""What is said of a login that ended, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.auth import guard, logins
from app.db import work
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock

from .records import change

pytestmark = pytest.mark.mutation("app/auth/guard.py", area="session")

IDLE = "一定時間操作がなかったため、ログアウトしました。もう一度ログインしてください。"
REPLACED = (
    "同じログインIDで別のログインがあったため、ログアウトしました。"
    "お心当たりがない場合は、管理者に連絡してください。"
)
LONGEST = (
    "ログインから8時間が過ぎたため、ログアウトしました。もう一度ログインしてください。"
)
ADMINISTRATOR = "管理者の操作により、ログアウトしました。"
NEW_PASSWORD = (
    "パスワードが変更されたため、ログアウトしました。もう一度ログインしてください。"
)
NOTHING_DONE = "登録・更新は行われていません。"
ENDS = {IDLE, REPLACED, LONGEST, ADMINISTRATOR, NEW_PASSWORD}
A_SCRIPTS = {"Sec-Fetch-Dest": "empty"}
A_PERSONS = {"Sec-Fetch-Dest": "document"}

# Ends a login of the client's.
End = Callable[[Auth, FakeClock], object]


def elsewhere(auth: Auth) -> Auth:
    """The same operator at another browser."""
    return Auth(auth.app, auth.app.test_client(), auth.mailbox)


def log_in_elsewhere(auth: Auth, clock: FakeClock) -> None:
    """The same ID once more, at another browser."""
    clock.advance(60)
    elsewhere(auth).login()


def be_busy_for_eight_hours(auth: Auth, clock: FakeClock) -> None:
    """A page every ten minutes."""
    for _ in range(49):
        clock.advance(600)
        auth.client.get("/password", headers=A_PERSONS)
    clock.advance(1)


def change_password_elsewhere(auth: Auth, _clock: FakeClock) -> None:
    """By somebody else behind a shared ID, who has it like the others."""
    change(auth.app, "UPDATE operator SET shared_until = 2 * used_at")
    query = "INSERT INTO operator_address VALUES (2, 1, 'hanako@example.co.jp')"
    change(auth.app, query)
    change(auth.app, "UPDATE login SET address = :address", address=ADDRESS)
    auth.mailbox.empty()
    other = elsewhere(auth)
    other.password()
    other.address("hanako@example.co.jp")
    other.code(other.mailbox.code())
    new = "another horse battery 6"
    words = {"current_password": PASSWORD, "new_password": new}
    sent = other.post("/password", **words, new_password_again=new)
    assert sent.location == "/cards"


def typing(*words: str) -> End:
    """An administrator's command."""

    def type_it(auth: Auth, _clock: FakeClock) -> None:
        said = auth.app.test_cli_runner().invoke(args=words)
        assert said.exit_code == 0, said.output

    return type_it


BY_COMMAND = [
    ("sessions", "end", LOGIN_ID),
    ("sessions", "end", "--all"),
    ("operators", "disable", LOGIN_ID),
    ("operators", "reset-password", LOGIN_ID),
    ("operators", "remove-email", LOGIN_ID, ADDRESS),
]
HOW = [
    pytest.param(lambda _auth, clock: clock.advance(901), IDLE, id="idle"),
    pytest.param(log_in_elsewhere, REPLACED, id="replaced"),
    pytest.param(be_busy_for_eight_hours, LONGEST, id="eight hours"),
    pytest.param(change_password_elsewhere, NEW_PASSWORD, id="new password"),
    *(
        pytest.param(typing(*words), ADMINISTRATOR, id=" ".join(words[:2]))
        for words in BY_COMMAND
    ),
]


def told(auth: Auth) -> set[str]:
    """Which ends the login page tells of."""
    page = auth.client.get("/login", headers=A_PERSONS).text
    return {text for text in {*ENDS, NOTHING_DONE} if text in page}


@pytest.mark.parametrize(("end", "text"), HOW)
def test_an_ended_login_says_why(
    auth: Auth, clock: FakeClock, end: End, text: str
) -> None:
    """Once, at the next page that is asked for, and nothing of a form."""
    auth.login()
    end(auth, clock)
    assert auth.get("/cards").location == "/login"
    assert told(auth) == {text}
    assert told(auth) == set()


@pytest.mark.parametrize(("end", "text"), HOW)
def test_a_form_that_met_an_ended_login_was_not_taken(
    auth: Auth, clock: FakeClock, end: End, text: str
) -> None:
    """The page says so, beside why the login ended."""
    auth.login()
    token = auth.csrf("/cards")
    end(auth, clock)
    sent = auth.post("/cards", csrf_token=token, customer_name="A")
    assert sent.location == "/login"
    assert told(auth) == {text, NOTHING_DONE}
    assert told(auth) == set()


def test_the_login_page_tells_it_too(auth: Auth, clock: FakeClock) -> None:
    """Whoever asks for it first, or for a step of the login."""
    auth.login()
    log_in_elsewhere(auth, clock)
    assert auth.get("/login/code").location == "/login"
    assert told(auth) == {REPLACED}


def test_a_login_half_way_is_told_too(auth: Auth, clock: FakeClock) -> None:
    """Another login of the same ID was quicker; a step's form has registered
    nothing that anybody would ask for."""
    code = auth.to_code()
    token = auth.csrf("/login/code")
    log_in_elsewhere(auth, clock)
    assert auth.post("/login/code", csrf_token=token, code=code).location == "/login"
    assert told(auth) == {REPLACED}


def test_a_script_leaves_the_reason_to_the_page(auth: Auth, clock: FakeClock) -> None:
    """続ける, or the look for likely cards, asks first; nobody reads its answer."""
    auth.login()
    token = auth.csrf("/cards")
    log_in_elsewhere(auth, clock)
    for path in ("/cards/likeness", "/login"):
        auth.client.get(path, headers=A_SCRIPTS)
    fields = {"csrf_token": token}
    auth.client.post("/cards/still-here", data=fields, headers=A_SCRIPTS)
    auth.client.get("/login", headers=A_SCRIPTS)
    assert auth.client.get("/cards", headers=A_PERSONS).location == "/login"
    assert told(auth) == {REPLACED}


def test_a_form_without_a_login_was_not_taken(auth: Auth) -> None:
    """Another tab logged out; there is no end to tell of."""
    auth.login()
    token = auth.csrf("/cards")
    auth.logout()
    auth.get("/login")
    assert auth.post("/cards", csrf_token=token).location == "/login"
    assert told(auth) == {NOTHING_DONE}


def test_the_second_copy_of_a_form_says_nothing_of_the_first(auth: Auth) -> None:
    """The first changed the password, and the login goes on under a new cookie, which
    the second must not take away."""
    auth.login()
    token, cookie = auth.csrf("/password"), auth.client.get_cookie("session")
    assert cookie is not None
    new = "another horse battery 6"
    fields = {"csrf_token": token, "current_password": PASSWORD}
    fields |= {"new_password": new, "new_password_again": new}
    assert auth.client.post("/password", data=fields).location == "/cards"
    late = auth.app.test_client()
    late.set_cookie("session", cookie.value)
    second = late.post("/password", data=fields)
    assert second.location == "/login"
    assert "Set-Cookie" not in second.headers


@pytest.mark.parametrize("noted", [True, False])
def test_a_login_that_ends_under_its_form_took_nothing(
    auth: Auth, app: Flask, monkeypatch: pytest.MonkeyPatch, noted: bool
) -> None:
    """Another request ended it while Argon2 worked; told where it is known why."""
    auth.login()
    hasher = app.extensions["hasher"]
    agrees = hasher.agrees

    def slow(stored: str, typed: str) -> bool:
        if noted:
            typing("sessions", "end", "--all")(auth, FakeClock(0))
        else:
            change(app, "DELETE FROM login")
        return bool(agrees(stored, typed))

    monkeypatch.setattr(hasher, "agrees", slow)
    new = "another horse battery 6"
    words = {"current_password": PASSWORD, "new_password": new}
    sent = auth.post("/password", **words, new_password_again=new)
    assert sent.location == "/login"
    assert ("Set-Cookie" in sent.headers) is noted
    assert told(auth) == ({ADMINISTRATOR, NOTHING_DONE} if noted else {IDLE})


@pytest.mark.parametrize(
    ("method", "public", "form_told"),
    [("GET", False, False), ("POST", True, False), ("POST", False, True)],
)
def test_only_a_form_of_a_page_is_said_to_have_come_too_late(
    auth: Auth, app: Flask, method: str, public: bool, form_told: bool
) -> None:
    """A page that was asked for has changed nothing, nor has a step of the login."""

    def slow() -> str:
        """An administrator ends the login while this works."""
        guard.current_login()
        work().release()
        typing("sessions", "end", "--all")(auth, FakeClock(0))
        return guard.reload_login().person

    view = guard.public(slow) if public else slow
    app.add_url_rule("/slow", "slow", view, methods=[method])
    auth.login()
    fields = {"csrf_token": auth.csrf("/cards")} if method == "POST" else {}
    sent = auth.client.open("/slow", method=method, data=fields)
    assert sent.location == "/login"
    assert told(auth) == {ADMINISTRATOR, *([NOTHING_DONE] if form_told else [])}


def test_every_end_has_its_text() -> None:
    """None that may be noted is left without."""
    assert set(guard.ENDS) == set(logins.Ended)
    assert set(guard.ENDS.values()) == ENDS


def test_nothing_is_told_that_was_not_asked(auth: Auth, clock: FakeClock) -> None:
    """Whoever gives the password at once, at the browser of the ended login, is in."""
    auth.login()
    clock.advance(901)
    answer: Any = auth.login()
    assert answer.location == "/cards"
