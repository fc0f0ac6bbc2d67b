"""Nothing waits for ever on PostgreSQL, and no session keeps anything (LCK-04)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from app import create_app
from app.auth import logins
from app.auth.guard import COOKIE
from app.auth.service import add_operator
from app.migrations import HISTORY
from config import Config
from tests.actors.operator_client import Desk
from tests.places.postgres_cluster import Cluster
from tests.places.vault import NOON, FakeClock
from tests.postgres.many import PATIENCE_SECONDS, until
from vault import Actor, WebKey
from vault.ops import RootKey
from vault.ops.create import create_vault
from vault.store.database import connect, readers, reading

pytestmark = pytest.mark.postgres

UNSAVED = "登録・更新は行われていません。"
NAMES = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a lock gives up after a moment, as elsewhere after two seconds."""
    monkeypatch.setattr("vault.store.postgresql.LOCK_WAIT_SECONDS", 0.3)


@pytest.fixture
def environ(
    databases: tuple[str, str],
    keys: tuple[WebKey, RootKey],
    clock: FakeClock,
    tmp_path: Path,
) -> dict[str, str]:
    """The settings of a site with one connection to each database, its vault made."""
    keys[0].write(tmp_path / "web.key")
    engine = connect(databases[1])
    create_vault(*keys, engine, clock, Actor("ops", "command"))
    engine.dispose()
    return {
        "SECRET_KEY": "a secret of at least thirty-two bytes",
        "DATABASE_URL": databases[0],
        "VAULT_DATABASE_URL": databases[1],
        "DATABASE_POOL": "1",
        "VAULT_WEB_KEY": str(tmp_path / "web.key"),
        "ALLOW_INSECURE_LOOPBACK": "1",
    }


@pytest.fixture
def app(environ: dict[str, str], clock: FakeClock) -> Iterator[Flask]:
    """A site on PostgreSQL, in this process."""
    app = create_app(Config.from_environ(environ), clock)
    HISTORY.upgrade(app.extensions["site_engine"])
    yield app
    for used in (app.extensions["site_engine"], app.extensions["vault"].engine):
        used.dispose()


@pytest.fixture
def desk(app: Flask) -> Desk:
    """An operator at the list."""
    client = app.test_client()
    with Session(app.extensions["site_engine"]) as site:
        operator = add_operator(
            site, "taro", "山田", ["a@b.example"], "-", must_change=False, now=NOON
        )
        site.flush()
        login = logins.named(site, logins.begin(site, operator, "192.0.2.1", NOON))
        assert login is not None
        _, cookie = logins.advance(site, login, "in", NOON)
        site.commit()
    with client.session_transaction() as session:
        session[COOKIE] = cookie
    return Desk(app, client)


def limits(engine: Engine) -> dict[str, str]:
    """What a transaction of an engine is held to."""
    with engine.connect() as db:
        return {name: str(db.execute(text(f"SHOW {name}")).scalar()) for name in NAMES}


def test_every_transaction_has_its_limits(
    app: Flask, databases: tuple[str, str]
) -> None:
    """Those of pages, of who only reads, and of commands."""
    pages = dict(zip(NAMES, ("2s", "10s", "1min"), strict=True))
    vault = app.extensions["vault"].engine
    for engine in (app.extensions["site_engine"], vault, readers(vault)):
        assert limits(engine) == pages
    command = connect(databases[1])
    assert limits(command) == {**pages, "statement_timeout": "15min"}
    with reading(command) as db:
        assert db.execute(text("SHOW lock_timeout")).scalar() == "2s"
        with pytest.raises(InternalError, match="read-only"):
            db.execute(text("DELETE FROM audit_entry"))
    command.dispose()


def test_what_the_url_says_is_left(databases: tuple[str, str]) -> None:
    """A limit in its options is its own; the others are set all the same."""
    engine = connect(f"{databases[0]}?options=-c%20lock_timeout%3D7s")
    assert limits(engine)["lock_timeout"] == "7s"
    assert limits(engine)["statement_timeout"] == "15min"
    engine.dispose()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("which", "held"),
    [
        ("site", "SELECT 1 FROM customer FOR UPDATE"),
        ("site", "LOCK TABLE customer IN ACCESS EXCLUSIVE MODE"),
        ("vault", "SELECT 1 FROM audit_head FOR UPDATE"),
        ("vault", "SELECT 1 FROM card FOR UPDATE"),
    ],
)
def test_a_lock_that_is_not_let_go_is_503(
    desk: Desk, databases: tuple[str, str], which: str, held: str
) -> None:
    """In Japanese, nothing is written, and the next try is taken."""
    path = f"/cards/{desk.register()}/edit"
    desk.open(path)
    form = desk.filled("更新", confirmed="y", exp_month="12", exp_year="2031")
    engine = connect(databases[which == "vault"])
    with engine.connect() as db:
        db.execute(text(held))
        answer = desk.send(path, form)
        assert (answer.status_code, UNSAVED in answer.text) == (503, True)
    engine.dispose()
    assert desk.send(path, form).status_code == 303
    assert [customer.expiry for customer in desk.customers()] == [203112]


