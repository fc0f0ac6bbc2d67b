"""Key files."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from vault import WebKey, crypto, errors
from vault.ops import RootKey
from vault.store.key_file import take_owner

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at its least, so that the tests take no second each."""
    cost = {"iterations": 1, "lanes": 1, "memory_kib": 64}
    monkeypatch.setattr(crypto, "PASSPHRASE_COST", cost)


def test_a_web_key_reads_back_as_written(
    tmp_path: Path, keys: tuple[WebKey, RootKey]
) -> None:
    """Vault, root and sealing key survive the file, whose mode is 0600."""
    path = tmp_path / "web.key"
    keys[0].write(path)
    read = WebKey.read(path)
    assert (read.vault_id, read.root.id) == (keys[0].vault_id, keys[0].root.id)
    assert read.sealing_key == keys[0].sealing_key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_root_key_reads_back_as_written(
    keys: tuple[WebKey, RootKey], passphrase: str | None
) -> None:
    """Bare or sealed, the seed survives; sealed it is nowhere in the text."""
    text = keys[1].text(passphrase)
    assert RootKey.parse(text, "here", passphrase).seed == keys[1].seed
    assert RootKey.is_sealed(text) == (passphrase is not None)
    assert ('"seed"' in text) == (passphrase is None)


@pytest.mark.parametrize("given", ["wrong", "", None])
def test_a_wrong_passphrase_is_named_as_wrong(
    keys: tuple[WebKey, RootKey], given: str | None
) -> None:
    """A wrong or missing passphrase is a wrong root key, naming the file."""
    with pytest.raises(errors.WrongRootKey, match="root.key"):
        RootKey.parse(keys[1].text(PASSPHRASE), "root.key", given)


def test_nothing_is_ever_overwritten(
    tmp_path: Path, keys: tuple[WebKey, RootKey]
) -> None:
    """A file in the way is left as it was."""
    path = tmp_path / "root.key"
    path.write_text("mine")
    with pytest.raises(errors.FileRefused, match="in the way"):
        keys[1].write(path, None)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_others_can_read_is_refused(
    tmp_path: Path, keys: tuple[WebKey, RootKey], mode: int
) -> None:
    """The error names the file and the command that mends it."""
    path = tmp_path / "web.key"
    keys[0].write(path)
    path.chmod(mode)
    with pytest.raises(errors.FileRefused, match="read by others") as refused:
        WebKey.read(path)
    assert str(path) in str(refused.value)
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[]",
        lambda text: text.replace("web key 2", "web key 9"),
        lambda text: text.replace("AES-256-GCM", "ROT13"),
        lambda text: text.replace('"vault_id"', '"x"'),
        lambda text: json.dumps({**json.loads(text), "root_public": "AAAA"}),
        lambda text: json.dumps({**json.loads(text), "sealing_key": "*"}),
        lambda text: "\udcff",
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, keys: tuple[WebKey, RootKey], edit: object
) -> None:
    """However it is damaged, the error is about the file and shows nothing of it."""
    path = tmp_path / "web.key"
    keys[0].write(path)
    damaged = edit(path.read_text())  # type: ignore[operator]
    path.write_bytes(os.fsencode(damaged))
    with pytest.raises(errors.FileRefused, match=r"web\.key"):
        WebKey.read(path)


@pytest.mark.parametrize("seed", ["", "AAAA", 5])
def test_a_damaged_root_key_is_named(
    keys: tuple[WebKey, RootKey], seed: object
) -> None:
    """A seed of the wrong size or type is a damaged file, not a wrong key."""
    text = json.dumps({**json.loads(keys[1].text(None)), "seed": seed})
    with pytest.raises(errors.FileRefused, match="damaged"):
        RootKey.parse(text, "root.key", None)


def test_a_missing_file_says_how_one_is_made(tmp_path: Path) -> None:
    """The hint is the command to type."""
    with pytest.raises(errors.FileRefused, match="not there") as refused:
        WebKey.read(tmp_path / "web.key")
    assert "cardvault init" in refused.value.hint


def test_a_place_that_cannot_be_used_is_named(
    tmp_path: Path, keys: tuple[WebKey, RootKey]
) -> None:
    """A folder that can't be made is an error about the path."""
    with pytest.raises(errors.FileRefused, match="can't be written"):
        keys[0].write(Path("/proc/nowhere/web.key"))
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(errors.FileRefused, match="can't be read"):
        WebKey.read(folder)


def test_keys_show_nothing(keys: tuple[WebKey, RootKey]) -> None:
    """A key's repr is the vault it belongs to."""
    assert repr(keys[0]) == f"<WebKey of vault {keys[0].vault_id}>"
    assert repr(keys[1]) == f"<RootKey of vault {keys[0].vault_id}>"


@pytest.mark.parametrize("which", [0, 1], ids=["web key", "root key"])
def test_a_key_is_never_copied_out(keys: tuple[WebKey, RootKey], which: int) -> None:
    """Not by a repr, a pickle, a copy, JSON, or as a dataclass's fields (PCI 3.6)."""
    key = keys[which]
    assert "of vault" in repr(key)
    ways: list[Any] = [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, asdict, vars]
    for copied in ways:
        with pytest.raises(TypeError):
            copied(key)


@pytest.mark.parametrize("kind", ["symbolic", "hard", "folder"])
def test_a_link_in_the_place_of_a_key_file_is_given_nothing(
    tmp_path: Path, kind: str
) -> None:
    """Whoever owns the folder could have root give away what the link leads to."""
    old, new, target = (tmp_path / name for name in ("old", "new", "target"))
    for path, mode in ((old, 0o400), (target, 0o600)):
        path.touch()
        path.chmod(mode)
    if kind == "symbolic":
        new.symlink_to(target)
    elif kind == "hard":
        new.hardlink_to(target)
    else:
        new.mkdir(0o700)
    before = target.stat()
    with pytest.raises(errors.FileRefused):
        take_owner(new, old)
    assert (target.stat().st_mode, target.stat().st_uid) == (
        before.st_mode,
        before.st_uid,
    )
