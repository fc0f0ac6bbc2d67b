"""Every setting: its default, its range, and its refusal."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from config import Config, ConfigError, misspelt
from tests.actors.reader import settings_in_code
from tests.places.site import ROOT, Place, free_port
from vault.ops.doctor.mail import MailSettings

LEAST = {"SECRET_KEY": "s" * 32, "TRUSTED_HOSTS": "cards.example.jp"}


def faults(**environ: str) -> list[str]:
    """What is wrong with an environment."""
    with pytest.raises(ConfigError) as refused:
        Config.from_environ({**LEAST, **environ})
    return refused.value.faults


def test_two_settings_are_enough() -> None:
    """A secret and the site's names; the rest has defaults, and they are safe."""
    config = Config.from_environ(LEAST)
    assert config.trusted_hosts == ("cards.example.jp",)
    assert not config.allow_insecure_loopback
    assert (config.code_ttl, config.argon2_memory_kib) == (1800, 65536)
    assert (config.proxy_hops, config.login_failures_per_origin) == (0, 20)
    assert config.mail.subject == "MOT光クレジットカード通知"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", ""),
        ("SECRET_KEY_FALLBACKS", "short," + "x" * 32),
        ("SECRET_KEY_FILE", "/nowhere/secret"),
        ("TRUSTED_HOSTS", ""),
        ("TRUSTED_HOSTS", " , "),
        ("DATABASE_POOL", "0"),
        ("PROXY_HOPS", "11"),
        ("PROXY_HOPS", "-1"),
        ("PROXY_HOPS", "１"),
        ("CODE_TTL", "1801"),
        ("CODE_TTL", "59"),
        ("ARGON2_MEMORY_KIB", "19455"),
        ("ARGON2_MEMORY_KIB", "much"),
        ("LOGIN_FAILURES_PER_ORIGIN", "0"),
        ("MAIL_PORT", "0"),
        ("MAIL_PORT", "65536"),
        ("MAIL_USE_TLS", "yes"),
        ("MAIL_PASSWORD_FILE", "/nowhere/password"),
        ("MAIL_PASSWORD_FILE", "/dev/null"),
        ("MAIL_USERNAME", "site"),
        ("MAIL_TLS", "ssl"),
        ("MAIL_PORT", "465"),
        ("MAIL_SERVER", "smtp.example.jp:587"),
        ("MAIL_SERVER", "smtp://smtp.example.jp"),
        ("MAIL_DEFAULT_SENDER", "no-reply"),
        ("MAIL_DEFAULT_SENDER", "a@example.jp\nBcc: b@example.jp"),
        ("MAIL_SUBJECT", "one\ntwo"),
        ("TRUSTED_HOSTS", "https://cards.example.jp"),
        ("TRUSTED_HOSTS", "cards.example.jp/"),
        ("TRUSTED_HOSTS", "cards.example.jp:https"),
        ("TRUSTED_HOSTS", "cards.example.jp cards2.example.jp"),
        ("TRUSTED_HOSTS", "*.example.jp"),
        ("TRUSTED_HOSTS", "[2001:db8::1]"),
        ("ALLOW_INSECURE_LOOPBACK", "true"),
        ("ALLOW_INSECURE_LOOPBACK", "1"),
        ("FLASK_DEBUG", "1"),
        ("ALLOWED_NETWORKS", "192.0.2.0/33"),
        ("ALLOWED_NETWORKS", "192.0.2.1/24"),
        ("ALLOWED_NETWORKS", "192.0.2.0/24,the office"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: str) -> None:
    """One line that names it and says what to give."""
    changes = {"SECRET_KEY": ""} if name == "SECRET_KEY_FILE" else {}
    (fault, *more) = faults(**{**changes, name: value})
    assert name in fault
    assert len(fault.split("; ")) > 1 or "can't be read" in fault
    assert len(more) == len(changes)


