"""Whoever's login ended comes back to the page they were on, and to nowhere else."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from flask import Flask

from app.auth import guard
from tests.actors.operator_client import Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock

from .records import change

pytestmark = pytest.mark.mutation("app/auth/guard.py", area="session")

EDIT = "/cards/abcdefgh/edit"


def next_login(auth: Auth, clock: FakeClock) -> str:
    """Log in again where the last login ended; returns the page it leads to."""
    clock.advance(60)
    return auth.login().location or ""


def end(auth: Auth) -> None:
    """An administrator ends every login."""
    done = auth.app.test_cli_runner().invoke(args=["sessions", "end", "--all"])
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("asked", "page"),
    [
        (EDIT, EDIT),
        (f"{EDIT}?q=鈴木&page=2", EDIT),
        ("/cards/abcdefgh/registered", "/cards/abcdefgh/registered"),
        ("/cards/abcdefgh/updated", "/cards/abcdefgh/updated"),
        ("/password", "/password"),
        ("/factors", "/factors"),
        ("/cards", "/cards"),
    ],
)
def test_the_page_of_a_dead_login_is_opened_after_the_next(
    auth: Auth, clock: FakeClock, asked: str, page: str
) -> None:
    """Once, and without the search."""
    auth.login()
    end(auth)
    assert auth.get(asked).location == "/login"
    assert next_login(auth, clock) == page
    auth.logout()
    assert next_login(auth, clock) == "/cards"


def test_an_idle_login_comes_back_too(auth: Auth, clock: FakeClock) -> None:
    """It is this request that finds it over."""
    auth.login()
    clock.advance(901)
    auth.get(EDIT)
    assert next_login(auth, clock) == EDIT


def test_a_form_leads_back_to_its_page(auth: Auth, clock: FakeClock) -> None:
    """The page says that nothing was done, and is opened again after the login."""
    auth.login()
    token = auth.csrf("/cards")
    end(auth)
    auth.post(EDIT, csrf_token=token, phone="090-0000-0000")
    assert "登録・更新は行われていません。" in auth.get("/login").text
    assert next_login(auth, clock) == EDIT


def test_nobody_else_is_led_there(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """Another operator at the same browser comes to the list, and so does the first one
    after them."""
    add = ["operators", "add", "hanako", "--name", "花子", "--email", "h@example.jp"]
    add += ["--password-stdin", "--no-change"]
    app.test_cli_runner().invoke(args=add, input=PASSWORD)
    auth.login()
    end(auth)
    auth.get(EDIT)
    auth.password("hanako")
    auth.address("h@example.jp")
    assert auth.code(auth.mailbox.code()).location == "/cards"
    auth.logout()
    assert next_login(auth, clock) == "/cards"


def test_a_shared_id_is_not_led_there(auth: Auth, clock: FakeClock) -> None:
    """It may be another person's turn."""
    change(auth.app, "UPDATE operator SET shared_until = 2 * used_at")
    auth.login()
    end(auth)
    auth.get(EDIT)
    assert next_login(auth, clock) == "/cards"


@pytest.mark.parametrize(
    "asked",
    [
        "/",
        "/login/code",
        "/cards.csv",
        "/cards/likeness",
        "/cards/deleted",
        "/cards/search",
        "/factors/totp",
        "/factors/totp.svg",
        "/logout",
        "/nowhere",
        f"/cards/{'a' * 100}/edit",
    ],
)
def test_nothing_else_is_kept(auth: Auth, clock: FakeClock, asked: str) -> None:
    """What is no page for a person to come back to leads to the list."""
    auth.login()
    end(auth)
    auth.get(asked)
    assert next_login(auth, clock) == "/cards"


@pytest.mark.parametrize(
    "asked",
    [
        "/cards//evil.example/edit",
        "/cards/%2F%2Fevil.example/edit",
        "/cards/%5C%5Cevil.example/edit",
        "/cards/https:%2F%2Fevil.example/edit",
        "/cards/..%2F..%2Fevil/edit",
        "/cards/%0D%0ALocation:%20x/edit",
        "/cards/%00/edit",
        "/cards/%ED%A0%80/edit",
        "/%5Cevil.example",
        "/%2F%2Fevil.example/cards",
        "/https:%2F%2Fevil.example",
        f"{EDIT}?next=//evil.example",
    ],
)
def test_no_address_leads_off_the_site(
    auth: Auth, clock: FakeClock, asked: str
) -> None:
    """Whatever was asked for, by a link of anybody's: what is answered is an address of
    ours, on this host and of one line."""
    auth.login()
    end(auth)
    headers = {"Referer": "http://localhost/", "Sec-Fetch-Dest": "document"}
    auth.client.get(asked, headers=headers)
    led = next_login(auth, clock)
    assert urlsplit(led)[:2] == ("", "")
    assert led.startswith("/cards")
    assert not set(led) & set("\r\n\0\\")
    assert auth.get(led).status_code in (200, 404)


@pytest.mark.parametrize(
    "kept",
    [
        (1, "auth.logout", {}),
        (1, "static", {"filename": "site.js"}),
        (1, "nowhere", {}),
        (1, "cards.edit", {"id": "a"}),
        (2, "cards.edit", {"public_id": "a"}),
        (0, "cards.edit", {"public_id": "a"}),
    ],
)
def test_only_the_listed_pages_are_led_to(auth: Auth, kept: tuple[object, ...]) -> None:
    """Whatever stands in the browser's session: another version of the site may have
    written it."""
    code = auth.to_code()
    with auth.client.session_transaction() as session:
        session[guard.PLACE] = kept
    assert auth.code(code).location == "/cards"


def test_a_script_names_no_page(auth: Auth, clock: FakeClock) -> None:
    """What it asks for by itself is not where the operator is."""
    auth.login()
    end(auth)
    auth.client.get(EDIT, headers={"Sec-Fetch-Dest": "empty"})
    assert next_login(auth, clock) == "/cards"


def test_a_login_whose_end_is_not_known_leads_to_the_list(
    auth: Auth, clock: FakeClock
) -> None:
    """It is not known whose it was."""
    auth.login()
    change(auth.app, "DELETE FROM login")
    auth.get(EDIT)
    assert next_login(auth, clock) == "/cards"


def test_duties_come_first(auth: Auth, clock: FakeClock) -> None:
    """A first password is changed before the page is shown."""
    auth.login()
    end(auth)
    auth.get(EDIT)
    change(auth.app, "UPDATE operator SET must_change = true")
    until = clock() + 86400
    change(auth.app, "UPDATE operator SET first_password_until = :until", until=until)
    assert next_login(auth, clock) == EDIT
    assert auth.get(EDIT).location == "/password"
