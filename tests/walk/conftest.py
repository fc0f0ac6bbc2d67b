"""Hosts in the state in which a bad day finds them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.mail import Mails
from tests.vault.commands.typed_at import empty, inited, shell

from .host import Host, found_site

__all__ = ["empty", "inited", "shell"]


@pytest.fixture(scope="session")
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with an operator and no customer, to be copied."""
    return found_site(Host(tmp_path_factory.mktemp("walk"))).folder


@pytest.fixture
def open_host(new_site: Path, mails: tuple[Mails, int]) -> Callable[[Path], Host]:
    """Put such a site into a folder; mails come to ``mails``."""

    def open_host(folder: Path) -> Host:
        shutil.copytree(new_site, folder, dirs_exist_ok=True)
        return Host(folder, mail_port=mails[1])

    return open_host


@pytest.fixture
def host(open_host: Callable[[Path], Host], tmp_path: Path) -> Host:
    """A site with an operator and no customer."""
    return open_host(tmp_path / "host")


@pytest.fixture
def kept(host: Host) -> Host:
    """A site with two customers, last night's anchor and backup."""
    host.register("山田 太郎", "鈴木 花子")
    for line in (
        "cardvault audit anchor > anchor.json",
        "cp anchor.json anchors",
        "cardvault backup site.backup",
    ):
        host.well(line)
    return host
