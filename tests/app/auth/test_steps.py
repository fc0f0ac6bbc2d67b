"""Who may see what: every address at every step of the login (AUT-02)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from flask import Flask

from app.auth.factors import totp
from tests.actors.operator_client import Auth

from .authenticator import Authenticator, enrol_app, enrol_passkey

# What a stranger may ask for.
OPEN = {
    *("static", "security.health", "security.live"),
    *("auth.login", "auth.logout", "csp.report"),
}
# What a login that is under way may ask for besides.
OWN = {
    "password given": {"auth.email", "auth.code", "auth.passkey"},
    "code sent": {"auth.email", "auth.code", "auth.resend", "auth.passkey"},
}
STEP_PAGES = ("/login", "/login/email", "/login/code")
STEPS = ("stranger", "password given", "code sent", "logged in")
CARD_PAGES = (
    "/cards",
    "/cards.csv",
    "/cards.xlsx",
    "/cards/deleted",
    "/cards/x/edit",
    "/password",
)

# Where an address leads at each of STEPS; None: the page itself.
MATRIX: dict[str, tuple[str | None, ...]] = {
    "/": ("/login", "/login/email", "/login/code", "/cards"),
    "/login": (None, None, None, "/cards"),
    "/login/email": ("/login", None, None, "/cards"),
    "/login/code": ("/login", "/login/email", None, "/cards"),
    "/password": ("/login", "/login/email", "/login/code", None),
    "/cards": ("/login", "/login/email", "/login/code", None),
    "/cards.csv": ("/login", "/login/email", "/login/code", None),
    "/cards.xlsx": ("/login", "/login/email", "/login/code", None),
    "/factors": ("/login", "/login/email", "/login/code", None),
    "/factors/proof": ("/login", "/login/email", "/login/code", None),
    "/factors/totp": ("/login", "/login/email", "/login/code", "/factors"),
}

# The same for an operator whose app takes the mailed code's place.
WITH_APP: dict[str, tuple[str | None, ...]] = {
    "/": ("/login", "/login/code", "/cards"),
    "/login": (None, None, "/cards"),
    "/login/email": ("/login", "/login/code", "/cards"),
    "/login/code": ("/login", None, "/cards"),
    "/password": ("/login", "/login/code", None),
    "/cards": ("/login", "/login/code", None),
    "/factors": ("/login", "/login/code", None),
}


def go_to(auth: Auth, step: str) -> None:
    """Log in as far as ``step``."""
    if step != "stranger":
        auth.password()
    if step in ("code sent", "logged in"):
        auth.address()
    if step == "logged in":
        auth.code(auth.mailbox.code())


@pytest.mark.parametrize("step", STEPS)
def test_every_address_at_every_step(auth: Auth, step: str) -> None:
    """A page shows itself at its own steps and leads to the right one else."""
    go_to(auth, step)
    for path, places in MATRIX.items():
        answer = auth.get(path)
        assert answer.location == places[STEPS.index(step)], path
        assert answer.status_code == (303 if answer.location else 200), path


def test_every_address_at_every_step_with_an_app(auth: Auth, clock: Any) -> None:
    """The address page is no step of his; the code page comes at once."""
    auth.login()
    seed = enrol_app(auth)
    auth.logout()
    clock.advance(60)
    for step in range(3):
        if step == 1:
            auth.password()
        if step == 2:
            auth.code(totp.code_at(seed, clock() // 30))
        for path, places in WITH_APP.items():
            answer = auth.get(path)
            assert answer.location == places[step], (path, step)
            assert answer.status_code == (303 if answer.location else 200), path


@pytest.mark.parametrize("step", STEPS[:3])
def test_no_route_is_open_before_the_last_step(
    auth: Auth, app: Flask, step: str
) -> None:
    """Every rule of the map by every method it takes, now or tomorrow (AUT-01): it
    leads to a step of the login, or a step's own form lacks its token."""
    go_to(auth, step)
    for rule in app.url_map.iter_rules():
        if rule.endpoint in OPEN | OWN.get(step, set()):
            continue
        path = rule.rule.replace("<public_id>", "x")
        for method in (rule.methods or set()) - {"OPTIONS"}:
            answer = auth.client.open(path, method=method)
            if not (path.startswith("/login/") and answer.status_code == 400):
                assert answer.status_code == 303, f"{method} {path}"
                assert answer.location in STEP_PAGES, f"{method} {path}"


