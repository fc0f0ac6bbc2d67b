"""What is no text in any field of any form is no incident, on either engine (INP-03)."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from flask import Flask

from tests.actors.forms import RIGHT, Form, forms_of
from tests.actors.operator_client import Auth, Desk
from tests.app.auth.authenticator import Authenticator, enrol_app, enrol_passkey
from tests.app.auth.records import change
from tests.places.vault import FakeClock

pytestmark = pytest.mark.engines("sqlite", "postgres")

# A NUL, which PostgreSQL takes in no text, and halves of a pair, which UTF-8 has none
# of: alone and at either end of what is right.
ODD = ("\0", "\ud800", "\udfff")
TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


def sent(auth: Auth, form: Form, page: str, name: str, text: str) -> int:
    """The status of a form with ``text`` in one field, however often it failed before."""
    for table in ("operator SET failures = 0, locked_until = 0", "code SET tries = 0"):
        change(auth.app, f"UPDATE {table}")
    change(auth.app, "DELETE FROM origin_failure")
    right = {name: RIGHT.get(name) or value for name, value in form.fields.items()}
    fields = right | dict.fromkeys(form.boxes, "y") | {name: text}
    body = urlencode(fields, errors="surrogatepass")
    path = form.address(page)
    return auth.client.open(
        path, method=form.method.upper(), data=body, headers=TYPE
    ).status_code


def fields_borne(auth: Auth, page: str) -> set[str]:
    """Try every field of every form of a page; returns the fields."""
    found = set()
    forms = forms_of(auth.get(page).text)
    for form in forms:
        # Those that change what the next form is tried on.
        if form.action in ("/logout", "/login/code/resend", "/factors/totp/new"):
            continue
        for name in sorted({*form.fields, *form.boxes} - {"csrf_token", "confirmed"}):
            right = RIGHT.get(name) or form.fields[name]
            for odd in ODD:
                for text in (odd, odd + right, right + odd):
                    assert sent(auth, form, page, name, text) < 500, (page, name, text)
            found.add(name)
    return found


def test_the_login_bears_it(auth: Auth) -> None:
    """Step by step."""
    assert fields_borne(auth, "/login") == {"login_id", "password"}
    code = auth.to_code()
    assert fields_borne(auth, "/login/code") == {"code"}
    auth.code(code)
    assert auth.get("/cards").status_code == 200


def test_the_address_bears_it(auth: Auth) -> None:
    """On the page before the code."""
    auth.password()
    assert fields_borne(auth, "/login/email") == {"email"}


def test_the_cards_bear_it(auth: Auth) -> None:
    """The new one's form, the search and the edit page with its two."""
    auth.login()
    boxes = {f"card_number_{number}" for number in range(1, 5)}
    card = {"customer_name", "phone", "exp_month", "exp_year", "ticket", *boxes}
    assert card | {"q"} <= fields_borne(auth, "/cards")
    public_id = Desk(auth.app, auth.client).register()
    assert card | {"seen"} <= fields_borne(auth, f"/cards/{public_id}/edit")


def test_the_operators_own_pages_bear_it(auth: Auth, clock: FakeClock) -> None:
    """The password, the proof, and all factors."""
    auth.login()
    changed = {"current_password", "new_password", "new_password_again"}
    assert fields_borne(auth, "/password") == changed
    enrol_app(auth)
    enrol_passkey(auth, Authenticator())
    assert fields_borne(auth, "/factors") == {"factor", "credential", "name"}
    auth.post("/factors/totp/new", page="/factors")
    assert fields_borne(auth, "/factors/totp") == {"code"}
    clock.advance(601)
    assert fields_borne(auth, "/factors/proof") == {"current_password"}


@pytest.mark.parametrize("odd", ["%00", "%ED%A0%80", "a%00b", "%ED%BF%BF"])
def test_addresses_bear_it(auth: Auth, app: Flask, odd: str) -> None:
    """In every part of a page's address and behind its question mark."""
    auth.login()
    names = ("q", "sort", "page", "expiry", "prefix", "last4", "cursor")
    query = "&".join(f"{name}={odd}" for name in names)
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        path = rule.rule.replace("<public_id>", odd).replace("<path:filename>", odd)
        for address in (path, f"{path}?{query}"):
            assert auth.get(address).status_code < 500, address
