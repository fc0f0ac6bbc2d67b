"""PROXY_HOPS that doesn't fit: no page, and the log says why (WEB-08)."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.actors.forms import csrf
from tests.actors.operator_client import Auth

PRODUCTION = {"TRUSTED_HOSTS": "cards.example.jp", "ALLOW_INSECURE_LOOPBACK": "0"}
WRONG = "サーバーの設定に誤りがあるため、このサイトは利用できません。"
HTTPS = {"X-Forwarded-Proto": "https"}
ONE = {"X-Forwarded-For": "192.0.2.1"}
TWO = {"X-Forwarded-For": "198.51.100.1, 192.0.2.1"}


def ask(site: Flask, path: str = "/login", **headers: str) -> TestResponse:
    """What gunicorn hands on of a request through a proxy: plain http."""
    return site.test_client().get(
        path, base_url="http://cards.example.jp", headers=headers, buffered=True
    )


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("hops", "headers"),
    [
        ("0", HTTPS | ONE),
        ("0", ONE),
        ("0", HTTPS),
        ("1", HTTPS),
        ("1", ONE),
        ("1", {}),
        ("1", HTTPS | {"X-Forwarded-For": " , "}),
        ("2", HTTPS | ONE),
        ("2", HTTPS | {"X-Forwarded-For": '"198.51.100.1, 192.0.2.1"'}),
        ("1", HTTPS | {"X-Forwarded-For": "unknown"}),
        ("1", HTTPS | {"X-Forwarded-For": "192.0.2.1, proxy.example.jp"}),
        ("2", HTTPS | {"X-Forwarded-For": "198.51.100.1:x, 192.0.2.1"}),
    ],
)
def test_no_page_where_the_setting_does_not_fit(
    make_app: Any, hops: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """In words an operator can hand on; once a process the log has the cause and the
    next step, and nothing of what was sent."""
    site = make_app(**PRODUCTION, PROXY_HOPS=hops)
    for path in ("/", "/login", "/cards", "/nowhere"):
        answer = ask(site, path, **headers)
        assert answer.status_code == 403
        assert WRONG in answer.text
        assert "管理者に連絡してください。" in answer.text
        assert "Set-Cookie" not in answer.headers
    said = [record.getMessage() for record in caplog.records]
    (line,) = [line for line in said if line.startswith("pages.refused: ")]
    assert f"PROXY_HOPS is {hops}" in line
    assert "set PROXY_HOPS to the number of proxies" in line
    assert "192.0.2.1" not in line


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("hops", "headers"),
    [
        ("1", HTTPS | ONE),
        ("1", HTTPS | TWO),
        ("2", HTTPS | TWO),
        ("1", HTTPS | {"X-Forwarded-For": "192.0.2.1:50000"}),
        ("1", HTTPS | {"X-Forwarded-For": "[2001:db8::1]:50000"}),
        ("2", HTTPS | {"X-Forwarded-For": "unknown, 198.51.100.1, 192.0.2.1:443"}),
    ],
)
def test_a_page_where_it_fits(
    make_app: Any, hops: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A forged entry before the proxies' own is no fault; one word of https is enough
    for two proxies."""
    answer = ask(make_app(**PRODUCTION, PROXY_HOPS=hops), **headers)
    assert answer.status_code == 200
    assert "Secure" in answer.headers["Set-Cookie"]
    assert caplog.records == []


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("hops", ["0", "1", "2"])
def test_health_and_looks_are_there_all_the_same(make_app: Any, hops: str) -> None:
    """A load balancer asks by itself, and the page that refuses has its look."""
    site = make_app(**PRODUCTION, PROXY_HOPS=hops)
    for headers in ({}, HTTPS | ONE):
        assert ask(site, "/healthz", **headers).text == "ok\n"
        assert ask(site, "/livez", **headers).text == "ok\n"
        assert ask(site, "/static/site.css", **headers).status_code == 200


