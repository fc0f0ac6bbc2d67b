"""The code mail: as it comes over the wire, and when the server is no help."""

from __future__ import annotations

import itertools
import re
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from app import outbox
from app.auth.models import Operator
from app.mail import quoted
from app.outbox import Letter, Outbox, is_final
from tests.actors.mail import PATIENCE_SECONDS, Mails, receiving
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import free_port
from tests.places.vault import FakeClock

from .auth.records import trail

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
    monkeypatch.setattr(outbox, "WAITS", (0.1,))


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
        settle(auth.app)
        assert box.is_empty()


def test_a_fault_in_one_mail_stops_no_other(
    app: Flask, mailbox: Mails, caplog: pytest.LogCaptureFixture
) -> None:
    """The threads go on, and each is told of."""
    outcomes: list[str] = []
    for number in range(outbox.SENDERS * 2):
        put(app, f"bad{number}", subject="two\nlines", outcomes=outcomes)
    put(app, "good", outcomes=outcomes)
    assert mailbox.message()["Subject"] == "good"
    settle(app)
    assert sorted(outcomes) == ["failure"] * outbox.SENDERS * 2 + ["success"]
    assert len(caplog.records) == outbox.SENDERS * 2


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
    put(app, "last")
    app.extensions["outbox"].end()
    assert not mailbox.is_empty()


# --- What a server makes of it.


class Grey(Mails):
    """Takes a mail at the ``after``-th try, and refuses it for now until then."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.tries = 0

    async def handle_RCPT(
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """aiosmtpd's hook."""
        self.tries += 1
        if self.tries < self.after:
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"


class Refusing(Mails):
    """Has no such address."""

    async def handle_RCPT(self, *_: Any) -> str:
        """aiosmtpd's hook."""
        return "550 5.1.1 <taro@example.co.jp> unknown"


class Strict(SMTP):
    """Takes an address with dots in a row or at an end in quotes alone."""

    async def smtp_RCPT(self, arg: str | None) -> None:
        """aiosmtpd's hook for the command as it came."""
        local = (arg or "").removeprefix("TO:<").rpartition("@")[0]
        bare = not (local.startswith('"') and local.endswith('"'))
        if bare and (local.startswith(".") or ".." in local or local.endswith(".")):
            await self.push("501 5.1.3 Bad recipient address syntax")
            return
        await super().smtp_RCPT(arg)


def sent(app: Flask) -> list[tuple[str, str]]:
    """The trail's entries about sending a code, and their outcomes."""
    return [entry[:2] for entry in trail(app) if entry[0].startswith("login.code_")]


