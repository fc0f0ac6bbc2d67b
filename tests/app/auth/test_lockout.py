"""Addresses of origin that fail too often (AUT-06)."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.auth import lockout
from tests.actors.forms import csrf
from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock

pytestmark = [
    pytest.mark.mutation("app/auth/lockout.py", area="code check"),
    pytest.mark.engines("sqlite", "postgres"),
]

WRONG = "wrong password 123"


@pytest.mark.parametrize(
    ("origin", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_what_an_origin_is_counted_under(origin: str, counted: str) -> None:
    """An IPv4 address by itself, however it is written; IPv6 by its /64."""
    assert lockout.counted(origin) == counted


def knock(app: Flask, origin: str, password: str = WRONG, **headers: str) -> int:
    """Give a password from ``origin``; returns the status."""
    browser = app.test_client()
    at = {"REMOTE_ADDR": origin}
    page = browser.get("/login", environ_overrides=at, headers=headers).text
    fields = {"csrf_token": csrf(page)}
    fields |= {"login_id": LOGIN_ID if password == PASSWORD else "nobody"}
    answer = browser.post(
        "/login",
        data={**fields, "password": password},
        environ_overrides=at,
        headers=headers,
    )
    return answer.status_code


def test_a_new_ipv6_address_a_try_is_one_origin(auth: Auth, app: Flask) -> None:
    """Twenty of a /64 hold the whole of it off, and not the one beside it."""
    for number in range(20):
        assert knock(app, f"2001:db8:1:2::{number:x}") == 422
    assert knock(app, "2001:db8:1:2:ffff::1", PASSWORD) == 429
    assert knock(app, "2001:db8:1:3::1", PASSWORD) == 303
    assert auth.password().status_code == 303


@pytest.mark.usefixtures("operator")
def test_a_trusted_proxy_names_the_origin(make_app: Any) -> None:
    """With PROXY_HOPS=1 its own, last entry of X-Forwarded-For counts, and what a
    client wrote before it does not."""
    app = make_app(PROXY_HOPS="1")
    for number in range(20):
        forged = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7"}
        assert knock(app, "127.0.0.1", **forged) == 422
    real = {"X-Forwarded-For": "203.0.113.77, 198.51.100.7"}
    assert knock(app, "127.0.0.1", PASSWORD, **real) == 429
    other = {"X-Forwarded-For": "198.51.100.8"}
    assert knock(app, "127.0.0.1", PASSWORD, **other) == 303


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("sent", ["4810 0000 0002 0000", "a" * 500, "fe80::1%a"])
def test_what_is_no_address_is_kept_nowhere(make_app: Any, sent: str) -> None:
    """A proxy may hand on whatever it was sent; a zone is no part of an address."""
    app = make_app(PROXY_HOPS="1")
    told = {"X-Forwarded-For": sent}
    assert knock(app, "127.0.0.1", **told) == 422
    assert knock(app, "127.0.0.1", PASSWORD, **told) == 303
    with app.extensions["site_engine"].connect() as db:
        kept = db.exec_driver_sql("SELECT origin FROM login").scalars().all()
        kept += db.exec_driver_sql("SELECT origin FROM origin_failure").scalars().all()
    assert set(kept) <= {"unknown", "fe80::1", "fe80::/64"}


@pytest.mark.usefixtures("app")
def test_the_limit_is_a_setting(make_app: Any) -> None:
    """LOGIN_FAILURES_PER_ORIGIN."""
    app = make_app(LOGIN_FAILURES_PER_ORIGIN="2")
    assert [knock(app, "192.0.2.1") for _ in range(3)] == [422, 422, 429]


def test_of_guesses_at_once_none_is_answered_past_the_limit(
    auth: Auth, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty failed elsewhere while this one's hash was made: 429, even for the
    right password."""
    hasher = app.extensions["hasher"]
    agrees = hasher.agrees
    clock: FakeClock = app.extensions["clock"]

    def slow(stored: str, typed: str) -> bool:
        right = bool(agrees(stored, typed))
        with app.extensions["site_engine"].begin() as db:
            for number in range(20):
                insert = "INSERT INTO origin_failure VALUES (:id, '127.0.0.1', :at)"
                db.execute(text(insert), {"id": number + 1, "at": clock()})
        return right

    monkeypatch.setattr(hasher, "agrees", slow)
    assert auth.password().status_code == 429
