"""cardvault doctor: each check, with its mend, whatever the others meet."""

from __future__ import annotations

import ipaddress
import json
import os
import socketserver
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.actors.mail import Mails
from tests.places.site import Place, free_port
from vault.clock import DAY_SECONDS, system_clock
from vault.ops.doctor import checks, machine
from vault.ops.doctor.result import CheckResult

from .shell import PASSPHRASE, Shell

NUMBERED = "4810000000020000@example.jp"
SITE_DB, VAULT_DB = Path("instance/site.db"), Path("instance/vault.db")


@pytest.fixture
def house(shell: Shell) -> Shell:
    """A vault with a site's database beside it and no root key at hand."""
    with closing(sqlite3.connect(SITE_DB)) as db, db:
        db.execute("CREATE TABLE alembic_version_site (version_num TEXT)")
        db.execute("INSERT INTO alembic_version_site VALUES ('0001')")
    SITE_DB.chmod(0o600)
    (shell.folder / "safe").mkdir()
    Path(shell.root).replace("safe/root.key")
    shell.root = ""
    return shell


def found(shell: Shell, *words: str, **environ: str) -> dict[str, list[dict[str, Any]]]:
    """What doctor finds, the checks by name."""
    told = json.loads(shell("doctor", "--json", *words, **environ).out)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for check in told["checks"]:
        by_name.setdefault(check["name"], []).append(check)
    return by_name


def states(shell: Shell, name: str, **environ: str) -> list[str]:
    """The states of one check's findings."""
    return [one["state"] for one in found(shell, **environ)[name]]


def test_every_finding_has_a_name_a_state_and_a_mend(house: Shell) -> None:
    """One object; what is wrong says what to do, and the exit code says it too."""
    ran = house("doctor", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["ok"], ran.err) == (1, False, "")
    for check in told["checks"]:
        assert set(check) == {"name", "state", "text", "mend"}
        assert check["state"] in ("ok", "warning", "fault", "unknown")
        assert check["text"]
        if check["state"] in ("warning", "fault"):
            assert check["mend"], check
    names = {check["name"] for check in told["checks"]}
    assert {"web key", "vault database", "site database", "libraries"} <= names


def test_it_changes_nothing(house: Shell) -> None:
    """Not a byte of any file."""
    before = house.files()
    assert house("doctor").code == 1
    assert house.files() == before


