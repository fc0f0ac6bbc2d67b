"""The guard before every page: who is let by, and where all others are led."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy.exc import OperationalError

from app.auth import guard
from app.db import work
from tests.actors.operator_client import Auth
from tests.places.vault import FakeClock

from .authenticator import enrol_app
from .records import change, scalar, trail

pytestmark = pytest.mark.mutation("app/auth/guard.py", area="session")

EXPIRED = (
    "一定時間操作がなかったため、ログアウトしました。もう一度ログインしてください。"
)


def lead(auth: Auth, path: str) -> tuple[int, str | None]:
    """How a page answers."""
    answer = auth.get(path)
    return answer.status_code, answer.location


def test_a_view_at_a_step_is_for_that_step_alone(auth: Auth, app: Flask) -> None:
    """It gets its arguments; everybody else is led where he belongs."""

    @guard.at_step("code")
    def word(word: str) -> str:
        """Say it."""
        return word

    app.add_url_rule("/say/<word>", "say", word)
    assert word.__name__ == "word"
    assert lead(auth, "/say/a") == (303, "/login")
    auth.password()
    assert lead(auth, "/say/a") == (303, "/login/email")
    auth.address()
    assert auth.get("/say/a").text == "a"
    auth.code(auth.mailbox.code())
    assert lead(auth, "/say/a") == (303, "/cards")


def test_strangers_see_what_was_said_to_be_public(auth: Auth, app: Flask) -> None:
    """And nothing else."""

    def page() -> str:
        """Anything."""
        return "page"

    app.add_url_rule("/closed", "closed", page)
    assert lead(auth, "/closed") == (303, "/login")
    assert guard.public(page) is page
    assert auth.get("/closed").text == "page"


def test_what_is_no_page_is_guarded_by_nobody(auth: Auth) -> None:
    """It is not found; the health page is there for all."""
    assert lead(auth, "/nowhere") == (404, None)
    assert lead(auth, "/healthz") == (200, None)


def test_forgetting_a_stranger_is_nothing(app: Flask) -> None:
    """Whether anybody looked for his login or not."""
    with app.test_request_context():
        guard.forget()
        assert guard.login_or_none() is None
        guard.forget()


def test_a_stranger_is_told_nothing_of_an_end(auth: Auth) -> None:
    """Only who had a login reads that it is over, once."""
    assert lead(auth, "/cards") == (303, "/login")
    assert EXPIRED not in auth.get("/login").text


def test_an_ended_login_is_told_wherever_it_is_noticed(auth: Auth, app: Flask) -> None:
    """The cookie names nothing any more, and is empty after that."""
    auth.login()
    change(app, "DELETE FROM login")
    assert lead(auth, "/cards") == (303, "/login")
    with auth.client.session_transaction() as session:
        assert "login" not in session
    assert EXPIRED in auth.get("/login").text
    assert EXPIRED not in auth.get("/login").text


def test_a_login_that_ends_under_its_request_is_led_out(auth: Auth, app: Flask) -> None:
    """By 303, so that a form is not sent again."""

    @guard.public
    def asking() -> str:
        """Somebody's login, which a stranger has none of."""
        return guard.current_login().person

    app.add_url_rule("/who", "who", asking, methods=["GET", "POST"])
    assert lead(auth, "/who") == (303, "/login")
    auth.login()
    assert auth.get("/who").text == "taro"


def test_a_page_that_took_long_looks_again(auth: Auth, app: Flask) -> None:
    """What ended meanwhile is over, whatever was read before, or if nothing was."""

    def slow() -> str:
        """Another request ends the login while this one works."""
        read = guard.current_login()
        work().release()
        if request.args:
            change(app, "DELETE FROM login")
        assert guard.login_or_none() is read
        return guard.reload_login().person

    app.add_url_rule("/slow", "slow", slow)
    app.add_url_rule(
        "/first", "first", guard.public(lambda: guard.reload_login().person)
    )
    auth.login()
    assert auth.get("/slow").text == "taro"
    assert lead(auth, "/slow?end=1") == (303, "/login")
    assert lead(auth, "/first") == (303, "/login")


