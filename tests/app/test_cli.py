"""Commands where the site's own settings and keys are not: on the ops machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import create_app
from config import LOOPBACK_HOSTS, MIN_SECRET_BYTES, Config
from tests.places.site import PASSWORD, Place, free_port

FLASK = ("flask", "--app", "wsgi")
NO_SETTINGS = {"SECRET_KEY": "", "ALLOW_INSECURE_LOOPBACK": "", "TRUSTED_HOSTS": ""}
ADD = ("operators", "add", "taro", "--name", "太郎", "--email", "taro@example.co.jp")


def test_migrate_needs_the_databases_alone(tmp_path: Path) -> None:
    """No secret, no host, no web key."""
    place = Place(tmp_path)
    assert place.ops("init", "--no-passphrase").returncode == 0
    (tmp_path / "web.key").unlink()
    for flags, code in ((("--check",), 1), ((), 0), (("--check",), 0)):
        done = place.run(*FLASK, "migrate", *flags, **NO_SETTINGS)
        assert (done.returncode, "site\t" in done.stdout) == (code, True), done.stderr


def test_operators_needs_the_web_key_too(tmp_path: Path) -> None:
    """With it an operator is added who can log in at a site with its secret; without it
    the file is named."""
    place = Place(tmp_path).make()
    words = (*FLASK, *ADD, "--password-stdin")
    added = place.run(*words, given=PASSWORD + "\n", **NO_SETTINGS)
    assert added.returncode == 0, added.stderr
    assert "taro" in place.run(*FLASK, "operators", "list").stdout
    nowhere = {**NO_SETTINGS, "VAULT_WEB_KEY": str(tmp_path / "none.key")}
    refused = place.run(*FLASK, "operators", "disable", "taro", **nowhere)
    assert (refused.returncode, "none.key is not there" in refused.stderr) == (2, True)
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("words", [(), ("migrate",), ("operators", "add"), ("cards",)])
def test_help_needs_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Whoever asks what there is has no settings yet."""
    said = Place(tmp_path).run(*FLASK, *words, "--help", **NO_SETTINGS)
    assert (said.returncode, "Usage: " in said.stdout) == (0, True), said.stderr
    assert "migrate" in said.stdout or words


def test_no_vault_is_begun_without_its_keys(tmp_path: Path) -> None:
    """Its tables would be in the way of ``cardvault init``; nothing is made."""
    place = Place(tmp_path)
    done = place.run(*FLASK, "migrate", **NO_SETTINGS)
    assert (done.returncode, "hint: cardvault init" in done.stderr) == (2, True)
    assert list(tmp_path.glob("*.db*")) == []
    assert place.ops("init", "--no-passphrase").returncode == 0


def test_a_database_that_does_not_answer_is_said_in_a_line(tmp_path: Path) -> None:
    """By ``migrate`` as by the others."""
    place = Place(tmp_path).make()
    gone = f"postgresql+psycopg://x@127.0.0.1:{free_port()}/site"
    for name in ("DATABASE_URL", "VAULT_DATABASE_URL"):
        done = place.run(*FLASK, "migrate", **{name: gone})
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert "a database does not answer: " in done.stderr
        assert "hint: check DATABASE_URL and VAULT_DATABASE_URL" in done.stderr


def test_a_command_without_a_secret_serves_nobody(tmp_path: Path) -> None:
    """Its secret is one that nobody knows, another one each time, and a page is shown
    to no other host and not over http, should ``flask run`` be typed."""
    place = Place(tmp_path)
    assert place.ops("init", "--no-passphrase").returncode == 0
    environ = place.environ(**NO_SETTINGS)
    config, faults = Config.read(environ, pages=False)
    again, _ = Config.read(environ, pages=False)
    assert faults == []
    assert len(config.secret_key.encode()) >= MIN_SECRET_BYTES
    assert config.secret_key != again.secret_key
    assert config.trusted_hosts == LOOPBACK_HOSTS
    assert len(Config.read(environ)[1]) == 2
    short = Config.read({**environ, "SECRET_KEY": "short"}, pages=False)[1]
    assert ["SECRET_KEY" in fault for fault in short] == [True]
    client = create_app(config).test_client()
    elsewhere = client.get("/login", base_url="https://cards.example.jp")
    assert elsewhere.status_code == 400
    assert client.get("/login", base_url="http://localhost").status_code == 403
