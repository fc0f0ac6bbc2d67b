"""A web key file that systemd or an orchestrator mounted for the service."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places.own_mounts import in_own_mounts
from vault import WebKey
from vault.ops import RootKey

READ = """
import sys
from pathlib import Path
from vault import WebKey
from vault.clock import system_clock
from vault.errors import FileRefused
from vault.ops.doctor.files import modes
from vault.ops.doctor.result import Installation
from vault.settings import VaultSettings
path = Path(sys.argv[1])
settings = VaultSettings("postgresql://x/y", path, site_database_url="postgresql://x/y")
secret = {"SECRET_KEY_FILE": str(path)}
for finding in modes(Installation(settings, secret, system_clock)):
    print(finding.text)
try:
    print(WebKey.read(path).name)
except FileRefused as refused:
    print(refused)
"""
QUIET = "no database or secret can be read by others"
# $1 is the folder, $2 the mode, $3 how it ends mounted, $4 python, $5 what it runs.
MEMORY = 'mount -t tmpfs -o mode=755 tmpfs "$1"; cp "$1.key" "$1/web.key"; '
DISK = 'mount --bind "$1" "$1"; cp "$1.key" "$1/web.key"; '
READ_ONLY = 'chmod "$2" "$1/web.key"; mount -o remount,bind,ro "$1"; '
WRITABLE = 'chmod "$2" "$1/web.key"; '
TYPED = '"$3" -c "$4" "$1/web.key"'

pytestmark = pytest.mark.rights("mounts")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on a disk: those of the tests may lie in memory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name) / "secrets"
        place.mkdir()
        yield place


def read(script: str, folder: Path, mode: str, key: WebKey) -> str:
    """What a process says of the key file in ``folder`` after ``script``."""
    folder.with_name(folder.name + ".key").write_text(key.text())
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = in_own_mounts(
        script + TYPED, folder, mode, sys.executable, READ, environ=environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("mode", ["400", "440", "444", "644"])
def test_a_secret_on_a_read_only_mount_of_memory_is_read(
    folder: Path, keys: tuple[WebKey, RootKey], mode: str
) -> None:
    """As systemd (0400, 0440), Kubernetes (0440, 0644) and Docker (0444) mount them;
    doctor finds no fault with it."""
    shown = read(MEMORY + READ_ONLY, folder, mode, keys[0])
    assert shown.splitlines() == [QUIET, keys[0].name]


@pytest.mark.parametrize(
    ("script", "mode"),
    [
        (MEMORY + WRITABLE, "444"),
        (MEMORY + WRITABLE, "440"),
        (DISK + READ_ONLY, "444"),
        (DISK + READ_ONLY, "440"),
        (MEMORY + READ_ONLY, "664"),
        (MEMORY + READ_ONLY, "646"),
        (MEMORY + 'chown 65534 "$1/web.key"; ' + READ_ONLY, "444"),
    ],
    ids=[
        "writable-444",
        "writable-440",
        "disk-444",
        "disk-440",
        "group-writes",
        "others-write",
        "not-roots",
    ],
)
def test_any_other_file_that_others_can_read_is_refused(
    folder: Path, keys: tuple[WebKey, RootKey], script: str, mode: str
) -> None:
    """In memory that may be written to, on a disk, writable, of another account; doctor
    names what is open to all too."""
    if "chown" in script and os.geteuid() != 0:
        script = script.replace("chown 65534", "true 65534")
        mode = "666"
    shown = read(script, folder, mode, keys[0])
    refused = f"{folder}/web.key can be read by others"
    # Another secret than a key file may be its group's.
    of_doctor = refused if int(mode, 8) & 0o007 else QUIET
    assert shown.splitlines() == [of_doctor, refused]
