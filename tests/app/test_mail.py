"""The code mail: as it comes over the wire, and when the server is no help."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from app import mail
from app.auth.models import Operator
from tests.actors.mail import Mails, receiving
from tests.actors.operator_client import ADDRESS, Auth
from tests.places.site import free_port

# When a server that says nothing is given up, where a page that waits for it is told from
# a slow machine.
SILENT_SECONDS = 120
# The manual's mail, line by line.
BODY = """\
MOT光クレジットカード登録の通知です。

認証コードを発行いたしました。
有効期限は30分間となります。

■認証コード
{code}

MOT光クレジットカード登録用にメール送信しております。
当メールは送信専用で配信しており、返信できません。
"""
HEADERS = {
    "Content-Type",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Subject",
    "From",
    "To",
    "Date",
    "Message-ID",
    "Auto-Submitted",
}
CODE = re.compile(r"^[2-9a-hjkmnp-z]{8}$", re.MULTILINE)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries every tenth of a second."""
    monkeypatch.setattr(mail, "WAITS", (0.1,) * 50)


@pytest.fixture
def dropping() -> Iterator[int]:
    """The port of a server that takes connections and hangs up at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            try:
                while True:
                    server.accept()[0].close()
            except OSError:
                return

        threading.Thread(target=hang_up, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def on_port(make_app: Any, port: int, mailbox: Mails) -> Auth:
    """Somebody at a site whose mail goes to ``port``."""
    app = make_app(MAIL_PORT=str(port))
    return Auth(app, app.test_client(), mailbox)


def test_the_mail_is_the_manuals(auth: Auth) -> None:
    """Subject and body, every line, the code alone on its own; nothing else."""
    auth.password()
    auth.address()
    message = auth.mailbox.message()
    body = message.get_content().replace("\r\n", "\n")
    code = CODE.search(body)
    assert code is not None
    assert body == BODY.format(code=code[0]).rstrip("\n")
    assert message["Subject"] == "MOT光クレジットカード通知"
    assert message["To"] == ADDRESS
    assert message["From"] == "no-reply@localhost"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    assert message.get_content_charset() == "utf-8"
    assert set(message.keys()) == HEADERS


def test_the_wire_carries_ascii_alone(auth: Auth) -> None:
    """So that every server takes it."""
    auth.password()
    auth.address()
    raw = auth.mailbox.raw()
    assert raw.isascii()
    assert max(len(line) for line in raw.splitlines()) <= 78


def test_the_words_are_settings(make_app: Any, auth: Auth) -> None:
    """MAIL_SUBJECT, MAIL_PRODUCT and MAIL_DEFAULT_SENDER."""
    app = make_app(
        MAIL_SUBJECT="通知",
        MAIL_PRODUCT="カード登録",
        MAIL_DEFAULT_SENDER="カード係 <card@example.co.jp>",
    )
    other = Auth(app, app.test_client(), auth.mailbox)
    other.password()
    other.address()
    message = other.mailbox.message()
    assert (message["Subject"], message["From"]) == (
        "通知",
        "カード係 <card@example.co.jp>",
    )
    # Not this machine's name.
    assert message["Message-ID"].endswith("@example.co.jp>")
    assert message.get_content().startswith("カード登録の通知です。")


@pytest.mark.parametrize("server", ["nobody", "dropping", "silent"])
def test_no_server_slows_a_page(
    make_app: Any,
    operator: Operator,
    mailbox: Mails,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    server: str,
) -> None:
    """Down, hanging up or silent: the page is there long before the server is given
    up, with a way on (OTP-04)."""
    monkeypatch.setattr("app.mail.SOCKET_SECONDS", SILENT_SECONDS)
    assert operator.id
    port = free_port() if server == "nobody" else request.getfixturevalue(server)
    auth = on_port(make_app, port, mailbox)
    auth.password()
    begun = time.monotonic()
    answer = auth.address()
    assert time.monotonic() - begun < SILENT_SECONDS / 2
    assert answer.location == "/login/code"
    assert "認証コードを再送信" in auth.get("/login/code").text
    # Nothing of it is to be tried again when the run ends.
    auth.app.extensions["outbox"]._ending.set()


@pytest.mark.usefixtures("impatient")
def test_a_mail_is_tried_again(
    make_app: Any, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """When the server is back the code arrives; the log never held it."""
    assert operator.id
    port = free_port()
    auth = on_port(make_app, port, Mails())
    auth.password()
    auth.address()
    with receiving(auth.mailbox, port):
        code = auth.mailbox.code()
    assert auth.code(code).location == "/cards"
    assert code not in caplog.text
    assert ADDRESS not in caplog.text


class _HangsUp(Mails):
    """Takes the mail and closes the connection at QUIT without an answer."""

    async def handle_QUIT(self, server: Any, *_: Any) -> str:
        """aiosmtpd's hook."""
        server.transport.abort()
        return "221 Bye"


@pytest.mark.usefixtures("impatient")
def test_a_mail_that_was_taken_is_not_sent_again(
    make_app: Any, operator: Operator
) -> None:
    """Whatever the server does once it has it."""
    assert operator.id
    box = _HangsUp()
    with receiving(box) as port:
        auth = on_port(make_app, port, box)
        auth.password()
        auth.address()
        assert box.code()
        auth.app.extensions["outbox"]._waiting.join()
        assert box.is_empty()


def test_a_fault_in_one_mail_stops_no_other(app: Flask, mailbox: Mails) -> None:
    """The threads go on."""
    outbox = app.extensions["outbox"]
    for _ in range(mail.SENDERS * 2):
        outbox.put((ADDRESS, "two\nlines", "bad"))
    outbox.put((ADDRESS, "good", "good"))
    assert mailbox.message()["Subject"] == "good"


def test_no_name_server_is_asked_in_the_request(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Composing for a bound address must not take longer than composing nothing."""
    asked: list[str] = []

    def getfqdn(name: str = "") -> str:
        asked.append(threading.current_thread().name)
        return name

    monkeypatch.setattr(socket, "getfqdn", getfqdn)
    auth.to_code()
    assert threading.main_thread().name not in asked


def test_the_end_waits_for_what_is_on_its_way(app: Flask, mailbox: Mails) -> None:
    """At exit a mail that can go goes."""
    outbox = app.extensions["outbox"]
    outbox.put((ADDRESS, "last", "last"))
    outbox._drain()
    assert not mailbox.is_empty()
