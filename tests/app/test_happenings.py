"""What the site's log tells of, and what never gets into it."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import happenings, lock_waits
from app.auth.guard import public
from app.happenings import LINES_A_MINUTE, SENTENCES, Kind, Meter, happened
from app.log_lines import JsonLines
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD, site_path
from tests.places.vault import VaultPlace

PUBLIC = {"ALLOW_INSECURE_LOOPBACK": "0", "TRUSTED_HOSTS": "cards.example.jp"}
HERE = "https://cards.example.jp"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What the site has written since it was last asked, each line of it read."""
    assert app.name
    monkeypatch.setattr(happenings, "_meter", Meter(1000))
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root.addHandler(handler)

    def written() -> list[dict[str, Any]]:
        told = stream.getvalue().splitlines()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in told]

    yield written
    root.removeHandler(handler)


def kinds(lines: Lines) -> list[str]:
    """The kinds of what was written."""
    return [line["kind"] for line in lines()]


def test_every_kind_has_its_sentence() -> None:
    """And its level, in one place."""
    assert set(SENTENCES) == set(Kind)


def test_a_login_is_told_of_as_the_trail_tells_of_it(auth: Auth, lines: Lines) -> None:
    """Wrong, right, locked; with where it came from and the request's id, which the
    answer has too."""
    auth.login()
    auth.logout()
    (line,) = lines()
    assert (line["kind"], line["level"]) == ("login.succeeded", "info")
    for count in range(5):
        answer = auth.password(password="wrong password 1")
        found = lines()
        assert found[0]["kind"] == "login.failed"
        assert len(found) == (2 if count == 4 else 1)
        assert found[0]["origin"] == "127.0.0.1"
        assert found[0]["request"] == answer.headers["X-Request-ID"]
    assert found[1]["kind"] == "login.locked"


def test_a_held_off_address_is_told_of(make_app: Any, auth: Auth, lines: Lines) -> None:
    """With the address itself."""
    auth.client = make_app(LOGIN_FAILURES_PER_ORIGIN="1").test_client()
    auth.password(password="wrong password 1")
    assert kinds(lines) == ["login.failed"]
    assert auth.password().status_code == 429
    (line,) = lines()
    assert (line["kind"], line["origin"]) == ("login.held_off", "127.0.0.1")


@pytest.mark.parametrize(
    ("settings", "sent", "kind"),
    [
        ({}, {"base_url": "https://other.example"}, "refused.host"),
        ({}, {"base_url": "http://cards.example.jp"}, "refused.scheme"),
        ({"ALLOWED_NETWORKS": "10.0.0.0/8"}, {"base_url": HERE}, "refused.network"),
        ({"PROXY_HOPS": "1"}, {"base_url": HERE}, "refused.proxy_hops"),
    ],
)
def test_a_refused_request_is_told_of(
    make_app: Any, lines: Lines, settings: Any, sent: Any, kind: str
) -> None:
    """By what it was refused for, and by nothing of what it sent."""
    client = make_app(**PUBLIC, **settings).test_client()
    assert client.get("/login?q=typed", **sent).status_code in (400, 403)
    told = [line for line in lines() if line["kind"].startswith("refused.")]
    assert [line["kind"] for line in told] == [kind]
    assert told[0]["origin"] == "127.0.0.1"
    assert "typed" not in json.dumps(told)
    assert "other.example" not in json.dumps(told)


def test_a_form_from_another_site_is_told_of(auth: Auth, lines: Lines) -> None:
    """A proxy that changes Host makes every form one."""
    answer = auth.client.post("/login", headers={"Origin": "https://other.example"})
    assert answer.status_code == 403
    (line,) = lines()
    assert line["kind"] == "refused.other_site"
    assert "other.example" not in json.dumps(line)


def test_an_origin_that_is_no_address_is_not_copied(
    make_app: Any, lines: Lines
) -> None:
    """Behind a proxy that hands on what it was sent it may be anything."""
    client = make_app(**PUBLIC, PROXY_HOPS="1")
    typed = {"X-Forwarded-For": "山田 太郎", "X-Forwarded-Proto": "https"}
    sent = {name: value.encode().decode("latin-1") for name, value in typed.items()}
    answer = client.test_client().get("/login", headers=sent, base_url=HERE)
    assert answer.status_code == 403
    told = {line["kind"]: line for line in lines()}
    assert set(told) == {"refused.proxy_hops", "pages.refused"}
    assert told["refused.proxy_hops"]["origin"] == "unreadable"
    assert "山田" not in json.dumps(told, ensure_ascii=False)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (Path.mkdir, "unable to open database file"),
        (lambda path: path.write_bytes(b"x" * 4096), "file is not a database"),
    ],
    ids=["gone", "damaged"],
)
def test_a_database_that_is_away_is_one_line_each(
    app: Flask,
    auth: Auth,
    environ: dict[str, str],
    lines: Lines,
    damage: Callable[[Path], object],
    cause: str,
) -> None:
    """Without a traceback, with the incident on the page."""
    auth.login()
    lines()
    path = site_path(environ)
    app.extensions["site_engine"].dispose()
    away = path.rename(path.with_suffix(".away"))
    damage(path)
    for _ in range(3):
        answer = auth.get("/cards")
        assert answer.status_code == 503
        (line,) = lines()
        assert line["kind"] == "database.away"
        assert line["incident"] in answer.text
        assert cause in line["cause"]
        assert "traceback" not in line
    app.extensions["site_engine"].dispose()
    path.rmdir() if path.is_dir() else path.unlink()
    away.rename(path)


