"""/healthz and /livez: what a load balancer is told, and what the log is."""

from __future__ import annotations

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from app.health import EVERY_SECONDS, Health
from tests.places.site import site_path
from tests.places.vault import FakeClock

WELL, ILL = (200, "ok\n"), (503, "unavailable\n")


@pytest.fixture
def seconds(app: Flask) -> FakeClock:
    """The clock by which the site looks after itself."""
    clock = FakeClock()
    app.extensions["health"].clock = clock
    return clock


def ask(client: FlaskClient, path: str = "/healthz", **how: Any) -> tuple[int, str]:
    """What a probe is told."""
    answer: TestResponse = client.get(path, **how)
    return answer.status_code, answer.text


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log has of the site's health."""
    return [r.getMessage() for r in caplog.records if "health." in r.getMessage()]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("path", ["/healthz", "/livez"])
@pytest.mark.parametrize(
    "host", ["10.0.0.1", "10.0.0.1:8000", "[::1]:8000", "evil.example", "", None]
)
def test_a_probe_may_ask_by_any_name_or_none(
    make_app: Any, path: str, host: str | None
) -> None:
    """From anywhere, over http, with nothing a proxy adds; a page may not."""
    site = make_app(
        TRUSTED_HOSTS="cards.example.jp",
        ALLOW_INSECURE_LOOPBACK="0",
        ALLOWED_NETWORKS="192.0.2.0/24",
        PROXY_HOPS="2",
    )
    environ = EnvironBuilder(path).get_environ()
    del environ["HTTP_HOST"]
    if host is not None:
        environ["HTTP_HOST"] = host
    for asked, well in ((path, True), ("/login", False)):
        body, status, headers = run_wsgi_app(site, {**environ, "PATH_INFO": asked})
        text = b"".join(body).decode()
        assert (status == "200 OK", text == "ok\n") == (well, well)
        assert "Set-Cookie" not in headers


@pytest.mark.engines("sqlite", "postgres")
def test_a_well_site_is_well_time_and_again(
    client: FlaskClient, seconds: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """On both kinds of database, with not a word in the log."""
    for _ in range(3):
        assert ask(client) == WELL
        seconds.advance(EVERY_SECONDS)
    assert lines(caplog) == []


def test_a_write_is_tried_every_ten_seconds_at_most(
    app: Flask, client: FlaskClient, seconds: FakeClock
) -> None:
    """However often somebody asks; it changes nothing."""
    written: list[str] = []
    for engine in (app.extensions["site_engine"], app.extensions["vault"].engine):
        event.listen(
            engine,
            "before_cursor_execute",
            lambda _c, _u, statement, *_: written.append(statement),
        )
    counts = []
    for wait in (0, 0, EVERY_SECONDS - 1, 1, 0):
        seconds.advance(wait)
        assert ask(client) == WELL
        counts.append(sum("user_version" in one for one in written))
    assert counts == [2, 2, 2, 4, 4]


@contextmanager
def no_byte_to_a_file() -> Iterator[None]:
    """What a full disk is to this process: no file grows (RLIMIT_FSIZE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_no_health(
    client: FlaskClient, seconds: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """503 although both databases answer, and 200 when there is room again; the log has
    a line for each turn and none for what stays."""
    assert ask(client) == WELL
    seconds.advance(EVERY_SECONDS)
    with no_byte_to_a_file():
        for _ in range(3):
            assert ask(client) == ILL
            seconds.advance(EVERY_SECONDS)
        assert ask(client, "/livez") == WELL
    seconds.advance(EVERY_SECONDS)
    assert ask(client) == WELL
    first, second = lines(caplog)
    assert first.startswith(
        "health.unavailable: the site can't do its work from now on "
        "cause=the site's database takes"
    )
    assert "the vault's database takes no writing: " in first
    assert second == "health.ok: the site can do its work again"


@pytest.mark.parametrize("name", ["site", "vault"])
def test_a_read_only_database_is_no_health(
    app: Flask, client: FlaskClient, seconds: FakeClock, name: str, caplog: Any
) -> None:
    """Either of them; the log has its name."""
    vault, site = app.extensions["vault"].engine, app.extensions["site_engine"]
    engine = {"site": site, "vault": vault}[name]
    with engine.connect() as db:
        db.exec_driver_sql("PRAGMA query_only = ON")
        # The pool's one connection is this one, which the write gets too.
        db.rollback()
    assert ask(client) == ILL
    assert f"the {name}'s database takes no writing: attempt to write" in caplog.text
    assert seconds() == FakeClock().now


@pytest.mark.engines("postgres")
def test_rows_that_somebody_holds_are_no_fault(
    app: Flask, client: FlaskClient, seconds: FakeClock
) -> None:
    """The write touches none, however long they are held."""
    vault = app.extensions["vault"].engine
    with vault.begin() as db:
        db.exec_driver_sql("SELECT 1 FROM audit_head FOR UPDATE")
        db.exec_driver_sql("SELECT 1 FROM vault FOR UPDATE")
        for _ in range(3):
            assert ask(client) == WELL
            seconds.advance(EVERY_SECONDS)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a SQLite file's write lock, as somebody at a sqlite3 shell may."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_a_lock_is_no_fault_until_it_is_held_long(
    client: FlaskClient,
    seconds: FakeClock,
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody writes: that is what databases are for.  Ten seconds later nobody has
    been able to register a card since."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    monkeypatch.setattr("app.health.WAIT_SECONDS", 120)
    with locked(site_path(environ)):
        assert ask(client) == WELL
        seconds.advance(EVERY_SECONDS)
        assert ask(client) == ILL
    seconds.advance(EVERY_SECONDS)
    assert ask(client) == WELL
    assert "the site's database takes no writing: database is locked" in caplog.text


def test_a_write_that_hangs_is_waited_for_by_nobody(
    app: Flask, client: FlaskClient, seconds: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who ask are answered; after ten seconds with 503, and no second write is
    begun beside it."""
    monkeypatch.setattr("app.health.WAIT_SECONDS", 0.01)
    go_on, begun = threading.Event(), []

    def hang(_self: Health) -> None:
        begun.append(1)
        go_on.wait(120)

    monkeypatch.setattr(Health, "_write", hang)
    assert ask(client) == WELL
    seconds.advance(EVERY_SECONDS - 1)
    assert ask(client) == WELL
    seconds.advance(1)
    assert ask(client) == ILL
    assert begun == [1]
    go_on.set()
    app.extensions["health"]._thread.join(120)


def test_tables_that_are_gone_are_no_health(app: Flask, client: FlaskClient) -> None:
    """A database that is put back empty answers too."""
    with app.extensions["site_engine"].begin() as db:
        db.exec_driver_sql("ALTER TABLE operator RENAME TO gone")
    assert ask(client) == ILL


def test_who_asks_whether_it_lives_asks_no_database(
    app: Flask, client: FlaskClient
) -> None:
    """A site whose databases are away must not be started anew for that."""
    for engine in (app.extensions["site_engine"], app.extensions["vault"].engine):
        event.listen(engine, "begin", lambda *_: pytest.fail("a database was asked"))
    assert ask(client, "/livez") == WELL