def test_a_check_that_fails_ends_no_other(
    house: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unknown, with why."""

    def broken(_place: object) -> Iterator[CheckResult]:
        raise PermissionError(13, "Permission denied", "x")

    monkeypatch.setitem(checks.CHECKS, "swap", broken)
    told = found(house)
    assert told["swap"][0]["text"] == "can't be told: x: Permission denied"
    assert told["swap"][0]["state"] == "unknown"
    assert told["libraries"][0]["state"] == "ok"


def test_a_loose_web_key_is_a_line(house: Shell) -> None:
    """And not the end of the command, with exit 2."""
    Path("instance/web.key").chmod(0o644)
    ran = house("doctor")
    assert ran.code == 1
    assert "fault    web key: instance/web.key can be read by others" in ran.out
    assert "chmod 600 instance/web.key" in ran.out
    assert "ok       vault database" in ran.out
    assert "libraries" in ran.out


@pytest.mark.parametrize(
    "name", ["site.db", "vault.db", "vault.db-queue", "site.db-wal"]
)
def test_a_file_that_others_can_read_is_named(house: Shell, name: str) -> None:
    """Each database, and what lies beside it."""
    path = Path("instance") / name
    path.touch()
    path.chmod(0o666)
    told = found(house)["file modes"]
    assert {one["state"] for one in told} == {"fault"}
    # SQLite gives the files beside it the database's mode.
    assert f"chmod 600 {path}" in [one["mend"] for one in told]


def test_secrets_and_folders_are_looked_at_too(house: Shell) -> None:
    """A mail password, unless it is the group's alone; a folder others can write."""
    Path("password").write_text("x")
    Path("password").chmod(0o640)
    assert states(house, "file modes", MAIL_PASSWORD_FILE="password") == ["ok"]
    Path("password").chmod(0o644)
    Path("instance").chmod(0o777)
    mends = [
        one["mend"] for one in found(house, MAIL_PASSWORD_FILE="password")["file modes"]
    ]
    assert mends == ["chmod 600 password", "chmod go-w instance"]


@pytest.mark.rights("root")
def test_another_owner_and_what_the_site_can_open(house: Shell) -> None:
    """Root-owned databases in the account's folder, and a root key within its reach."""
    nobody = 65534
    os.chown("instance", nobody, nobody)
    told = found(house)
    assert "chown nobody instance/vault.db" in [o["mend"] for o in told["file owners"]]
    assert any(
        "can't open instance/vault.db" in o["text"] for o in told["site account"]
    )
    os.chown("safe/root.key", nobody, nobody)
    told = found(house, VAULT_ROOT_KEY="safe/root.key")
    assert "nobody, who runs the site, can read safe/root.key" in [
        one["text"] for one in told["root key"]
    ]


def test_a_root_key_here_is_named_and_a_passphrase_beside_it(house: Shell) -> None:
    """It lies on this machine, unsealed; sealed, the passphrase lies on its disk."""
    assert states(house, "root key") == ["ok"]
    given = {"VAULT_ROOT_KEY": "safe/root.key"}
    texts = [one["text"] for one in found(house, **given)["root key"]]
    assert "the root key safe/root.key lies on this machine" in texts
    assert "safe/root.key is not under a passphrase" in texts
    house("root", "passphrase", given=PASSPHRASE + "\n", **given)
    Path("safe/word").write_text(PASSPHRASE)
    Path("safe/word").chmod(0o600)
    told = found(house, **given, VAULT_ROOT_PASSPHRASE_FILE="safe/word")
    assert len(told["root key"]) == 1
    assert "which it opens" in told["passphrase"][0]["text"]


@pytest.mark.parametrize(("path", "name"), [(SITE_DB, "site"), (VAULT_DB, "vault")])
def test_a_cut_database_is_one_line_and_a_count(
    house: Shell, path: Path, name: str
) -> None:
    """A hundred lines of pages tell nobody more."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE many (x TEXT)")
        db.executemany("INSERT INTO many VALUES (?)", [("x" * 900,)] * 600)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    ran = house("doctor")
    lines = [line for line in ran.out.splitlines() if f"{name} database" in line]
    assert len(lines) == 1
    assert "under: The disk died" in lines[0]
    assert len(lines[0]) < 500
    assert "libraries" in ran.out


def test_a_site_database_that_is_missing_or_empty_is_a_fault(house: Shell) -> None:
    """It is asked for its revision, and its file is never made."""
    with closing(sqlite3.connect(SITE_DB)) as db, db:
        db.execute("DROP TABLE alembic_version_site")
    assert states(house, "site database") == ["fault"]
    SITE_DB.unlink()
    assert states(house, "site database") == ["fault"]
    assert not SITE_DB.exists()


def test_a_clock_on_either_side_of_the_trail_is_said(
    house: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind is a fault, years ahead a warning; on time neither."""
    assert states(house, "clock") == ["ok"]
    now = system_clock()
    monkeypatch.setattr("vault.commands.doctor.system_clock", lambda: now - 7200)
    assert states(house, "clock") == ["fault"]
    monkeypatch.setattr(
        "vault.commands.doctor.system_clock", lambda: now + 366 * DAY_SECONDS
    )
    assert states(house, "clock") == ["warning"]


def test_an_old_backup_and_an_old_proof_are_said(
    house: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the trail has of them."""
    assert (states(house, "backup"), states(house, "verify")) == (
        ["warning"],
        ["warning"],
    )
    assert house("backup", "one.backup").code == 0
    assert house("verify", VAULT_ROOT_KEY="safe/root.key").code == 0
    assert (states(house, "backup"), states(house, "verify")) == (["ok"], ["ok"])
    later = system_clock() + 40 * DAY_SECONDS
    monkeypatch.setattr("vault.commands.doctor.system_clock", lambda: later)
    assert (states(house, "backup"), states(house, "verify")) == (
        ["warning"],
        ["warning"],
    )


def test_a_proof_that_found_something_is_a_fault(house: Shell) -> None:
    """However new it is; each of the three has its line."""
    (token,) = house.seal()
    house.edit(f"UPDATE card SET last4 = '9999' WHERE token = '{token}'")
    assert house("verify", VAULT_ROOT_KEY="safe/root.key").code == 1
    told = found(house)
    assert (told["verify"][0]["state"], told["audit verify"][0]["state"]) == (
        "fault",
        "warning",
    )
    assert told["restore --drill"][0]["state"] == "warning"


def test_the_machine_is_looked_at(
    house: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Swap in the clear, core files to a program, an old Python, another library."""
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    (proc / "sys/kernel").mkdir(parents=True)
    (sys / "block/dm-0/dm").mkdir(parents=True)
    monkeypatch.setattr(machine, "PROC", proc)
    monkeypatch.setattr(machine, "SYS", sys)
    monkeypatch.setattr("resource.getrlimit", lambda _: (0, 0))
    assert states(house, "swap") == ["ok"]
    head = "Filename Type Size Used Priority\n"
    (proc / "swaps").write_text(f"{head}/dev/sda2 partition 1 0 -2\n")
    assert states(house, "swap") == ["warning"]
    (proc / "swaps").write_text(f"{head}/dev/dm-0 partition 1 0 -2\n")
    (sys / "block/dm-0/dm/uuid").write_text("CRYPT-PLAIN-swap\n")
    assert states(house, "swap") == ["ok"]
    for pattern, state in (("core", "ok"), ("|/bin/mine %p", "warning")):
        (proc / "sys/kernel/core_pattern").write_text(pattern)
        assert states(house, "core files") == [state]
    monkeypatch.setattr("resource.getrlimit", lambda _: (1, 1))
    assert states(house, "core files") == ["warning"]
    monkeypatch.setattr(machine, "PYTHON_ENDS", {})
    assert states(house, "python") == ["unknown"]
    monkeypatch.setattr(machine, "_installed", lambda _: "0.1")
    assert states(house, "libraries") == ["warning"]
    monkeypatch.setattr(machine, "CODE", tmp_path)
    assert states(house, "libraries") == ["unknown"]


def test_mail_says_what_the_server_answered(
    house: Shell, mails: tuple[Mails, int]
) -> None:
    """One mail leaves by the settings, and its answer is told."""
    told = found(house, "--mail", "a@example.jp", MAIL_PORT=str(mails[1]))["mail"]
    assert told[0]["state"] == "ok"
    assert "250 OK" in told[0]["text"]
    assert mails[0].message("a@example.jp")["Subject"] == "cardvault doctor: a test"


class _Refusing:
    async def handle_RCPT(
        self, _s: SMTP, _i: Session, _e: Envelope, address: str, _o: list[str]
    ) -> str:
        return f"550 5.1.1 {address}: nobody of that name"


def test_a_mail_that_is_refused_says_where_and_why(house: Shell) -> None:
    """The server's code and words; nobody there; settings that can't be."""
    port = free_port()
    server = Controller(_Refusing(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        told = found(house, "--mail", NUMBERED, MAIL_PORT=str(port))["mail"][0]
        plain = {"MAIL_PORT": str(port), "MAIL_TLS": "tls"}
        tls = found(house, "--mail", "a@example.jp", **plain)["mail"][0]
    finally:
        server.stop()
    assert told["state"] == "fault"
    assert "the address: " in told["text"]
    assert "nobody of that name" in told["text"]
    assert "4810000000020000" not in told["text"]
    assert (tls["state"], "(tls)" in tls["text"]) == ("fault", True)
    gone = found(house, "--mail", "a@example.jp", MAIL_PORT=str(port))["mail"][0]
    assert (gone["state"], f"127.0.0.1:{port}" in gone["text"]) == ("fault", True)
    assert gone["text"].endswith("connecting: Connection refused")
    odd = found(house, "--mail", "a@example.jp", MAIL_TLS="maybe")["mail"][0]
    assert (odd["state"], "MAIL_TLS" in odd["text"]) == ("unknown", True)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"MAIL_TLS": "STARTTLS"}, "MAIL_TLS"),
        ({"MAIL_TLS": "tls", "MAIL_USE_TLS": "1"}, "MAIL_USE_TLS"),
        ({"MAIL_PORT": "465"}, "MAIL_TLS=tls"),
        (
            {"MAIL_USERNAME": "a", "MAIL_PASSWORD_FILE": "p", "MAIL_SERVER": "mx.test"},
            "in the clear",
        ),
    ],
    ids=["case", "both", "port", "password"],
)
def test_mail_that_the_site_would_refuse_is_not_sent(
    house: Shell, given: dict[str, str], word: str
) -> None:
    """What doesn't fit together is named before a server is asked."""
    (told,) = found(house, "--mail", "a@example.jp", **given)["mail"]
    assert told["state"] in ("fault", "unknown")
    assert word in told["text"] + told["mend"]


