"""A house to rob, built once and copied for each attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault import crypto

from .house import House, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A vault with a past."""
    return build(tmp_path_factory.mktemp("house"))


@pytest.fixture
def house(built: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A copy of it of a test's own; passphrases cost little."""
    cost = {"iterations": 1, "lanes": 1, "memory_kib": 64}
    monkeypatch.setattr(crypto, "PASSPHRASE_COST", cost)
    return built.copy(tmp_path)