@pytest.mark.usefixtures("hasty")
def test_migrate_gives_up_behind_a_lock(app: Flask, databases: tuple[str, str]) -> None:
    """It says that nothing was changed, and what may be in its way."""
    site = app.extensions["site_engine"]
    HISTORY.downgrade(site, "0004")
    engine = connect(databases[0])
    with engine.connect() as db:
        db.execute(text("LOCK TABLE customer, import_job, import_row"))
        ran = app.test_cli_runner().invoke(args=["migrate"])
        assert (ran.exit_code, "nothing was changed" in ran.output) == (2, True)
    engine.dispose()
    assert app.test_cli_runner().invoke(args=["migrate"]).exit_code == 0


WIDER = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = "9999", "{head}"
def upgrade():
    op.add_column("customer", sa.Column("wider", sa.Integer))
"""


@pytest.fixture
def migrating(
    environ: dict[str, str],
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Flask]:
    """A site of another process whose ``migrate`` alters the customers' table."""
    shutil.copytree(HISTORY.place, tmp_path / "migrations")
    newer = WIDER.format(head=HISTORY.head())
    (tmp_path / "migrations/versions/9999_wider.py").write_text(newer)
    wider = replace(HISTORY, place=tmp_path / "migrations")
    monkeypatch.setattr("app.cli.HISTORY", wider)
    made = create_app(Config.from_environ(environ), clock)
    yield made
    for used in (made.extensions["site_engine"], made.extensions["vault"].engine):
        used.dispose()


def test_pages_go_on_behind_a_migration_that_waits(
    desk: Desk, migrating: Flask, server: Cluster, databases: tuple[str, str]
) -> None:
    """A psql left open holds the table up; the migration stands before it, and every
    page behind the migration.  It gives up and says why, and the page is answered."""
    desk.register()
    psql = connect(databases[0])
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psql.connect() as db, ThreadPoolExecutor(2) as threads:
        db.execute(text("SELECT 1 FROM customer LIMIT 1"))
        run = migrating.test_cli_runner().invoke
        migrated = threads.submit(run, args=["migrate"])
        until(lambda: migrated.done() or bool(server.say(waiting)))
        page = threads.submit(desk.open, "/cards")
        try:
            status = page.result(PATIENCE_SECONDS).status_code
            ran = migrated.result(PATIENCE_SECONDS)
        finally:
            db.rollback()
    psql.dispose()
    assert status in (200, 503)
    assert (ran.exit_code, "nothing was changed" in ran.output) == (2, True)
    assert "hint: somebody may be at work in it" in ran.output
    assert desk.open("/cards").status_code == 200
    ran = migrating.test_cli_runner().invoke(args=["migrate"])
    assert ran.exit_code == 0, ran.output


def test_a_session_keeps_nothing_of_a_page(desk: Desk) -> None:
    """The next transaction in it may be another's, through pgbouncer: there is no
    prepared statement, no setting and no lock in it."""
    desk.register()
    for _ in range(20):
        assert desk.open("/cards").status_code == 200
    for engine in (desk.app.extensions["site_engine"], desk.vault.engine):
        with engine.connect() as db:
            kept = "SELECT count(*) FROM pg_prepared_statements"
            assert db.execute(text(kept)).scalar() == 0
            locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            assert db.execute(text(locks)).scalar() == 0
        raw = engine.raw_connection()
        cursor = raw.cursor()
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
        raw.close()
        assert "options" not in engine.url.query


def test_a_pool_that_is_taken_is_503(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection to each database serves a request; who has none waits a little."""
    engine = desk.app.extensions["site_engine"]
    monkeypatch.setattr(engine.pool, "_timeout", 0.05)
    with engine.connect(), pytest.raises(NoConnection):
        engine.connect()
    with engine.connect():
        assert desk.open("/cards").status_code == 503
    assert desk.register()


def test_a_commit_waits_for_its_standby_however_long(
    server: Cluster, databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that lasts too long is ended; a commit would be told to be done."""
    monkeypatch.setattr("vault.store.postgresql.PAGE_STATEMENT_SECONDS", 0.2)
    engine = connect(databases[0], pool=2)
    with engine.connect() as db, pytest.raises(OperationalError, match="statement"):
        db.execute(text("SELECT pg_sleep(60)"))

    def write() -> None:
        with engine.begin() as db:
            db.execute(text("CREATE TABLE kept (a int)"))

    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    long = f"{waits} AND clock_timestamp() - query_start > interval '1 second'"
    _wait_for(server, "'nobody'")
    with ThreadPoolExecutor(1) as threads:
        try:
            written = threads.submit(write)
            until(lambda: written.done() or server.say(long) == [(1,)])
            assert not written.done()
        finally:
            _wait_for(server, "''")
        written.result()
    engine.dispose()


def _wait_for(server: Cluster, standbys: str) -> None:
    server.say(
        f"ALTER SYSTEM SET synchronous_standby_names = {standbys}",
        "SELECT pg_reload_conf()",
    )
