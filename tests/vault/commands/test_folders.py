"""Files written where a folder can't be synced, as on an SMB share, or fails to be."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pyrage
import pytest

from .shell import Shell

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())
WRITERS = {
    "backup": ["backup", "made"],
    "export": ["export", "--recipient", RECIPIENT, "--reason", "x", "--out", "made"],
}
UNKNOWN = [errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS]


@pytest.fixture(autouse=True)
def site(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card in the vault, and a database of a site's, so that there is a backup."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shell.seal()
    with closing(sqlite3.connect("instance/site.db")) as db, db:
        db.execute("CREATE TABLE customer (token TEXT)")


def fail(here: pytest.MonkeyPatch, why: int) -> None:
    """Make every fsync of a folder fail."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(why, os.strerror(why))
        real(descriptor)

    here.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("why", UNKNOWN)
@pytest.mark.parametrize("writer", WRITERS)
def test_where_no_folder_is_synced_a_file_is_written_all_the_same(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, writer: str, why: int
) -> None:
    """It was synced itself; typed again, the command says that it is there."""
    with monkeypatch.context() as here:
        fail(here, why)
        ran, again = shell(*WRITERS[writer]), shell(*WRITERS[writer])
    assert (ran.code, ran.err) == (0, "")
    assert (again.code, "made is in the way" in again.err) == (2, True)
    assert [path.name for path in Path().glob("made*")] == ["made"]
    if writer == "backup":
        assert shell("restore", "made", "--drill").code == 0
    else:
        plain = pyrage.decrypt(Path("made").read_bytes(), [IDENTITY])
        assert b",4810000000020000," in plain


@pytest.mark.parametrize("writer", WRITERS)
def test_where_a_folder_fails_to_be_synced_nothing_is_left(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    """A name that may be gone after a power cut is none; mended, the same command
    makes the file."""
    with monkeypatch.context() as here:
        fail(here, errno.EIO)
        for _ in range(2):
            ran = shell(*WRITERS[writer])
            assert (ran.code, ran.out) == (2, "")
            assert "input/output error" in ran.err
            assert not list(Path().glob("made*"))
    assert shell(*WRITERS[writer]).code == 0


@pytest.mark.parametrize("why", [*UNKNOWN, errno.EIO])
@pytest.mark.parametrize(
    "words",
    [("--no-passphrase",), ("--shares", "3", "--threshold", "2")],
    ids=["file", "shares"],
)
def test_an_init_leaves_all_or_nothing(
    shell: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    why: int,
) -> None:
    """All of it where a folder can't be synced, nothing where it fails to be."""
    new = tmp_path / "new"
    new.mkdir()
    files = {"vault.db", "web.key"} | ({"root.key"} if len(words) == 1 else set())
    with monkeypatch.context() as here:
        here.chdir(new)
        fail(here, why)
        ran = shell("init", *words)
    left = {path.name for path in new.rglob("*") if path.is_file()}
    if why == errno.EIO:
        assert (ran.code, left) == (2, set())
        assert "input/output error" in ran.err
    else:
        assert (ran.code, left) == (0, files)
