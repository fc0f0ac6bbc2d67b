"""What guards every request and every response."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.security import HEADERS, HSTS, asset

from .conftest import Auth

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HTTPS = {"TRUSTED_HOSTS": "cards.example.jp", "ALLOW_INSECURE_LOOPBACK": "0"}


def over_https(app: Flask, path: str, **kwargs: Any) -> TestResponse:
    """Ask for a page as a browser on the site's own host."""
    return app.test_client().get(path, base_url="https://cards.example.jp", **kwargs)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/login", 200),
        ("GET", "/", 303),
        ("GET", "/cards", 303),
        ("GET", "/nowhere", 404),
        ("GET", "/cards//edit", 404),
        ("GET", "/healthz", 200),
        ("GET", "/static/site.css", 200),
        ("GET", "/static/none.css", 404),
        ("PUT", "/login", 405),
        ("POST", "/login", 400),
    ],
)
def test_every_response_carries_the_headers(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    """Pages, redirects, static files and errors alike (WEB-01)."""
    answer = client.open(path, method=method)
    answer.close()
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in answer.headers


def test_static_files_are_kept_under_their_hash_alone(app: Flask) -> None:
    """A year for a name with the content's hash, nothing for any other."""
    client = app.test_client()
    with app.test_request_context():
        address = asset("site.css")
        plain = address.partition("?")[0]
    cached = {
        path: client.get(path, buffered=True).headers["Cache-Control"]
        for path in (address, plain, f"{plain}?v=", f"{plain}?v=0123456789abcdef")
    }
    assert "max-age=31536000" in cached.pop(address)
    assert set(cached.values()) == {"no-store"}


@pytest.mark.usefixtures("app")
def test_https_is_asked_for_from_then_on(make_app: Any) -> None:
    """HSTS over https, and only there."""
    answer = over_https(make_app(**HTTPS), "/login")
    assert answer.headers["Strict-Transport-Security"] == HSTS


@pytest.mark.usefixtures("app")
def test_plain_http_gets_no_login_page_and_no_cookie(make_app: Any) -> None:
    """Without ALLOW_INSECURE_LOOPBACK, whatever the request claims."""
    site = make_app(**HTTPS)
    for path in ("/", "/login", "/cards", "/nowhere"):
        answer = site.test_client().get(
            path,
            base_url="http://cards.example.jp",
            headers={"X-Forwarded-Proto": "https"},
        )
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
        assert 'name="password"' not in answer.text


@pytest.mark.usefixtures("app")
def test_a_proxys_word_counts_when_the_setting_says_so(make_app: Any) -> None:
    """One hop: its https counts, and an address forged behind it does not."""
    site = make_app(**HTTPS, PROXY_HOPS="1")
    answer = site.test_client().get(
        "/login",
        base_url="http://cards.example.jp",
        headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 192.0.2.7"},
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[::1]"])
def test_an_unknown_host_is_refused(client: FlaskClient, host: str) -> None:
    """Whatever it asks for, and nothing is sent back to it."""
    answer = client.get("/login", headers={"Host": host})
    assert answer.status_code == 400
    assert host not in answer.text


def test_a_large_body_is_refused(client: FlaskClient) -> None:
    """Over 16 KiB, before it is read (WEB-03)."""
    answer = client.post("/login", data={"login_id": "x" * 17_000})
    assert answer.status_code == 413
    assert "送信内容が大きすぎます。" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
    ],
)
def test_a_form_from_another_site_is_refused(
    auth: Auth, headers: dict[str, str]
) -> None:
    """With a right token too (WEB-02)."""
    fields = {"login_id": "a", "password": "b", "csrf_token": auth.csrf("/login")}
    answer = auth.client.post("/login", data=fields, headers=headers)
    assert answer.status_code == 403
    assert auth.client.post("/login", data=fields).status_code == 422


def test_a_form_without_its_token_gets_a_friendly_page(client: FlaskClient) -> None:
    """It says what to do, and nothing of what was typed comes back."""
    answer = client.post("/login", data={"login_id": "taro", "password": "secret-1"})
    assert answer.status_code == 400
    assert "前の画面を開き直してから、もう一度入力してください。" in answer.text
    assert "secret-1" not in answer.text


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def test_a_route_takes_its_own_methods_alone(auth: Auth, app: Flask) -> None:
    """Anything else is 405 with the methods there are, OPTIONS too (WEB-03)."""
    auth.login()
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<public_id>", "x").replace("<path:filename>", "x")
        taken = {
            method
            for other in app.url_map.iter_rules()
            if other.rule == rule.rule
            for method in other.methods or ()
        }
        for method in set(METHODS) - (taken - {"OPTIONS"}):
            answer = auth.client.open(path, method=method)
            assert answer.status_code == 405, f"{method} {path}"
            assert answer.headers["Allow"]


def test_the_site_says_nothing_of_its_making(client: FlaskClient) -> None:
    """No version of anything in a page or a header."""
    answer = client.get("/login")
    told = f"{answer.headers} {answer.text}".lower()
    assert not [
        name for name in ("python", "werkzeug", "flask", "gunicorn") if name in told
    ]
