"""前回のログイン on the list page: who else used this ID?"""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.vault import FakeClock

from .records import scalar


def line(auth: Auth) -> str:
    """The line as it is read on the list page; "" when there is none."""
    page = auth.get("/cards").text
    found = re.search(r'<p class="previous[^>]*>(.*?)</p>', page, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", "", found[1]) if found else ""


def again(auth: Auth, app: Flask, clock: FakeClock) -> Auth:
    """Log in once more, an hour later, at another browser."""
    clock.advance(3600)
    other = Auth(app, app.test_client(), auth.mailbox)
    other.login()
    return other


def test_the_first_login_has_none_before(auth: Auth) -> None:
    """It says so; failures that came before it are told all the same."""
    auth.login()
    assert line(auth) == "今回が初めてのログインです。"


def test_failures_before_the_first_login_are_told(auth: Auth) -> None:
    """After nothing: the number alone."""
    auth.password(password="wrong password 123")
    auth.login()
    assert line(auth) == (
        "今回が初めてのログインです。ログイン失敗：1回（最後は2026/11/2312:00、"
        "接続元127.0.0.1）。お心当たりがない場合は、管理者に連絡してください。"
    )


def test_it_alarms_once(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """On the first list of the login, and then it is a line like any other; the next
    login without a failure has none."""
    auth.login()
    auth.logout()
    auth.password(password="wrong password 123")
    clock.advance(60)
    auth.login()
    for alarm in (True, False):
        page = auth.get("/cards").text
        assert ('class="previous warn"' in page) is alarm
        assert "その後のログイン失敗：1回（最後は" in page
    assert 'class="previous"' in again(auth, app, clock).get("/cards").text


def test_the_last_failure_is_told(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """When and from where, as the trusted proxies say, by this login's end too."""
    auth.login()
    auth.logout()
    auth.password(password="wrong password 123")
    clock.advance(3600)
    environ = {"REMOTE_ADDR": "192.0.2.7"}
    stranger = Auth(app, app.test_client(), auth.mailbox)
    token = stranger.csrf("/login")
    words = {"csrf_token": token, "login_id": LOGIN_ID, "password": "wrong 1"}
    stranger.client.post("/login", data=words, environ_base=environ)
    clock.advance(3600)
    auth.login()
    last = "その後のログイン失敗：2回（最後は2026/11/2313:00、接続元192.0.2.7）。"
    assert last in line(auth)


def test_it_says_when_and_from_where(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """In Japan's time, the origin as the trusted proxies say; all the session long."""
    auth.login()
    other = again(auth, app, clock)
    said = "前回のログイン：2026/11/2312:00（接続元127.0.0.1）その後のログイン失敗：0回"
    assert line(other) == said
    clock.advance(600)
    assert line(other) == said


@pytest.mark.parametrize("failures", [1, 3])
def test_it_counts_the_failures_since(
    auth: Auth, app: Flask, clock: FakeClock, failures: int
) -> None:
    """Passwords and codes, and then from nought again."""
    auth.login()
    auth.logout()
    for _ in range(failures - 1):
        auth.password(password="wrong password 123")
    clock.advance(60)
    code = auth.to_code()
    auth.code("22222222")
    auth.code(code)
    assert f"その後のログイン失敗：{failures}回（最後は" in line(auth)
    assert "その後のログイン失敗：0回" in line(again(auth, app, clock))


def test_tries_at_a_locked_id_count(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """Seventeen failures are one lock, which still ends after half an hour."""
    auth.login()
    auth.logout()
    for _ in range(17):
        auth.password(password="wrong password 123")
    clock.advance(1800)
    auth.login()
    assert "その後のログイン失敗：17回" in line(auth)
    assert scalar(app, "SELECT failures FROM operator") == 0


def test_a_changed_password_keeps_the_line(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """It is the same login under another id."""
    auth.login()
    auth.logout()
    auth.password(password="wrong password 123")
    other = again(auth, app, clock)
    before = line(other)
    assert "ログイン失敗：1回（最後は" in before
    other.post(
        "/password",
        current_password="correct horse battery 5",
        new_password="another horse battery 6",
        new_password_again="another horse battery 6",
    )
    assert line(other) == before


def test_other_pages_have_no_such_line(auth: Auth) -> None:
    """It stands on the list alone."""
    auth.login()
    assert "前回のログイン" not in auth.get("/password").text
    auth.logout()
    assert "前回のログイン" not in auth.get("/login").text