def test_a_login_that_is_over_writes_nothing(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Its time was up while the page was at work: the next look under the lock finds
    it over, and leaves its end to a request of its own."""

    def slow() -> str:
        """Wait until the login is over."""
        clock.advance(901)
        return guard.begin_to_write().person

    app.add_url_rule("/slow", "slow", slow)
    auth.login()
    assert lead(auth, "/slow") == (303, "/login")
    assert scalar(app, "SELECT count(*) FROM login") == 1
    assert lead(auth, "/cards") == (303, "/login")
    assert scalar(app, "SELECT count(*) FROM login") == 0


def test_a_page_is_shown_where_nothing_can_be_written(
    auth: Auth, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login only ends the earlier; 続ける, whose point is the time, says that it
    failed."""
    auth.login()
    token = auth.csrf("/cards")
    clock.advance(60)

    def full(_act: object) -> bool:
        raise OperationalError("COMMIT", None, Exception("disk is full"))

    monkeypatch.setattr(guard, "at_once", full)
    assert auth.get("/password").status_code == 200
    answer = auth.post("/cards/still-here", csrf_token=token)
    assert answer.status_code == 503


def test_a_forms_address_leads_to_its_page(auth: Auth) -> None:
    """By GET, at each step; what is no form of a page is refused as before."""
    assert lead(auth, "/logout") == (303, "/login")
    code = auth.to_code()
    assert lead(auth, "/login/code/resend") == (303, "/login/code")
    auth.code(code)
    assert lead(auth, "/logout") == (303, "/cards")
    assert lead(auth, "/factors/remove") == (303, "/factors")
    assert lead(auth, "/csp-report") == (405, None)
    assert auth.client.head("/logout").location == "/cards"
    assert auth.client.put("/logout").status_code == 405


@pytest.mark.parametrize("step", ["stranger", "password", "code", "in", "first"])
def test_every_forms_address_can_be_opened(auth: Auth, app: Flask, step: str) -> None:
    """Whatever stands in the browser's address after a form: at each step it leads to a
    page that is shown."""
    if step != "stranger":
        auth.password()
    if step in ("code", "in", "first"):
        auth.address()
        code = auth.mailbox.code()
    if step in ("in", "first"):
        auth.code(code)
    if step == "first":
        change(app, "UPDATE operator SET must_change = true")
    rules = list(app.url_map.iter_rules())
    pages = {rule.rule for rule in rules if "GET" in (rule.methods or ())}
    paths = {rule.rule for rule in rules if rule.endpoint != "csp.report"} - pages
    assert {"/login/code/resend", "/login/passkey", "/factors/passkey"} < paths
    for path in sorted(paths):
        answer = auth.client.get(path, follow_redirects=True)
        assert answer.status_code == 200, path


def test_where_a_login_belongs(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """By its step; who has enrolled something better is asked for no address."""
    auth.login()
    with app.test_request_context():
        assert guard.next_page(None) == "/login"
    enrol_app(auth)
    assert lead(auth, "/") == (303, "/cards")
    auth.logout()
    clock.advance(60)
    auth.password()
    assert lead(auth, "/cards") == (303, "/login/code")
    change(app, "UPDATE login SET step = 'code'")
    assert lead(auth, "/cards") == (303, "/login/code")


def test_duties_come_first(auth: Auth, app: Flask, make_app: Any) -> None:
    """A first password, then the factor the setting requires; the pages of that
    duty are shown, all others lead there."""
    strict = make_app(LOGIN_FACTOR="totp")
    desk = Auth(strict, strict.test_client(), auth.mailbox)
    desk.login()
    change(app, "UPDATE operator SET must_change = true")
    for path in ("/cards", "/factors", "/factors/totp"):
        assert lead(desk, path) == (303, "/password")
    assert desk.get("/password").status_code == 200
    change(app, "UPDATE operator SET must_change = false")
    for path in ("/cards", "/password"):
        assert lead(desk, path) == (303, "/factors")
    assert desk.get("/factors").status_code == 200
    enrol_app(desk)
    assert desk.get("/cards").status_code == 200
    change(app, "UPDATE operator SET must_change = true")
    assert lead(desk, "/factors/totp") == (303, "/password")


def test_who_acts_and_from_where(auth: Auth, app: Flask) -> None:
    """The login's person and the request's own address, for the trail."""

    def who() -> list[str]:
        """The actor of this request."""
        actor = guard.acting()
        return [actor.name, actor.origin]

    app.add_url_rule("/who", "who", who)
    auth.login()
    assert auth.get("/who").json == ["taro", "127.0.0.1"]
    unknown = auth.client.get("/who", environ_overrides={"REMOTE_ADDR": ""})
    assert unknown.json == ["taro", "unknown"]


def test_an_expired_login_ends_at_its_next_look(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Its row is gone and the trail says so; one that goes on was seen now."""
    auth.login()
    clock.advance(60)
    auth.get("/cards")
    assert scalar(app, "SELECT seen_at FROM login") == clock()
    clock.advance(901)
    assert lead(auth, "/cards") == (303, "/login")
    assert scalar(app, "SELECT count(*) FROM login") == 0
    assert trail(app)[-1] == ("login.expired", "success", "taro")
