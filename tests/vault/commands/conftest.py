"""A place to type cardvault in."""

from __future__ import annotations

from pathlib import Path

import pytest

from vault import crypto

from .shell import Shell


@pytest.fixture
def empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A folder with nothing in it; passphrases cost little."""
    cost = {"iterations": 1, "lanes": 1, "memory_kib": 64}
    monkeypatch.setattr(crypto, "PASSPHRASE_COST", cost)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def shell(empty: Shell) -> Shell:
    """A folder with a vault, its root key without a passphrase."""
    assert empty("init", "--no-passphrase").code == 0
    return empty