@pytest.mark.parametrize("step", STEPS[:3])
@pytest.mark.parametrize("path", ["/cards", "/cards/x/edit", "/password"])
def test_no_form_is_taken_before_the_last_step(
    auth: Auth, step: str, path: str
) -> None:
    """A sent form leads to the step, and is not looked at."""
    go_to(auth, step)
    answer = auth.post(path, page="/login", customer_name="A")
    assert answer.status_code == 303
    assert answer.location in ("/login", "/login/email", "/login/code")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/login/email", {"email": "taro@example.co.jp"}),
        ("/login/code", {"code": "22222222"}),
        ("/login/code/resend", {}),
    ],
)
def test_a_step_can_not_be_begun_by_its_form(
    auth: Auth, path: str, fields: dict[str, str]
) -> None:
    """A stranger's later steps lead to the first, and no mail leaves."""
    answer = auth.post(path, page="/login", **fields)
    assert answer.location == "/login"
    assert auth.mailbox.is_empty()


def test_a_route_added_tomorrow_refuses_strangers(auth: Auth, app: Flask) -> None:
    """Nothing needs to be said for a view to be closed."""

    def secret() -> str:
        return "secret"

    app.add_url_rule("/tomorrow", "tomorrow", secret)
    assert auth.get("/tomorrow").location == "/login"
    auth.login()
    assert auth.get("/tomorrow").text == "secret"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/nowhere", 404),
        ("put", "/login", 405),
        ("put", "/logout", 405),
        ("delete", "/login/code/resend", 405),
        ("get", "/csp-report", 405),
    ],
)
def test_what_is_not_there_is_said_plainly(
    auth: Auth, method: str, path: str, status: int
) -> None:
    """To strangers too: nothing is told by it."""
    answer: Any = getattr(auth.client, method)(path)
    assert answer.status_code == status


def forms_addresses(app: Flask) -> list[str]:
    """Every address that takes a form and shows no page."""
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for rule in app.url_map.iter_rules():
        taken[rule.rule] |= rule.methods or set()
    posted = {path for path, methods in taken.items() if "POST" in methods}
    shown = {path for path, methods in taken.items() if "GET" in methods}
    return sorted(posted - shown - {"/csp-report"})


@pytest.mark.parametrize("step", STEPS)
def test_a_forms_address_leads_to_its_page(auth: Auth, app: Flask, step: str) -> None:
    """A reload after an error asks for it: each one of the map, at every step, leads
    to a page that is there, and does nothing else."""
    go_to(auth, step)
    own = MATRIX["/"][STEPS.index(step)]
    addresses = forms_addresses(app)
    assert {"/logout", "/login/code/resend", "/factors/passkey"} < set(addresses)
    for path in addresses:
        factors = step == "logged in" and path.startswith("/factors/")
        for method in ("GET", "HEAD"):
            answer = auth.client.open(path, method=method)
            page = "/factors" if factors else own
            assert (answer.status_code, answer.location) == (303, page), path
        assert auth.get(str(answer.location)).status_code == 200, path


def test_a_passkeys_address_leads_to_its_button(auth: Auth) -> None:
    """The code page, where it is asked for."""
    auth.login()
    enrol_passkey(auth, Authenticator())
    auth.logout()
    auth.password()
    assert auth.get("/login/passkey").location == "/login/code"
    assert "パスキーでログイン" in auth.get("/login/code").text


def test_an_address_can_be_changed(auth: Auth, clock: Any) -> None:
    """メールアドレスを変更 leads back, and the code goes to the new address."""
    auth.password()
    auth.address("wrong@example.co.jp")
    assert 'href="/login/email"' in auth.get("/login/code").text
    clock.advance(60)
    auth.address()
    assert auth.code(auth.mailbox.code()).location == "/cards"


def test_the_code_page_is_as_agreed(auth: Auth) -> None:
    """●, 表示, the address that was typed, and the two ways on."""
    auth.to_code()
    page = auth.get("/login/code").text
    assert 'id="code" name="code" type="password"' in page
    assert 'autocomplete="one-time-code"' in page
    assert 'data-reveal="code"' in page
    assert "taro@example.co.jp" in page
    assert "認証コードを再送信" in page