def test_a_lock_that_is_not_given_is_one_line(
    auth: Auth,
    environ: dict[str, str],
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page is a 503 with the same incident."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(site_path(environ), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = auth.password()
    assert answer.status_code == 503
    (line,) = [line for line in lines() if line["kind"] != "request.slow"]
    assert line["kind"] == "lock.given_up"
    assert line["incident"] in answer.text
    assert "locked" in line["cause"]


def test_an_error_nobody_expected_keeps_its_traceback(
    app: Flask, auth: Auth, lines: Lines
) -> None:
    """In one field of one line, under the incident on the page, and without what
    PostgreSQL quotes of a row."""
    quoting = f"card 4810000000020000\nDETAIL:  Key (name)=({'山田'})"

    @public
    def broken() -> str:
        raise RuntimeError(quoting)

    app.add_url_rule("/broken", "broken", broken)
    answer = auth.get("/broken")
    (line,) = lines()
    assert (line["kind"], line["page"]) == ("request.failed", "broken")
    assert line["incident"] in answer.text
    assert line["traceback"].startswith("Traceback")
    assert "RuntimeError" in line["traceback"]
    assert "4810" not in line["traceback"]
    assert "山田" not in line["traceback"]


def test_a_writer_that_waited_long_is_told_of(
    auth: Auth, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short: here every wait counts as long."""
    monkeypatch.setattr(lock_waits, "LONG_SECONDS", 0.0)
    auth.password()
    waits = [line for line in lines() if line["kind"] == "lock.waited"]
    assert waits
    assert all(line["ms"] >= 0 for line in waits)


def test_a_request_that_took_long_is_told_of(
    auth: Auth, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the page's name, without its address."""
    monkeypatch.setattr("app.log.SLOW_SECONDS", 0.0)
    auth.get("/login?q=typed")
    (line,) = lines()
    facts = (line["kind"], line["page"], line["status"])
    assert facts == ("request.slow", "auth.login", 200)
    assert "typed" not in json.dumps(line)


def test_a_flood_is_a_few_lines(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of a kind a minute; the next minute says how many were left out."""
    now = [0.0]
    monkeypatch.setattr(happenings, "_meter", Meter(LINES_A_MINUTE))
    monkeypatch.setattr("app.happenings.time.monotonic", lambda: now[0])
    for _ in range(25):
        happened(Kind.REFUSED_HOST)
    happened(Kind.REFUSED_SCHEME)
    assert kinds(lines) == ["refused.host"] * LINES_A_MINUTE + ["refused.scheme"]
    now[0] = 60.0
    happened(Kind.REFUSED_HOST)
    (line,) = lines()
    assert line["left_out"] == 15


def test_nothing_that_was_typed_is_in_the_log(
    auth: Auth, lines: Lines, place: VaultPlace
) -> None:
    """Names, numbers, codes, passwords and addresses, right and wrong, through every
    form of the site."""
    typed = {
        "login_id": "ghost-of-taro",
        "password": "typed password 77",
        "email": "typed.address@example.net",
        "code": "zzyyxxww",
        "customer_name": "打込 花子",
        "phone": "090-7777-1234",
        "q": "打込 花子",
        "current_password": "typed password 78",
        "new_password": "typed password 79",
        "card_number_1": "4012888888881881",
        "exp_month": "12",
        "exp_year": "2039",
    }
    forms = ["/login", "/login/email", "/login/code", "/cards", "/cards/search"]
    forms += ["/password", "/factors/proof", "/login/passkey"]
    for page in ("/login", "/login/email", "/cards"):
        for path in forms:
            auth.client.get(path, query_string=typed)
            auth.post(path, page=page, **typed)
        place.clock.advance(120)  # a code is sent once a minute
        if page == "/login":
            auth.password()
        elif page == "/login/email":
            code = auth.to_code()
            auth.code(code)
    told = lines()
    assert {"login.failed", "login.succeeded"} <= {line["kind"] for line in told}
    text = json.dumps(told, ensure_ascii=False)
    own = {"login": LOGIN_ID, "password": PASSWORD, "address": ADDRESS, "code": code}
    secret = {name: value for name, value in typed.items() if "exp_" not in name}
    assert [name for name, value in {**secret, **own}.items() if value in text] == []
