"""A whole site on files of its own, a real mail server, and somebody to log in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session as DbSession

from app import create_app
from app.auth.models import Operator
from app.auth.passwords import Hasher
from app.auth.service import add_operator
from app.migrations import HISTORY
from config import Config
from tests.actors.mail import Mails, receiving
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.compiled import Templates
from tests.places.postgres_cluster import Cluster
from tests.places.site import PASSWORD, site_path
from tests.places.vault import FakeClock, VaultPlace
from vault import Actor, WebKey
from vault.ops import RootKey
from vault.ops.create import create_vault
from vault.store.database import connect
from vault.store.sqlite import checkpoint

# Argon2id as it is, with less memory than any site may have: a run logs in a
# thousand times.
MEMORY_KIB = 1024


KINDS = {"postgres": pytest.param("postgres", marks=pytest.mark.postgres)}
# A wait for another writer would end after two seconds, and a page's statement after
# ten, which a slow machine may need.  A process has a connection for each of the threads
# that a test begins.
WAIT_SECONDS = 60.0
PATIENT = "?options=-c%20lock_timeout%3D60s%20-c%20statement_timeout%3D60s"
THREADS = "20"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that has a site on each of the kinds of database that the mark
    ``engines`` names."""
    marked = metafunc.definition.get_closest_marker("engines")
    if marked is not None and "engine_kind" in metafunc.fixturenames:
        kinds = [KINDS.get(kind, kind) for kind in marked.args]
        metafunc.parametrize("engine_kind", kinds, indirect=True)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers on SQLite wait as long as those on PostgreSQL."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", WAIT_SECONDS)


@pytest.fixture
def engine_kind(request: pytest.FixtureRequest) -> str:
    """What the databases are on: "sqlite" unless the test is marked."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def templates(server: Cluster, keys: tuple[WebKey, RootKey]) -> Iterator[Cluster]:
    """A PostgreSQL with a site's empty database at head and a vault just founded, both
    to be copied."""
    with (
        server.database("empty_site") as site,
        server.database("founded_vault") as vault,
    ):
        engines = connect(site), connect(vault)
        HISTORY.upgrade(engines[0])
        create_vault(*keys, engines[1], FakeClock(), Actor("ops", "command"))
        for engine in engines:
            engine.dispose()
        yield server


@pytest.fixture
def place(
    request: pytest.FixtureRequest, engine_kind: str, clock: FakeClock, tmp_path: Path
) -> Iterator[VaultPlace]:
    """A vault of the test's own, on the kind of database that it runs on."""
    if engine_kind == "sqlite":
        founded: Path = request.getfixturevalue("founded")
        shutil.copy(founded, tmp_path / "vault.db")
        yield from _opened(request, f"sqlite:///{tmp_path}/vault.db", clock, tmp_path)
        return
    templates: Cluster = request.getfixturevalue("templates")
    with templates.database("app_vault", "founded_vault") as url:
        yield from _opened(request, url + PATIENT, clock, tmp_path)


def _opened(
    request: pytest.FixtureRequest, url: str, clock: FakeClock, folder: Path
) -> Iterator[VaultPlace]:
    keys: tuple[WebKey, RootKey] = request.getfixturevalue("keys")
    engine = connect(url)
    yield VaultPlace(folder, url, *keys, engine, clock)
    engine.dispose()


@pytest.fixture
def site_url(
    request: pytest.FixtureRequest, engine_kind: str, place: VaultPlace
) -> Iterator[str]:
    """The site's database; on SQLite there is no file yet."""
    if engine_kind == "sqlite":
        yield f"sqlite:///{place.folder / 'site.db'}"
        return
    templates: Cluster = request.getfixturevalue("templates")
    with templates.database("app_site", "empty_site") as url:
        yield url + PATIENT


@pytest.fixture(scope="session")
def mail_server() -> Iterator[tuple[Mails, int]]:
    """One SMTP server for the whole run, and its port."""
    mails = Mails()
    with receiving(mails) as port:
        yield mails, port


@pytest.fixture
def mailbox(mail_server: tuple[Mails, int]) -> Mails:
    """An empty mailbox that receives from now on."""
    mails, _ = mail_server
    mails.empty()
    return mails


@pytest.fixture
def environ(
    place: VaultPlace, site_url: str, mail_server: tuple[Mails, int]
) -> dict[str, str]:
    """The settings of a site on loopback."""
    web_key = place.folder / "web.key"
    if not web_key.exists():
        place.web_key.write(web_key)
    return {
        "SECRET_KEY": "a secret of at least thirty-two bytes",
        "DATABASE_URL": site_url,
        "DATABASE_POOL": THREADS,
        "VAULT_DATABASE_URL": place.url,
        "VAULT_WEB_KEY": str(web_key),
        "MAIL_PORT": str(mail_server[1]),
        "ALLOW_INSECURE_LOOPBACK": "1",
        "ARGON2_MEMORY_KIB": "19456",
    }


@pytest.fixture(scope="session")
def compiled() -> Templates:
    """Templates compiled once for all the apps of the run."""
    return Templates()


@pytest.fixture
def make_app(
    environ: dict[str, str], clock: FakeClock, compiled: Templates
) -> Iterator[Any]:
    """Make another app on the same place, as another process would."""
    apps: list[Flask] = []

    def make(**changes: str) -> Flask:
        made = create_app(Config.from_environ({**environ, **changes}), clock)
        made.jinja_env.bytecode_cache = compiled
        made.extensions["hasher"] = Hasher(MEMORY_KIB)
        apps.append(made)
        return made

    yield make
    for made in apps:
        # Else a mail that waits would be given up in the middle of another test.
        made.extensions["outbox"].end()
        made.extensions["site_engine"].dispose()
        made.extensions["vault"].engine.dispose()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a site's empty database at head, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "site.db"
    engine = connect(f"sqlite:///{path}")
    HISTORY.upgrade(engine)
    checkpoint(engine)
    engine.dispose()
    return path


@pytest.fixture
def app(
    environ: dict[str, str], make_app: Any, migrated: Path, engine_kind: str
) -> Flask:
    """The site, its database at head."""
    if engine_kind == "sqlite":
        shutil.copy(migrated, site_path(environ))
    return make_app()  # type: ignore[no-any-return]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without scripts, on http://localhost."""
    return app.test_client()


@pytest.fixture(scope="session")
def hashed() -> str:
    """PASSWORD's hash."""
    return Hasher(MEMORY_KIB).hash(PASSWORD)


@pytest.fixture
def operator(app: Flask, clock: FakeClock, hashed: str) -> Operator:
    """An operator with one bound address and PASSWORD."""
    with DbSession(app.extensions["site_engine"], expire_on_commit=False) as site:
        made = add_operator(
            site,
            LOGIN_ID,
            "山田 太郎",
            [ADDRESS],
            hashed,
            must_change=False,
            now=clock(),
        )
        site.commit()
        return made


@pytest.fixture
def auth(app: Flask, client: FlaskClient, operator: Operator, mailbox: Mails) -> Auth:
    """The operator at the client's browser, not logged in yet."""
    assert operator.login_id == LOGIN_ID
    return Auth(app, client, mailbox)