def test_every_fault_is_named_at_once() -> None:
    """Not one a start."""
    found = faults(SECRET_KEY="", TRUSTED_HOSTS="", CODE_TTL="9999", MAIL_PORT="x")
    assert len(found) == 4
    with pytest.raises(ConfigError, match="not safe to start"):
        Config.from_environ({})


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    """A configuration that is printed shows none of them."""
    password = tmp_path / "password"
    password.write_text("mail-password\n")
    environ = {
        **LEAST,
        "SECRET_KEY_FALLBACKS": "f" * 32,
        "MAIL_USERNAME": "site",
        "MAIL_TLS": "starttls",
        "MAIL_PASSWORD_FILE": str(password),
    }
    config = Config.from_environ(environ)
    assert config.mail.password == "mail-password"
    for secret in ("s" * 32, "f" * 32, "mail-password"):
        assert secret not in repr(config)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["bare", "marked"])
def test_secrets_may_lie_in_files(tmp_path: Path, mark: str) -> None:
    """Without their line ends, and without the byte order mark of an editor."""
    for name, kept in (("secret", "x" * 40), ("password", "mail-password")):
        (tmp_path / name).write_text(f"{mark}{kept}\r\n", encoding="utf-8")
    config = Config.from_environ(
        {
            "TRUSTED_HOSTS": "a",
            "SECRET_KEY_FILE": str(tmp_path / "secret"),
            "MAIL_USERNAME": "site",
            "MAIL_PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert config.secret_key == "x" * 40
    assert config.mail.password == "mail-password"


@pytest.mark.parametrize(
    ("given", "tls", "port"),
    [
        ({}, "none", 25),
        ({"MAIL_USE_TLS": "1"}, "starttls", 25),
        ({"MAIL_USE_TLS": "1", "MAIL_TLS": "starttls"}, "starttls", 25),
        ({"MAIL_USE_TLS": "0", "MAIL_TLS": "tls"}, "tls", 465),
        ({"MAIL_TLS": "tls"}, "tls", 465),
        ({"MAIL_TLS": "tls", "MAIL_PORT": "2465"}, "tls", 2465),
        ({"MAIL_TLS": "starttls", "MAIL_PORT": "587"}, "starttls", 587),
    ],
)
def test_tls_of_the_mail_and_its_usual_port(
    given: dict[str, str], tls: str, port: int
) -> None:
    """MAIL_USE_TLS is the older way to ask for STARTTLS."""
    mail = Config.from_environ({**LEAST, **given}).mail
    assert (mail.tls, mail.port) == (tls, port)
    tried = MailSettings.read(given)
    assert (tried.tls, tried.port) == (tls, port), "doctor tries what the site uses"


@pytest.mark.parametrize("tls", ["none", "tls"])
def test_two_settings_of_tls_that_contradict_are_refused(tls: str) -> None:
    """Nobody has to guess which of them counts."""
    (fault,) = faults(MAIL_USE_TLS="1", MAIL_TLS=tls)
    assert "take MAIL_USE_TLS out" in fault


@pytest.mark.parametrize("tls", ["", "none", "starttls"])
def test_port_465_takes_tls_from_the_first_byte_alone(tls: str) -> None:
    """Anything else would wait there until it is given up, and send nothing."""
    (fault,) = faults(MAIL_PORT="465", MAIL_TLS=tls)
    assert fault.endswith("set MAIL_TLS=tls")


@pytest.mark.parametrize(
    ("server", "crosses"),
    [
        ("smtp.example.jp", True),
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("127.0.0.2", False),
        ("::1", False),
        ("localhost", False),
    ],
)
def test_no_mail_password_crosses_a_network_in_the_clear(
    tmp_path: Path, server: str, crosses: bool
) -> None:
    """On this host it may."""
    (tmp_path / "password").write_text("mail-password")
    given = {
        "MAIL_SERVER": server,
        "MAIL_USERNAME": "site",
        "MAIL_PASSWORD_FILE": str(tmp_path / "password"),
    }
    Config.from_environ({**LEAST, **given, "MAIL_TLS": "starttls"})
    _, found = Config.read({**LEAST, **given})
    assert ["MAIL_TLS is none" in fault for fault in found] == [True] * crosses


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("Cards.Example.JP", ("cards.example.jp",)),
        ("cards.example.jp:8443, cards", ("cards.example.jp", "cards")),
        (".example.jp", (".example.jp",)),
        ("カード.example.jp", ("xn--lck0cth.example.jp",)),
        ("192.0.2.1:8443", ("192.0.2.1",)),
    ],
)
def test_hosts_are_read_as_browsers_send_them(
    given: str, hosts: tuple[str, ...]
) -> None:
    """In small letters, and on any port."""
    config = Config.from_environ({**LEAST, "TRUSTED_HOSTS": given})
    assert config.trusted_hosts == hosts


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOGINFACTOR", "LOGIN_FACTOR"),
        ("login_factor", "LOGIN_FACTOR"),
        ("PROXY_HOP", "PROXY_HOPS"),
        ("TRUSED_HOSTS", "TRUSTED_HOSTS"),
        ("ALLOWED_NETWORK", "ALLOWED_NETWORKS"),
        ("SECRET_KEYFILE", "SECRET_KEY_FILE"),
        ("SECRET_KEY_FALLBACK", "SECRET_KEY_FALLBACKS"),
        ("VAULT_WEBKEY", "VAULT_WEB_KEY"),
        ("VAULT_DATABSE_URL", "VAULT_DATABASE_URL"),
        ("MAIL_PASSWORD", "MAIL_PASSWORD_FILE"),
        ("MAIL_USE_SSL", "MAIL_TLS"),
    ],
)
def test_a_misspelt_setting_is_named_with_what_is_meant(name: str, meant: str) -> None:
    """It would be read over, and the setting keep its default."""
    (line,) = misspelt({**LEAST, name: "secret"})
    assert line == f"{name} is no setting and changes nothing; is {meant} meant?"


