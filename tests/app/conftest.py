"""A whole site on files of its own, a real mail server, and somebody to log in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy.orm import Session as DbSession

from app import create_app
from app.auth.models import Operator
from app.auth.passwords import Hasher
from app.auth.service import add_operator
from app.migrations import HISTORY
from config import Config
from tests.actors.mail import Mails, receiving
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD, site_path
from tests.places.vault import FakeClock, VaultPlace
from vault.store.database import checkpoint, connect

# Argon2id as it is, with less memory than any site may have: a run logs in a
# thousand times.
MEMORY_KIB = 1024


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
def environ(place: VaultPlace, mail_server: tuple[Mails, int]) -> dict[str, str]:
    """The settings of a site on loopback."""
    web_key = place.folder / "web.key"
    if not web_key.exists():
        place.web_key.write(web_key)
    return {
        "SECRET_KEY": "a secret of at least thirty-two bytes",
        "DATABASE_URL": f"sqlite:///{place.folder / 'site.db'}",
        "VAULT_DATABASE_URL": place.url,
        "VAULT_WEB_KEY": str(web_key),
        "MAIL_PORT": str(mail_server[1]),
        "ALLOW_INSECURE_LOOPBACK": "1",
        "ARGON2_MEMORY_KIB": "19456",
    }


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates compiled once for all the apps of the run."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_app(
    environ: dict[str, str], clock: FakeClock, compiled: FileSystemBytecodeCache
) -> Any:
    """Make another app on the same place, as another process would."""

    def make(**changes: str) -> Flask:
        made = create_app(Config.from_environ({**environ, **changes}), clock)
        made.jinja_env.bytecode_cache = compiled
        made.extensions["hasher"] = Hasher(MEMORY_KIB)
        return made

    return make


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
def app(environ: dict[str, str], make_app: Any, migrated: Path) -> Iterator[Flask]:
    """The site, its database at head."""
    shutil.copy(migrated, site_path(environ))
    made: Flask = make_app()
    yield made
    made.extensions["site_engine"].dispose()
    made.extensions["vault"].engine.dispose()


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