@pytest.mark.usefixtures("operator")
def test_a_greylisted_mail_is_tried_until_the_code_ends(
    make_app: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More often than any list of waits is long; the trail has it when it left."""
    monkeypatch.setattr(outbox, "WAITS", (0, 0))
    box = Grey(after=40)
    with receiving(box) as port:
        auth = on_port(make_app, port, box)
        assert auth.code(auth.to_code()).location == "/cards"
    assert box.tries == 40
    assert sent(auth.app) == [
        ("login.code_made", "success"),
        ("login.code_sent", "success"),
    ]
    (line,) = [r.getMessage() for r in caplog.records if "mail." in r.getMessage()]
    assert line == (
        "mail.not_taken: a code mail was not taken "
        f"server=127.0.0.1:{port} cause=SMTPRecipientsRefused 451"
    )


@pytest.mark.usefixtures("operator")
def test_a_mail_refused_for_good_is_given_up_at_once(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The trail says that it failed and why; neither it nor the log has the server's
    words, which name the address."""
    box = Refusing()
    with receiving(box) as port:
        auth = on_port(make_app, port, box)
        auth.password()
        auth.address()
        settle(auth.app)
    assert sent(auth.app) == [
        ("login.code_made", "success"),
        ("login.code_sent", "failure"),
    ]
    detail = detail_of_last(auth.app)
    assert "SMTPRecipientsRefused 550" in detail
    assert f"127.0.0.1:{port}" in detail
    assert "given up" in caplog.text
    assert ADDRESS not in caplog.text + detail


@pytest.mark.usefixtures("operator")
def test_an_unbound_address_leaves_no_entry_of_a_mail(
    make_app: Any, mailbox: Mails, mail_server: tuple[Mails, int]
) -> None:
    """The server is asked all the same, and gets nothing."""
    auth = on_port(make_app, mail_server[1], mailbox)
    auth.password()
    auth.address("other@example.co.jp")
    settle(auth.app)
    assert sent(auth.app) == [("login.code_refused", "success")]
    assert mailbox.is_empty()


@pytest.mark.usefixtures("operator")
def test_what_the_trail_can_not_take_is_in_the_log(
    make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The mail has left, so nothing can be undone."""
    box = Grey(after=1)
    with receiving(box) as port:
        auth = on_port(make_app, port, box)
        engine = auth.app.extensions["vault"].engine
        auth.password()
        outbox_of = auth.app.extensions["outbox"]
        with outbox_of._changed:
            auth.address()
            with engine.begin() as db:
                db.exec_driver_sql("ALTER TABLE audit_entry RENAME TO gone")
        settle(auth.app)
        assert box.code()
    assert (
        "trail.lacks: the trail lacks an entry cause=login.code_sent (success): "
        in (caplog.text)
    )


@pytest.mark.parametrize("local", ["taro..x", "taro.", ".taro", "a..b.", "taro"])
@pytest.mark.usefixtures("operator")
def test_old_carrier_addresses_go_in_quotes(
    make_app: Any, app: Flask, local: str
) -> None:
    """To the server and in To, and typed as people know them (RFC 5321 section 4.1.2,
    RFC 5322 section 3.4.1)."""
    address = f"{local}@docomo.ne.jp"
    ran = app.test_cli_runner().invoke(
        args=["operators", "add-email", LOGIN_ID, address]
    )
    assert ran.exit_code == 0
    box = Mails()
    with receiving(box, kind=Strict) as port:
        auth = on_port(make_app, port, box)
        auth.password()
        auth.address(address)
        settle(auth.app)
        assert not box.is_empty()
        raw = box.raw()
    assert quoted(address) == (
        address if local == "taro" else f'"{local}"@docomo.ne.jp'
    )
    assert f"To: {quoted(address)}\n".encode() in raw.replace(b"\r", b"")


def test_an_address_in_quotes_is_the_same_as_without(app: Flask, auth: Auth) -> None:
    """However it was copied from another program."""
    for typed, code in (('"a..b"@docomo.ne.jp', 0), ("a..b@docomo.ne.jp", 2)):
        words = ["operators", "add-email", LOGIN_ID, typed]
        assert app.test_cli_runner().invoke(args=words).exit_code == code
    auth.password()
    auth.address('"A..B"@docomo.ne.jp')
    settle(app)
    assert not auth.mailbox.is_empty()
    assert b'To: "a..b"@docomo.ne.jp\r\n' in auth.mailbox.raw()


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (smtplib.SMTPRecipientsRefused({"a": (451, b"")}), False),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"")}), True),
        (smtplib.SMTPDataError(452, b""), False),
        (smtplib.SMTPDataError(554, b""), True),
        (smtplib.SMTPSenderRefused(550, b"", "a"), True),
        (smtplib.SMTPAuthenticationError(535, b""), True),
        (smtplib.SMTPAuthenticationError(454, b""), False),
        (smtplib.SMTPNotSupportedError(), True),
        (smtplib.SMTPConnectError(554, b""), False),
        (smtplib.SMTPServerDisconnected(), False),
        (ConnectionRefusedError(), False),
        (TimeoutError(), False),
    ],
)
def test_what_would_be_refused_again_is_not_tried_again(
    error: Exception, final: bool
) -> None:
    """Each answer of a server that stays as it is, as long as the settings do."""
    assert is_final(error) is final


# --- When to try again.


@pytest.fixture
def clock_of_mails() -> FakeClock:
    """Seconds that go on when the test says so."""
    return FakeClock()


def refused(asked: list[float], clock: FakeClock) -> Any:
    """A sender that is always refused for now, and lets the time pass until then."""

    def send(_letter: Letter, _answered: Any) -> None:
        asked.append(clock())
        raise smtplib.SMTPRecipientsRefused({"a": (451, b"")})

    return send


def test_the_waits_grow_to_a_minute_and_end_with_the_code(
    clock_of_mails: FakeClock,
) -> None:
    """Thirty minutes of greylisting are outlived, and nothing is sent after them."""
    asked: list[float] = []
    began = clock_of_mails()
    box = Outbox(refused(asked, clock_of_mails), "server", clock_of_mails)
    one = outbox._Waiting(began, 0, letter("a", until=began + 1800))
    box._newest["a"] = 0
    while box._try(one):
        clock_of_mails.advance(int(one.due - clock_of_mails()))
    waits = [int(later - at) for at, later in itertools.pairwise(asked)]
    assert waits[:7] == [1, 2, 4, 8, 16, 30, 60]
    assert set(waits[7:]) == {60}
    assert 1740 <= asked[-1] - began < 1800


def test_a_newer_code_takes_the_place_of_one_that_waits(app: Flask) -> None:
    """Else the older, which is good for nothing, might come after it."""
    outcomes: list[str] = []
    box: Outbox = app.extensions["outbox"]
    asked: list[str] = []
    box._send = lambda one, _answered: asked.append(one.subject)
    with box._changed:
        put(app, "older", login="a", outcomes=outcomes)
        put(app, "newer", login="a", outcomes=outcomes)
        put(app, "other", login="b", outcomes=outcomes)
    settle(app)
    assert sorted(asked) == ["newer", "other"]
    assert sorted(outcomes) == ["failure", "success", "success"]


# --- What the code page says of it.

LATE = "ただいま、メールの送信が遅れています。"


@pytest.mark.usefixtures("operator")
def test_a_mail_server_that_is_down_is_told_to_everybody_alike(
    make_app: Any, mailbox: Mails, clock: FakeClock
) -> None:
    """After a minute, bound or not, word for word and not a second apart: nobody learns
    from it which addresses are bound."""
    pages: list[list[str]] = []
    for address in (ADDRESS, "other@example.co.jp"):
        auth = on_port(make_app, free_port(), mailbox)
        box: Outbox = auth.app.extensions["outbox"]
        box.clock = seconds_of_mails = FakeClock()
        # The operator's next code may be sent a minute later.
        clock.advance(60)
        auth.password()
        auth.address(address)
        failed_once(box)
        shown = []
        for seconds in (0, 59, 1):
            seconds_of_mails.advance(seconds)
            shown.append(same(auth.get("/login/code").text, address))
        pages.append(shown)
    assert [LATE in page for page in pages[0]] == [False, False, True]
    assert pages[0] == pages[1]


@pytest.mark.usefixtures("operator")
def test_a_refused_address_is_told_to_nobody(make_app: Any) -> None:
    """Only a bound one can be refused."""
    box = Refusing()
    with receiving(box) as port:
        auth = on_port(make_app, port, box)
        clock = FakeClock()
        auth.app.extensions["outbox"].clock = clock
        auth.password()
        auth.address()
        settle(auth.app)
        clock.advance(61)
        assert LATE not in auth.get("/login/code").text


def test_what_is_known_of_a_server_ends(clock_of_mails: FakeClock) -> None:
    """With the first answer, or when nobody has asked for five minutes."""
    box = Outbox(lambda _letter, _answered: None, "server", clock_of_mails)
    box._note(takes_mail=False)
    clock_of_mails.advance(60)
    assert box.is_late()
    box._note(takes_mail=True)
    assert not box.is_late()
    box._note(takes_mail=False)
    clock_of_mails.advance(299)
    assert box.is_late()
    clock_of_mails.advance(1)
    assert not box.is_late()


def letter(
    login: str, until: float = 0, subject: str = "s", outcomes: list[str] | None = None
) -> Letter:
    """A letter of a login to ADDRESS."""
    told = [] if outcomes is None else outcomes
    return Letter(ADDRESS, subject, "b", login, until, lambda out, _: told.append(out))


def put(
    app: Flask,
    name: str,
    *,
    login: str = "",
    subject: str = "",
    outcomes: list[str] | None = None,
) -> None:
    """Give the outbox a letter with ``name`` for its subject."""
    box: Outbox = app.extensions["outbox"]
    until = box.clock() + 1800
    box.put(letter(login or name, until, subject or name, outcomes))


def settle(app: Flask) -> None:
    """Wait until every letter has left or was given up."""
    assert app.extensions["outbox"].settle(PATIENCE_SECONDS)


def failed_once(box: Outbox) -> None:
    """Wait until a letter was not taken, and waits to be tried again."""

    def failed() -> bool:
        return box._vain_since is not None and bool(box._waiting)

    with box._changed:
        assert box._changed.wait_for(failed, PATIENCE_SECONDS)


def same(page: str, address: str) -> str:
    """A page without what differs from one visit to another."""
    page = re.sub(r"<input[^>]*csrf_token[^>]*>", "", page)
    return page.replace(address, "ADDRESS")


def detail_of_last(app: Flask) -> str:
    """The detail of the trail's newest entry."""
    with app.extensions["vault"].engine.connect() as db:
        query = "SELECT detail FROM audit_entry ORDER BY seq DESC LIMIT 1"
        return str(db.exec_driver_sql(query).scalar_one())