# What shells, systemd, containers, CI and other programs put into an environment.
ORDINARY = (
    *("CI", "COLORTERM", "DBUS_SESSION_BUS_ADDRESS", "DEBIAN_FRONTEND", "DISPLAY"),
    *("EDITOR", "GPG_KEY", "HOME", "HOST", "HOSTNAME", "LANG", "LANGUAGE", "LC_ALL"),
    *("LESS", "LOGNAME", "LS_COLORS", "MAIL", "MAILCHECK", "MAILPATH", "MAILTO"),
    *("MANPATH", "OLDPWD", "PAGER", "PATH", "PROMPT_COMMAND", "PWD", "SHELL", "SHLVL"),
    *("SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_TTY", "SUDO_COMMAND", "SUDO_USER", "TERM"),
    *("TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "XDG_RUNTIME_DIR", "_", "http_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "PROXY", "PROXY_HOST"),
    *("CREDENTIALS_DIRECTORY", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID"),
    *("NOTIFY_SOCKET", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "SYSTEMD_EXEC_PID"),
    *("KUBERNETES_PORT", "KUBERNETES_SERVICE_HOST", "DATABASE_PORT", "DATABASE_HOST"),
    *("DATABASE_SERVICE_HOST", "DATABASE_NAME", "MAIL_SERVICE_PORT", "MAIL_HOST"),
    *("VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT", "VAULT_NAMESPACE"),
    *("VAULT_SERVICE_HOST", "SECRET", "SECRET_KEY_BASE", "ALLOWED_HOSTS"),
    *("DJANGO_SETTINGS_MODULE", "FLASK_APP", "FLASK_ENV", "FLASK_RUN_PORT"),
    *("FLASK_RUN_FROM_CLI", "GUNICORN_CMD_ARGS", "SERVER_SOFTWARE", "WEB_CONCURRENCY"),
    *("PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHON_VERSION"),
    *("PGHOST", "PGPASSWORD", "PGUSER", "PURGE_DAYS", "PURGE_MAIL", "PORT"),
    *("GITHUB_TOKEN", "SITE_PACKAGES", "CODE_SIGN", "LOGIN", "COPYFILE_DISABLE"),
)


def test_nothing_of_an_ordinary_environment_is_taken_for_a_setting() -> None:
    """Nor any setting itself, nor a name that says nothing."""
    everything = dict.fromkeys([*ORDINARY, *settings_in_code()], "x")
    assert misspelt({**everything, "LOGINFACTOR": ""}) == []


def test_a_misspelt_setting_is_named_at_the_start(tmp_path: Path) -> None:
    """Once a process, and nothing is refused for it."""
    place = Place(tmp_path, more={"LOGINFACTOR": "passkey"}).make()
    with place.serving("--workers", "1"):
        pass
    log = (tmp_path / "gunicorn.log").read_text()
    assert log.count("LOGINFACTOR is no setting") == 1


def test_a_refused_start_is_one_message_and_ends_gunicorn(tmp_path: Path) -> None:
    """Every fault with its mend, no trace, and the server itself is gone."""
    place = Place(tmp_path)
    bad = {"SECRET_KEY": "short", "CODE_TTL": "9999"}
    port = str(free_port())
    for words in (
        ("gunicorn", "--chdir", str(ROOT), "--bind", f"127.0.0.1:{port}", "wsgi:app"),
        ("flask", "--app", "wsgi", "operators", "list"),
    ):
        ended = place.run(*words, **bad)
        assert ended.returncode != 0
        assert "SECRET_KEY (or SECRET_KEY_FILE)" in ended.stderr
        assert "CODE_TTL is '9999'; give 60 to 1800" in ended.stderr
        assert "Traceback" not in ended.stderr


def start(place: Place, **more: str) -> str:
    """What gunicorn says when it refuses to start."""
    serve = ("gunicorn", "--chdir", str(ROOT), "--bind", f"127.0.0.1:{place.port}")
    ended = place.run(*serve, "wsgi:app", **more)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_settings_key_file_and_databases_are_one_message(tmp_path: Path) -> None:
    """Nobody mends one thing to be told of the next (WEB-04)."""
    place = Place(tmp_path).make()
    (tmp_path / "web.key").chmod(0o644)
    (tmp_path / "site.db").unlink()
    (tmp_path / "vault.db").unlink()
    said = start(place, SECRET_KEY="short")
    (refusal,) = re.findall(
        r"^error: it is not safe to start:\n((?:  - .*\n)+)", said, re.M
    )
    faults = refusal.splitlines()
    assert len(faults) == 4
    for line, thing, mend in zip(
        faults,
        (
            "SECRET_KEY",
            f"{tmp_path}/web.key",
            "the site database",
            "the vault database",
        ),
        (
            "openssl rand",
            "chmod 600",
            "flask --app wsgi migrate",
            "flask --app wsgi migrate",
        ),
        strict=True,
    ):
        assert thing in line
        assert mend in line


def test_the_vault_of_another_key_is_refused(tmp_path: Path) -> None:
    """Sealing under it would make cards nobody can check (REL-06)."""
    place, other = Place(tmp_path / "one"), Place(tmp_path / "two")
    for made in (place, other):
        made.folder.mkdir()
        made.make()
    said = start(place, VAULT_WEB_KEY=f"{other.folder}/web.key")
    assert "check VAULT_WEB_KEY and VAULT_DATABASE_URL" in said


def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """A server that is down and a kind there is no driver for, without a trace."""
    place = Place(tmp_path).make()
    gone = f"postgresql+psycopg://x@127.0.0.1:{free_port()}/site"
    assert "a database does not answer: " in start(place, DATABASE_URL=gone)
    assert "a database does not answer: " in start(place, DATABASE_URL="nosuch://x")


def test_a_command_runs_before_the_tables_are_there(tmp_path: Path) -> None:
    """Else nobody could make them; without its key file it says which one."""
    place = Place(tmp_path)
    listing = ("flask", "--app", "wsgi", "operators", "list")
    missing = place.run(*listing).stderr
    assert f"{tmp_path}/web.key is not there" in missing
    assert "Traceback" not in missing
    assert place.ops("init", "--no-passphrase").returncode == 0
    assert place.run("flask", "--app", "wsgi", "migrate").returncode == 0


PUBLIC = {"ALLOW_INSECURE_LOOPBACK": "0", "TRUSTED_HOSTS": "127.0.0.1"}


def test_a_root_key_within_reach_is_refused(tmp_path: Path) -> None:
    """In the environment or beside the web key: both in the one message, with the
    rest (WEB-09)."""
    place = Place(tmp_path).make()
    (tmp_path / "root.key.new").write_text("")
    root = {"VAULT_ROOT_KEY_COMMAND": "cat key", "VAULT_ROOT_MADE_UP": "x"}
    said = start(place, CODE_TTL="1", **root, **PUBLIC)
    for line in (
        "CODE_TTL is '1'",
        "VAULT_ROOT_KEY_COMMAND is in the site's environment; take it out",
        "VAULT_ROOT_MADE_UP is in the site's environment; take it out",
        f"{tmp_path}/root.key can be read by the site",
        f"{tmp_path}/root.key.new can be read by the site",
    ):
        assert f"  - {line}" in said
    assert "cat key" not in said


def test_a_site_apart_from_its_root_key_starts(tmp_path: Path) -> None:
    """And a demo on loopback does beside it; so do the site's commands."""
    place = Place(tmp_path).make()
    with place.serving("--workers", "1"):
        pass
    listing = ("flask", "--app", "wsgi", "operators", "list")
    root = {"VAULT_ROOT_KEY": f"{tmp_path}/root.key"}
    assert place.run(*listing, **root, **PUBLIC).returncode == 0
    (tmp_path / "away").mkdir()
    (tmp_path / "root.key").rename(tmp_path / "away" / "root.key")
    place.more = {**PUBLIC, "VAULT_ROOT_KEY": ""}
    with place.serving("--workers", "1"):
        pass


def ask(place: Place, path: str, **headers: str) -> tuple[int, str]:
    """What gunicorn answers to a request with ``headers``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(place.url + path, headers=named)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def bare(place: Place, line: bytes) -> bytes:
    """The body that gunicorn answers to a request line without a header."""
    with socket.create_connection(("127.0.0.1", place.port), timeout=120) as wire:
        wire.sendall(line + b"\r\n\r\n")
        with wire.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("hops", ["", "2"])
def test_gunicorn_believes_no_proxy_by_itself(tmp_path: Path, hops: str) -> None:
    """PROXY_HOPS forgotten, or two behind one proxy: no page, one line in the log for
    each process, and the health check goes on (WEB-08)."""
    place = Place(tmp_path, more={**PUBLIC, "PROXY_HOPS": hops}).make()
    (tmp_path / "root.key").unlink()
    told = {"X_Forwarded_For": "192.0.2.1", "X_Forwarded_Proto": "https"}
    with place.serving("--workers", "1"):
        for path in ("/login", "/", "/login"):
            status, page = ask(place, path, **told)
            assert status == 403
            assert "サーバーの設定に誤りがある" in page
        assert ask(place, "/healthz", **told) == (200, "ok\n")
        assert ask(place, "/healthz", Host="10.0.0.1:8000") == (200, "ok\n")
        assert bare(place, b"GET /healthz HTTP/1.0") == b"ok\n"
        assert bare(place, b"GET /livez HTTP/1.0") == b"ok\n"
        assert b"<html" in bare(place, b"GET /login HTTP/1.0")
        assert ask(place, "/login")[0] == 403
    log = (tmp_path / "gunicorn.log").read_text()
    assert log.count(f"PROXY_HOPS is {hops or 0}, and X-Forwarded-For") == 1
    assert "set PROXY_HOPS to the number of proxies" in log


def test_the_unit_counts_the_proxy_of_the_readme() -> None:
    """One; nobody has to think of it."""
    unit = (ROOT / "deploy" / "cardsite.service").read_text()
    assert "\nEnvironment=PROXY_HOPS=1\n" in unit
