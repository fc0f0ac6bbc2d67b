"""What guards every request and every response."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.security import HEADERS, HSTS, asset
from tests.actors.forms import csrf
from tests.actors.operator_client import Auth

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


def test_a_stranger_reads_no_file_through_the_static_address(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is spelled: 404 that no browser keeps, right hash or wrong, and no
    file is opened for it (WEB-07)."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"a secret")
    right = hashlib.sha256(b"a secret").hexdigest()[:16]
    up = "../" * 12
    names = (f"{up}{secret}", f"./{up}{secret}", "../security.py", ".", "", "\x00")
    opened: list[Path] = []
    real = Path.read_bytes

    def spied(path: Path) -> bytes:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", spied)
    for name in names:
        for version in (right, "0" * 16):
            path = f"/static/{quote(name, safe='/.')}?v={version}"
            answer = app.test_client().get(path)
            assert answer.status_code in (404, 405)
            assert answer.headers["Cache-Control"] == "no-store"
    assert opened == []


def test_a_file_that_came_after_the_start_is_none(app: Flask, tmp_path: Path) -> None:
    """What is served was there when the site began."""
    app.static_folder = str(tmp_path)
    (tmp_path / "late.css").write_text("")
    assert app.test_client().get("/static/late.css").status_code == 404


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
        {"Origin": "http://["},
        {"Origin": "http://localhost:port"},
        {"Origin": "http://[::1]x"},
        {"Referer": "http://["},
        {"Referer": "http://localhost:99999999/login"},
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


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", ["Origin", "Referer"])
@pytest.mark.parametrize("sent", ["https://[", "https://cards.example.jp:99999999"])
def test_no_address_is_no_fault_of_the_sites(
    make_app: Any, name: str, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On https, where two checks read them: 403, and no error in the log, nor what was
    sent."""
    client = make_app(**HTTPS).test_client()
    on = {"base_url": "https://cards.example.jp"}
    page = client.get("/login", **on).text
    fields = {"login_id": "a", "password": "b", "csrf_token": csrf(page)}
    right = {"Origin": on["base_url"], "Referer": f"{on['base_url']}/login"}
    answer = client.post("/login", data=fields, headers={**right, name: sent}, **on)
    assert answer.status_code == 403
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    assert sent not in caplog.text
    assert client.post("/login", data=fields, headers=right, **on).status_code == 422


HEADER_NAMES = (
    *("Accept", "Accept-Language", "Authorization", "Cookie", "Content-Type", "Expect"),
    *("Forwarded", "From", "Host", "If-Match", "If-Modified-Since", "If-None-Match"),
    *("If-Range", "If-Unmodified-Since", "Max-Forwards", "Origin", "Range", "Referer"),
    *("Sec-Fetch-Site", "TE", "Upgrade", "User-Agent", "X-Forwarded-For"),
    *("X-Forwarded-Proto", "X-Forwarded-Host", "X-HTTP-Method-Override"),
)
STRANGE = (
    *("http://[", "//[", "[", "]", ":", "\x00", "\xff" * 9, '"', "=", ",", ";", "%"),
    *("multipart/form-data", "multipart/form-data; boundary=", "bytes=9-1,", "-1"),
    *("Mon, 99 Foo 99999 99:99:99 GMT", "session=" + "." * 300, "Basic %", "9" * 400),
)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", HEADER_NAMES)
@pytest.mark.parametrize("hops", ["0", "1"])
def test_any_header_is_borne(
    make_app: Any, name: str, hops: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stranger's header never ends in an incident, on pages, forms and files."""
    site = make_app(**HTTPS, PROXY_HOPS=hops)
    proxied = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
    for sent in STRANGE:
        for method, path in (
            ("GET", "/login"),
            ("POST", "/login"),
            ("POST", "/csp-report"),
            ("GET", "/static/site.css"),
        ):
            headers = {**(proxied if hops == "1" else {}), name: sent}
            answer = site.test_client().open(
                path,
                method=method,
                base_url="https://cards.example.jp",
                headers=headers,
                buffered=True,
            )
            assert answer.status_code < 500, f"{name}: {sent!r} {method} {path}"
    assert "incident" not in caplog.text


def test_a_form_without_its_token_gets_a_friendly_page(client: FlaskClient) -> None:
    """It says what to do, and nothing of what was typed comes back."""
    answer = client.post("/login", data={"login_id": "taro", "password": "secret-1"})
    assert answer.status_code == 400
    assert "画面を開き直して、もう一度入力してください。" in answer.text
    assert "secret-1" not in answer.text


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def test_a_route_takes_its_own_methods_alone(auth: Auth, app: Flask) -> None:
    """Anything else is 405 with the methods there are, OPTIONS too (WEB-03); whoever
    opens the address of a form by GET is led to its page, by tests of their own."""
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
            if method == "GET" and rule.endpoint != "csp.report":
                assert answer.status_code == 303, path
                continue
            assert answer.status_code == 405, f"{method} {path}"
            assert answer.headers["Allow"]


def test_the_site_says_nothing_of_its_making(client: FlaskClient) -> None:
    """No version of anything in a page or a header."""
    answer = client.get("/login")
    told = f"{answer.headers} {answer.text}".lower()
    assert not [
        name for name in ("python", "werkzeug", "flask", "gunicorn") if name in told
    ]
