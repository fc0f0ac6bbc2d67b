"""What tests of processes share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.mail import Mails
from tests.places.site import Place


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a place with the operator taro, to be copied."""
    place = Place(tmp_path_factory.mktemp("made")).make()
    place.add_operator("taro")
    return place.folder


@pytest.fixture
def open_at(made: Path, mails: tuple[Mails, int]) -> Callable[[Path], Place]:
    """Open a place with the operator taro in a folder; mails come to ``mails``."""

    def open_at(folder: Path) -> Place:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return Place(folder, mail_port=mails[1])

    return open_at
