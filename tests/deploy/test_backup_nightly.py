"""The nightly backup, run as its unit runs it, and the mail about a failure."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.places.postgres_cluster import PROGRAMS, Cluster
from tests.places.site import BIN, ROOT, Place
from vault.clock import DAY_SECONDS

DEPLOY = ROOT / "deploy"
DAYS = 35


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place on SQLite with a folder for backups."""
    (tmp_path / "kept").mkdir()
    return Place(tmp_path).make()


def night(
    place: Place, days: str = str(DAYS), folder: str = "kept", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the nightly backup of a place."""
    environ = place.environ(**more)
    environ["PATH"] = f"{PROGRAMS[-1] if PROGRAMS else BIN}:{BIN}:/usr/bin:/bin"
    return subprocess.run(
        [str(DEPLOY / "backup-nightly"), str(place.folder / folder), days],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def kept(place: Place) -> list[str]:
    """The endings of what the folder holds."""
    return sorted(
        path.name.partition(".")[2] for path in (place.folder / "kept").iterdir()
    )


def test_the_backup_of_a_night_is_restored_with_its_anchor(
    place: Place, tmp_path: Path
) -> None:
    """Both have one name, and are the account's alone; somebody who uses the site
    afterwards does not make it older than its anchor."""
    done = night(place)
    assert done.returncode == 0, done.stderr
    assert kept(place) == ["anchor", "backup"]
    assert all(
        path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "kept").glob("*")
    )
    place.add_operator("taro")
    (backup,) = (tmp_path / "kept").glob("*.backup")
    anchor = str(backup.with_suffix(".anchor"))
    for path in tmp_path.glob("*.db*"):
        path.unlink()
    restored = place.run("cardvault", "restore", str(backup), "--anchor", anchor)
    assert restored.returncode == 0, restored.stderr
    assert place.ops("verify").returncode == 0


def test_old_backups_go_when_a_new_one_is_there_and_not_before(
    place: Place, tmp_path: Path
) -> None:
    """Those past their days alone, no other files, and none while backups fail."""
    folder, now = tmp_path / "kept", time.time()
    ages = {"old": DAYS + 2, "young": DAYS - 1}
    for name, age in ages.items():
        for ending in ("anchor", "backup"):
            path = folder / f"cardsite-{name}.{ending}"
            path.touch()
            os.utime(path, (now - age * DAY_SECONDS,) * 2)
    other = folder / "accounts.csv"
    other.touch()
    os.utime(other, (0, 0))
    assert night(place, VAULT_WEB_KEY="/nowhere/web.key").returncode != 0
    assert (folder / "cardsite-old.backup").exists()
    assert night(place).returncode == 0
    assert not list(folder.glob("cardsite-old.*"))
    assert len(list(folder.glob("cardsite-young.*"))) == 2
    assert other.exists()


@pytest.mark.parametrize(
    ("days", "folder", "why"),
    [
        ("", "kept", 'BACKUP_KEEP_DAYS is ""'),
        ("0", "kept", 'BACKUP_KEEP_DAYS is "0"'),
        ("month", "kept", 'BACKUP_KEEP_DAYS is "month"'),
        ("35", "usb", "usb is not there; mount it"),
    ],
)
def test_a_wrong_setting_ends_the_night_with_its_name(
    place: Place, days: str, folder: str, why: str
) -> None:
    """Nothing is written, and nothing removed."""
    done = night(place, days, folder)
    assert done.returncode == 2
    assert why in done.stderr
    assert kept(place) == []


@pytest.mark.postgres
def test_on_postgresql_a_night_is_two_dumps_with_their_sums(
    server: Cluster, tmp_path: Path
) -> None:
    """They hold, the anchor comes first; a password in a URL is refused, since the list
    of processes would show it."""
    (tmp_path / "kept").mkdir()
    with server.database("night_site") as site, server.database("night_vault") as vault:
        more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
        place = Place(tmp_path, more=more).make()
        done = night(place)
        assert done.returncode == 0, done.stderr
        assert kept(place) == ["anchor", "sha256", "site.pgdump", "vault.pgdump"]
        (sums,) = (tmp_path / "kept").glob("*.sha256")
        words = ["sha256sum", "--check", "--quiet", sums.name]
        assert subprocess.run(words, cwd=sums.parent, check=False).returncode == 0
        refused = night(place, DATABASE_URL=site.replace("@", ":secret@", 1))
    assert refused.returncode == 2
    assert "PGPASSFILE" in refused.stderr
    assert "secret" not in refused.stderr


def test_a_failure_is_mailed_with_the_units_name_alone(tmp_path: Path) -> None:
    """To whom, which unit, where to look."""
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f"#!/bin/sh\ncat >{tmp_path}/mail; echo $* >{tmp_path}/words\n")
    sendmail.chmod(0o700)
    words = [str(DEPLOY / "mail-failure"), "cardsite-backup.service", "ops@example.jp"]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(words, env=path, check=False).returncode == 0
    head, _, body = (tmp_path / "mail").read_text().partition("\n\n")
    assert head.startswith(
        "To: ops@example.jp\nSubject: cardsite-backup.service failed"
    )
    assert "journalctl -u cardsite-backup.service" in body
    assert (tmp_path / "words").read_text() == "-t\n"