class _Poor(BaseHTTPRequestHandler):
    """A site as one would not have it."""

    server_version, sys_version = "nginx/1.22", ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Set-Cookie", "session=1; Path=/")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(b'<input name="csrf_token" value="always">')

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], certificate: Path | None = None
) -> Iterator[str]:
    """A little server of HTTP, or of https with a certificate, and its address."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        scheme = "http" if certificate is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_poor_site_is_seen_through_its_address(house: Shell) -> None:
    """Plain http, loose cookies, a header twice and one missing, a cache, numbers."""
    with serving(_Poor) as url:
        told = found(house, "--url", url)
    wrong = {name for name, all_ in told.items() if all_[0]["state"] != "ok"}
    assert {
        "site TLS",
        "site cookies",
        "site X-Frame-Options",
        "site Content-Security-Policy",
        "site cache",
        "site server",
        "site numbers",
        "site visitors",
    } <= wrong
    assert told["site X-Frame-Options"][0]["text"] == "came 2 times"
    assert told["site visitors"][0]["state"] == "unknown"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of its own for 127.0.0.1, good for ten days, in one
    file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
    now = datetime.fromtimestamp(system_clock(), UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10, hours=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate"
    encoding, plain = Encoding.PEM, NoEncryption()
    path.write_bytes(
        key.private_bytes(encoding, PrivateFormat.PKCS8, plain)
        + made.public_bytes(encoding)
    )
    return path


def test_tls_and_the_certificates_end_are_seen(house: Shell, certificate: Path) -> None:
    """Trusted, it says the version and how long; untrusted, no page is asked for."""
    with serving(_Poor, certificate) as url:
        told = found(house, "--url", url, SSL_CERT_FILE=str(certificate))
        strange = found(house, "--url", url)
    assert told["site TLS"][0]["state"] == "ok"
    assert "TLSv1.3" in told["site TLS"][0]["text"]
    assert told["site certificate"][0]["state"] == "warning"
    assert ", 10 days" in told["site certificate"][0]["text"]
    assert told["site Strict-Transport-Security"][0]["text"] == "did not come"
    assert "secure" in told["site cookies"][0]["text"]
    assert strange["site TLS"][0]["state"] == "fault"
    assert "self-signed" in strange["site TLS"][0]["text"]
    assert "site login" not in strange


def test_no_site_and_no_address_are_said(house: Shell) -> None:
    """Nobody answers: a fault; what is no address: exit 2, before a check is made."""
    told = found(house, "--url", f"https://127.0.0.1:{free_port()}")["site"]
    assert told[0]["state"] == "fault"
    ran = house("doctor", "--url", "cards.example.jp")
    assert (ran.code, "https://" in ran.err) == (2, True)


def test_the_real_site_is_well_through_its_address(
    tmp_path: Path, shell: Shell
) -> None:
    """All but what a loopback's plain http can't have."""
    place = Place(tmp_path / "site")
    place.folder.mkdir()
    with place.make().serving():
        told = found(shell, "--url", place.url)
    site = {
        one["name"]: one["state"]
        for all_ in told.values()
        for one in all_
        if one["name"].startswith("site ") and one["name"] != "site database"
    }
    site.pop("site account", None)
    assert site.pop("site TLS") == "warning"
    assert site.pop("site visitors") == "unknown"
    assert [name for name, state in site.items() if state != "ok"] == []
    assert {"site numbers", "site cache", "site health", "site cookies"} <= set(site)


def test_what_weakens_is_said_in_lines(shell: Shell) -> None:
    """The root key beside the web key, a loose database, a file left over."""
    VAULT_DB.chmod(0o644)
    Path("instance/web.key.new").write_text("")
    Path("instance/web.key.new").chmod(0o600)
    ran = shell("doctor")
    assert ran.code == 1
    for words in ("lies on this machine", "chmod 600", "web.key.new is damaged"):
        assert words in ran.out
