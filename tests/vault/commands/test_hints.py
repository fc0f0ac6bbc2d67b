"""On the worst day the hint leads the right way."""

from __future__ import annotations

import os
import sqlite3
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.places.site import ROOT, Place
from vault.store.refusals import explain

from .shell import PASSPHRASE, Shell

VAULT_DB = Path("instance/vault.db")


def test_a_web_key_that_is_gone_is_put_back_or_recovered(shell: Shell) -> None:
    """And init comes last, for where there is no vault."""
    Path("instance/web.key").unlink()
    ran = shell("status")
    assert ran.code == 2
    hint = ran.err.splitlines()[1]
    assert hint.startswith("cardvault: hint: put it back from where you keep it")
    assert hint.index("web-key recover") < hint.index("cardvault init")


def test_a_root_key_that_is_gone_is_on_a_medium(shell: Shell) -> None:
    """Mount it, or give shares; a lost passphrase file is typed."""
    ran = shell("verify", VAULT_ROOT_KEY="usb/root.key")
    assert (ran.code, "mount its medium" in ran.err) == (2, True)
    assert "unset VAULT_ROOT_KEY and give custodians' shares" in ran.err
    assert "init" not in ran.err
    shell("root", "passphrase", given=PASSPHRASE + "\n")
    ran = shell("verify", VAULT_ROOT_PASSPHRASE_FILE="usb/word")
    assert (ran.code, "unset VAULT_ROOT_PASSPHRASE_FILE" in ran.err) == (2, True)


def test_a_cut_database_leads_to_the_runbook(shell: Shell) -> None:
    """Not to the settings: nothing is wrong with those."""
    shell.files()
    VAULT_DB.write_bytes(VAULT_DB.read_bytes()[:9000])
    for name in ("vault.db-wal", "vault.db-shm"):
        (VAULT_DB.parent / name).unlink(missing_ok=True)
    ran = shell("status")
    assert ran.code == 3
    assert "cardvault doctor" in ran.err
    assert "under: The disk died" in ran.err
    assert "VAULT_DATABASE_URL" not in ran.err


def test_the_sites_commands_and_its_start_lead_there_too(tmp_path: Path) -> None:
    """flask, and gunicorn before it answers anything."""
    place = Place(tmp_path).make()
    path = tmp_path / "site.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    for name in ("site.db-wal", "site.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    ran = place.run("flask", "--app", "wsgi", "operators", "list")
    assert (ran.returncode, "under: The disk died" in ran.stderr) == (2, True)
    started = place.run("python", "-c", "import wsgi")
    assert started.returncode != 0
    assert "under: The disk died" in started.stderr


def test_a_file_that_is_no_database_leads_there_too(shell: Shell) -> None:
    """As another kind of damage."""
    shell.files()
    VAULT_DB.write_bytes(b"no database at all " * 999)
    assert "under: The disk died" in shell("status").err


def refused(code: int, said: str) -> OperationalError:
    """What SQLAlchemy raises when SQLite does."""
    error = sqlite3.OperationalError(said)
    error.sqlite_errorcode = code
    return OperationalError("SELECT 1", {}, error)


def test_a_full_disk_asks_for_room(tmp_path: Path) -> None:
    """On the disk of the file that is named."""
    error = refused(sqlite3.SQLITE_FULL, "database or disk is full")
    path = tmp_path / "vault.db"
    what, hint = explain(error, [f"sqlite:///{path}"])
    assert what == f"the disk of {path} is full"
    assert hint.startswith(f"make room on the disk of {path}")


def test_what_is_not_known_is_said_as_it_was(tmp_path: Path) -> None:
    """PostgreSQL's own words are good, and a file that can be opened is not blamed."""
    error = refused(sqlite3.SQLITE_FULL, "database or disk is full")
    assert explain(error, ["postgresql://db/x"]) == ("database or disk is full", "")
    path = tmp_path / "vault.db"
    path.touch()
    error = refused(sqlite3.SQLITE_CANTOPEN, "unable to open database file")
    assert explain(error, [f"sqlite:///{path}"]).hint == ""


@pytest.mark.rights("root")
def test_another_owners_database_names_both_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who it belongs to, and who this is."""
    path = tmp_path / "vault.db"
    path.touch(mode=0o600)
    os.chown(path, 65534, 65534)
    monkeypatch.setattr(os, "access", lambda *_: False)
    for code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        what, hint = explain(refused(code, "unable to open"), [f"sqlite:///{path}"])
        assert "belongs to nobody, and this runs as root" in what
        assert "chown" in hint


def test_a_folder_that_is_not_there_is_named(shell: Shell) -> None:
    """From another folder than the site's, for example."""
    ran = shell("status", VAULT_DATABASE_URL="sqlite:///gone/vault.db")
    assert (ran.code, "the folder gone is not there" in ran.err) == (3, True)


def test_the_version_is_the_packages(shell: Shell) -> None:
    """The one of setup.cfg; nothing is read for it."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ran = shell("--version")
    assert (ran.code, ran.out) == (0, f"cardvault {setup['metadata']['version']}\n")
