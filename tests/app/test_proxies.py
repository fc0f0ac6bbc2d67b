"""PROXY_HOPS that doesn't fit: no page, and the log says why (WEB-08)."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

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
    (line,) = [r.getMessage() for r in caplog.records if r.name == "app.proxies"]
    assert f"PROXY_HOPS is {hops}" in line
    assert "set PROXY_HOPS to the number of proxies" in line
    assert "192.0.2.1" not in line


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("hops", "headers"),
    [("1", HTTPS | ONE), ("1", HTTPS | TWO), ("2", HTTPS | TWO)],
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
        assert ask(site, "/static/site.css", **headers).status_code == 200


def test_a_demo_on_loopback_asks_no_proxy(
    auth: Auth, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a header says there, it counts for nothing."""
    answer = auth.client.get("/login", headers={"X-Forwarded-For": "192.0.2.1"})
    assert answer.status_code == 200
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