@pytest.mark.usefixtures("operator")
def test_a_port_makes_no_other_visitor(make_app: Any) -> None:
    """Some proxies name the visitor's port, which is another one each time: the one who
    guesses is held off all the same (AUT-06)."""
    site = make_app(PROXY_HOPS="1", LOGIN_FAILURES_PER_ORIGIN="3")
    answers = []
    for port in range(50000, 50005):
        client = site.test_client()
        named = {"X-Forwarded-For": f"192.0.2.1:{port}"}
        token = csrf(client.get("/login", headers=named).text)
        form = {"login_id": "nobody", "password": "x", "csrf_token": token}
        answers.append(client.post("/login", data=form, headers=named).status_code)
    assert answers == [422, 422, 422, 429, 429]


def only_line(caplog: pytest.LogCaptureFixture) -> str:
    """The one line that the log has about a proxy."""
    said = [record.getMessage() for record in caplog.records]
    (line,) = [line for line in said if line.startswith("pages.refused: ")]
    return line


@pytest.mark.usefixtures("app")
def test_a_lost_port_is_told(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A proxy that hands on Host without the port makes every form look like another
    site's: the page says that it is no fault of the operator's, the log what to do."""
    site = make_app(**PRODUCTION, PROXY_HOPS="1")
    for _ in range(2):
        answer = site.test_client().post(
            "/login",
            base_url="http://cards.example.jp",
            headers=HTTPS | ONE | {"Origin": "https://cards.example.jp:8443"},
        )
        assert answer.status_code == 403
        assert WRONG in answer.text
    assert "let the proxy hand on Host with its port" in only_line(caplog)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("host", ["cards.example.jp", "cards.example.jp:8443"])
@pytest.mark.parametrize("trusted", ["cards.example.jp", "cards.example.jp:8443"])
def test_a_site_on_any_port_takes_its_forms(
    make_app: Any, host: str, trusted: str
) -> None:
    """Whether TRUSTED_HOSTS names the port or not."""
    site = make_app(**(PRODUCTION | {"TRUSTED_HOSTS": trusted}), PROXY_HOPS="1")
    client, headers = site.test_client(), HTTPS | ONE
    # Flask's client would leave its cookie, which is for https alone, out over http.
    on = {"base_url": f"https://{host}"}
    page = client.get("/login", headers=headers, **on)
    form = {"login_id": "x", "password": "x", "csrf_token": csrf(page.text)}
    sent = {"Origin": f"https://{host}", "Referer": f"https://{host}/login"}
    answer = client.post("/login", data=form, headers=headers | sent, **on)
    assert answer.status_code == 422


@pytest.mark.usefixtures("app")
def test_plain_http_is_told(make_app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The visitor reads what to change in the address, the log what the proxy lacks."""
    site = make_app(**PRODUCTION, PROXY_HOPS="1")
    for _ in range(2):
        answer = ask(site, **(ONE | {"X-Forwarded-Proto": "http"}))
        assert answer.status_code == 403
        assert "アドレスの先頭を https に変えて、開き直してください。" in answer.text
        assert 'class="button' not in answer.text
    assert "let the proxy send visitors to https" in only_line(caplog)


@pytest.mark.usefixtures("app")
def test_an_unknown_name_is_told(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says so, and the log which setting it is; neither has the name."""
    site = make_app(**PRODUCTION, PROXY_HOPS="1")
    for host in ("10.0.0.1:8000", "evil.example"):
        answer = site.test_client().get(
            "/login", headers=HTTPS | ONE | {"Host": host}, buffered=True
        )
        assert answer.status_code == 400
        assert "このアドレスでは利用できません。" in answer.text
        assert 'class="button' not in answer.text
        assert host not in answer.text + caplog.text
    assert "add the name that visitors use to TRUSTED_HOSTS" in only_line(caplog)


def test_a_demo_on_loopback_asks_no_proxy(
    auth: Auth, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a header says there, it counts for nothing."""
    answer = auth.client.get("/login", headers={"X-Forwarded-For": "192.0.2.1"})
    assert answer.status_code == 200
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
