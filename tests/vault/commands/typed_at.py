"""Folders to type cardvault in, as fixtures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.places.site import Place
from vault import crypto

from .shell import Shell

AT_DEFAULT = {"VAULT_DATABASE_URL": "", "VAULT_WEB_KEY": "", "DATABASE_URL": ""}


@pytest.fixture
def empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A folder with nothing in it; passphrases cost little."""
    cost = {"iterations": 1, "lanes": 1, "memory_kib": 64}
    monkeypatch.setattr(crypto, "PASSPHRASE_COST", cost)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def inited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``cardvault init`` makes, to be copied: it takes its time."""
    place = Place(tmp_path_factory.mktemp("inited"))
    done = place.run("cardvault", "init", "--no-passphrase", **AT_DEFAULT)
    assert done.returncode == 0, done.stderr
    return place.folder / "instance"


@pytest.fixture
def shell(empty: Shell, inited: Path) -> Shell:
    """A folder with a vault, its root key without a passphrase."""
    shutil.copytree(inited, empty.folder / "instance")
    return empty
