"""Mail servers as they are: with TLS, with a password, and with words of their own;
and ``flask mail test``, which says what they said."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.actors.mail import Mails, receiving
from tests.actors.operator_client import ADDRESS, Auth
from tests.places.site import free_port

from .auth.records import trail


def certificate(folder: Path, address: str) -> ssl.SSLContext:
    """mail.crt and mail.key for a server at ``address``, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "mail.crt").write_bytes(made.public_bytes(pem))
    (folder / "mail.key").write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "mail.crt", folder / "mail.key")
    return context


@contextmanager
def server(mails: Mails, tls: str, context: ssl.SSLContext) -> Iterator[int]:
    """A mail server that speaks TLS as ``tls`` says; its port."""
    options: dict[str, Any] = {}
    if tls == "tls":
        options = {"ssl_context": context}
    elif tls == "starttls":
        options = {"tls_context": context, "require_starttls": True}
    with receiving(mails, **options) as port:
        yield port


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server at 127.0.0.1 shows, which this host trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "mail.crt"))
    return certificate(tmp_path, "127.0.0.1")


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_a_code_arrives_whatever_tls_the_server_speaks(
    make_app: Any, trusted: ssl.SSLContext, tls: str
) -> None:
    """In the clear on loopback, after STARTTLS, and from the first byte."""
    box = Mails()
    with server(box, tls, trusted) as port:
        app = make_app(MAIL_PORT=str(port), MAIL_TLS=tls)
        auth = Auth(app, app.test_client(), box)
        assert auth.code(auth.to_code()).location == "/cards"
    assert ("login.code_sent", "success", "taro") in trail(app)


def tried(make_app: Any, port: int, address: str = ADDRESS, **changes: str) -> Result:
    """Type ``flask mail test``."""
    app = make_app(MAIL_PORT=str(port), **changes)
    return app.test_cli_runner().invoke(args=["mail", "test", address])  # type: ignore[no-any-return]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_the_test_mail_says_what_the_server_said(
    make_app: Any, trusted: ssl.SSLContext, tls: str
) -> None:
    """And the mail is there, with no code in it."""
    box = Mails()
    with server(box, tls, trusted) as port:
        ran = tried(make_app, port, MAIL_TLS=tls)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert f"127.0.0.1:{port} (MAIL_TLS={tls}) took it: 250 OK\n" in ran.stdout
    message = box.message()
    assert message["To"] == ADDRESS
    assert "これは送信テストです。" in message.get_content()


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize("why", ["another name", "not trusted"])
def test_a_certificate_that_proves_nothing_is_refused(
    make_app: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
    why: str,
) -> None:
    """Another server's, or one that nobody vouches for; nothing is sent."""
    context = certificate(
        tmp_path, "127.0.0.2" if why == "another name" else "127.0.0.1"
    )
    if why == "another name":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "mail.crt"))
    box = Mails()
    with server(box, tls, context) as port:
        ran = tried(make_app, port, MAIL_TLS=tls)
    assert ran.exit_code == 1
    assert f"127.0.0.1:{port} took no mail: SSLCertVerificationError" in ran.stderr
    assert "MAIL_SERVER must be the name in its certificate" in ran.stderr
    assert box.is_empty()


class Wordy(Mails):
    """Refuses in two lines, one of which would move a terminal's cursor."""

    async def handle_RCPT(self, *_: Any) -> str:
        """aiosmtpd's hook."""
        return "550-5.7.1 Relay\x1b[2K access\r\n550 5.7.1 denied"


class Unlike(Mails):
    """Takes no mail of this sender."""

    async def handle_MAIL(self, *_: Any) -> str:
        """aiosmtpd's hook."""
        return "553 5.7.1 Sender address rejected"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("box", "said", "hint"),
    [
        (Wordy(), "took no mail: 550 5.7.1 Relay", "check address and server"),
        (Unlike(), "took no mail: 553 5.7.1 Sender", "MAIL_DEFAULT_SENDER"),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(
    make_app: Any, box: Mails, said: str, hint: str
) -> None:
    """On one line, harmless to a terminal, with what to do next; exit code 1."""
    with receiving(box) as port:
        ran = tried(make_app, port)
    assert ran.exit_code == 1
    assert said in ran.stderr
    assert hint in ran.stderr
    assert "\x1b" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 2


@pytest.mark.usefixtures("app")
def test_a_server_that_is_not_there_is_named(make_app: Any) -> None:
    """With the port, so that a wrong one is seen."""
    port = free_port()
    ran = tried(make_app, port)
    assert ran.exit_code == 1
    assert (
        f"127.0.0.1:{port} took no mail: ConnectionRefusedError: Connection refused"
        in ran.stderr
    )
    assert "check MAIL_SERVER, MAIL_PORT and the firewall" in ran.stderr


@pytest.mark.usefixtures("app")
def test_starttls_where_there_is_none_sends_nothing(make_app: Any) -> None:
    """A server, or somebody in between, that offers no TLS gets no mail in the clear."""
    box = Mails()
    with receiving(box) as port:
        ran = tried(make_app, port, MAIL_TLS="starttls")
    assert ran.exit_code == 1
    assert "doesn't offer what MAIL_TLS" in ran.stderr
    assert box.is_empty()


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(("password", "code"), [("right", 0), ("wrong", 1)])
def test_a_password_is_given_where_the_server_asks(
    make_app: Any, tmp_path: Path, trusted: ssl.SSLContext, password: str, code: int
) -> None:
    """And one that is refused is named as the cause."""

    def check(*asked: Any) -> AuthResult:
        given = asked[-1]
        right = (given.login, given.password) == (b"site", b"right")
        return AuthResult(success=right, handled=False)

    (tmp_path / "password").write_text(password)
    box = Mails()
    options: dict[str, Any] = {"authenticator": check, "auth_required": True}
    with receiving(box, tls_context=trusted, **options) as port:
        ran = tried(
            make_app,
            port,
            MAIL_TLS="starttls",
            MAIL_USERNAME="site",
            MAIL_PASSWORD_FILE=str(tmp_path / "password"),
        )
    assert ran.exit_code == code
    assert ("check MAIL_USERNAME" in ran.stderr) is bool(code)
    assert box.is_empty() is bool(code)


@pytest.mark.usefixtures("app")
def test_what_is_no_address_is_no_test(make_app: Any) -> None:
    """The server is not asked."""
    ran = tried(make_app, free_port(), "taro")
    assert ran.exit_code == 2
    assert "is not a mail address" in ran.stderr
