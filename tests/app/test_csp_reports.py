"""Reports of a broken content security policy, which anybody can send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from app.csp_reports import LINES_A_MINUTE, MAX_REPORT_BYTES, Meter
from tests.actors.operator_client import Auth
from tests.places.vault import NOON, VISA

PAGE = "http://localhost/cards/xxxx/edit?q=taro"


def report(**changes: Any) -> bytes:
    """What a browser sends of a script it did not load (CSP Level 2, section 4.4)."""
    told = {
        "document-uri": PAGE,
        "effective-directive": "script-src-elem",
        "violated-directive": "script-src 'self'",
        "blocked-uri": "https://evil.example/a.js?stolen",
        "script-sample": "alert(1)",
        **changes,
    }
    return json.dumps({"csp-report": told}).encode()


def send(client: FlaskClient, body: bytes, **headers: str) -> int:
    """Send a report and return the answer's status."""
    answer = client.post(
        "/csp-report", data=body, content_type="application/csp-report", headers=headers
    )
    return answer.status_code


def test_a_report_is_told_in_the_sites_own_words(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The page by its name, the directive, the foreign host; nothing else of it."""
    assert send(client, report()) == 204
    (record,) = caplog.records
    line = "script-src-elem kept evil.example from the page cards.edit"
    said = f"page.policy: content security policy cause={line}"
    assert record.getMessage() == said


@pytest.mark.parametrize(
    ("blocked", "shown"),
    [
        ("inline", "inline"),
        ("eval", "eval"),
        ("https://a.example:8443/x", "a.example"),
        (f"https://{VISA}.example/", "[カード番号を消しました].example"),
        ("https://a\r\nforged/", "aforged"),
        ("javascript:alert(1)", "something"),
        ("", "something"),
    ],
)
def test_of_what_was_blocked_the_host_is_told_at_most(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, blocked: str, shown: str
) -> None:
    """An address may hold anything."""
    send(client, report(**{"blocked-uri": blocked}))
    (record,) = caplog.records
    assert f" kept {shown} from " in record.getMessage()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"csp-report": []}',
        b'{"csp-report": {}}',
        b"[" * 4000,
        b"\xff\xfe",
        report(**{"document-uri": "https://evil.example/cards"}),
        report(**{"document-uri": "http://localhost/nowhere"}),
        report(**{"document-uri": "http://[broken"}),
        report(**{"document-uri": 5}),
        report(**{"effective-directive": "a line of my own"}),
        report(**{"blocked-uri": "http://[broken"}),
    ],
)
def test_what_is_no_report_about_this_site_says_nothing(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    """The answer is the same, so a sender learns nothing either."""
    assert send(client, body) == 204
    assert caplog.records == []


def test_a_flood_of_reports_is_a_few_lines(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends them, and however many."""
    for _ in range(3 * LINES_A_MINUTE):
        assert send(client, report()) == 204
    assert len(caplog.records) == LINES_A_MINUTE


def test_the_next_minute_is_told_of_again() -> None:
    """A flood hides nothing that comes after it."""
    meter = Meter(1)
    assert [meter.allows(NOON + s) for s in (0, 59, 60, 61)] == [
        True,
        False,
        True,
        False,
    ]


def test_a_large_report_is_refused_before_it_is_read(client: FlaskClient) -> None:
    """A real one has less than four KiB."""
    assert send(client, b" " * (MAX_REPORT_BYTES + 1)) == 413


def test_a_report_from_another_sites_page_is_refused(client: FlaskClient) -> None:
    """As any other form of it is (WEB-02)."""
    assert send(client, report(), Origin="https://evil.example") == 403


def test_reports_keep_no_login_alive(auth: Auth, clock: Any) -> None:
    """They are sent by a page, not by a person."""
    auth.login()
    clock.advance(14 * 60)
    assert send(auth.client, report()) == 204
    clock.advance(2 * 60)
    assert auth.get("/cards").location == "/login"


def test_a_report_asks_no_database(app: Flask, client: FlaskClient) -> None:
    """So that a flood of them takes nothing from the operators."""
    asked: list[str] = []
    for engine in (app.extensions["site_engine"], app.extensions["vault"].engine):
        event.listen(engine, "before_cursor_execute", lambda *it: asked.append(it[2]))
    assert send(client, report()) == 204
    assert asked == []
    client.get("/healthz")
    assert asked
