"""A whole site on files of its own, a real mail server, and somebody to log in."""

from __future__ import annotations

import email
import email.policy
import queue
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy.orm import Session as DbSession
from werkzeug.test import TestResponse

from app import create_app
from app.auth.models import Operator
from app.auth.passwords import Hasher
from app.auth.service import add_operator
from app.migrations import HISTORY
from config import Config
from tests.conftest import FakeClock, VaultPlace
from vault.store.database import checkpoint, connect

LOGIN_ID = "taro"
PASSWORD = "correct horse battery 5"
ADDRESS = "taro@example.co.jp"
# Argon2id as it is, with less memory than any site may have: a run logs in a
# thousand times.
MEMORY_KIB = 1024


class Mailbox:
    """Everything a real SMTP server on loopback was given."""

    def __init__(self) -> None:
        self._arrived: queue.Queue[bytes] = queue.Queue()

    async def handle_DATA(
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """aiosmtpd's hook: keep the message as it came over the wire."""
        assert isinstance(envelope.content, bytes)
        self._arrived.put(envelope.content)
        return "250 OK"

    def raw(self) -> bytes:
        """The next message, waited for up to ten seconds."""
        return self._arrived.get(timeout=10)

    def message(self) -> EmailMessage:
        """The next message, parsed."""
        return email.message_from_bytes(self.raw(), policy=email.policy.default)

    def code(self) -> str:
        """The code in the next message."""
        body = self.message().get_content()
        found = re.search(r"^[2-9a-z]{8}$", body, re.MULTILINE)
        assert found is not None
        return found[0]

    def is_empty(self) -> bool:
        """Say whether nothing has come that was not read."""
        return self._arrived.empty()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def mail_server() -> Iterator[Controller]:
    """One SMTP server for the whole run; its handler is each test's mailbox."""
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def mailbox(mail_server: Controller) -> Mailbox:
    """An empty mailbox that receives from now on."""
    box: Mailbox = mail_server.handler
    box.__init__()  # type: ignore[misc]
    return box


@pytest.fixture
def environ(place: VaultPlace, mail_server: Controller) -> dict[str, str]:
    """The settings of a site on loopback."""
    web_key = place.folder / "web.key"
    if not web_key.exists():
        place.web_key.write(web_key)
    return {
        "SECRET_KEY": "a secret of at least thirty-two bytes",
        "DATABASE_URL": f"sqlite:///{place.folder / 'site.db'}",
        "VAULT_DATABASE_URL": place.url,
        "VAULT_WEB_KEY": str(web_key),
        "MAIL_PORT": str(mail_server.port),
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


@dataclass
class Auth:
    """Somebody at a browser, going through the login."""

    app: Flask
    client: FlaskClient
    mailbox: Mailbox

    def get(self, path: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path)

    def post(self, path: str, page: str | None = None, **fields: str) -> TestResponse:
        """Send a form of ``page`` (the same path when not said)."""
        fields.setdefault("csrf_token", self.csrf(page or path))
        return self.client.post(path, data=fields)

    def csrf(self, page: str) -> str:
        """The CSRF token a page was shown with."""
        html = self.get(page).get_data(as_text=True)
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', html)
        return found[1] if found else "none on this page"

    def password(
        self, login_id: str = LOGIN_ID, password: str = PASSWORD
    ) -> TestResponse:
        """Give login ID and password."""
        return self.post("/login", login_id=login_id, password=password)

    def address(self, address: str = ADDRESS) -> TestResponse:
        """Give the address."""
        return self.post("/login/email", email=address)

    def code(self, code: str) -> TestResponse:
        """Give the code."""
        return self.post("/login/code", code=code)

    def to_code(self) -> str:
        """Go as far as the code page and return the code that was mailed."""
        self.password()
        self.address()
        return self.mailbox.code()

    def login(self) -> TestResponse:
        """Go all the steps."""
        return self.code(self.to_code())

    def logout(self) -> TestResponse:
        """Press ログアウト."""
        return self.post("/logout", page="/cards")


@pytest.fixture
def auth(app: Flask, client: FlaskClient, operator: Operator, mailbox: Mailbox) -> Auth:
    """The operator at the client's browser, not logged in yet."""
    assert operator.login_id == LOGIN_ID
    return Auth(app, client, mailbox)


def site_path(environ: dict[str, str]) -> Path:
    """The file of the site's database."""
    return Path(environ["DATABASE_URL"].removeprefix("sqlite:///"))
