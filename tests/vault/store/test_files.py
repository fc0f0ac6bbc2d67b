"""A file is there whole or not at all, whenever its writer ends."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from vault import errors
from vault.store.files import NewFile, disk_faults, part_of, sync_folder
from vault.store.key_file import write_private

TEXT = "a key, whole\n" * 400


def names(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}


def in_a_child(work: Callable[[], object]) -> int:
    """The exit status of a process that does ``work``: minus a signal's number, 1
    for an error of ours."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        except errors.FileRefused:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_before_line(number: int, work: Callable[[], object]) -> Callable[[], None]:
    """``work``, killed when it comes to its ``number``-th line of our code."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal number
        if "/vault/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            number -= 1
            if number == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def traced() -> None:
        sys.settrace(trace)
        work()

    return traced


def test_killed_at_any_line_a_key_file_is_whole_or_absent(tmp_path: Path) -> None:
    """SIGKILL before each line in turn; the same call makes it then, beside nothing."""
    path = tmp_path / "web.key"

    def write() -> None:
        write_private(path, TEXT)

    line, seen = 0, set()
    while True:
        line += 1
        code = in_a_child(killed_before_line(line, write))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        seen.add(frozenset(names(tmp_path)))
        if not path.exists():
            write()
        assert path.read_text() == TEXT
        assert names(tmp_path) == {"web.key"}
        path.unlink()
    assert line > 30
    assert seen == {frozenset(), frozenset({"web.key.part"}), frozenset({"web.key"})}


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A file that may not grow so long is named, and neither it nor a part is there."""
    path = tmp_path / "web.key"

    def write() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        write_private(path, TEXT)

    assert in_a_child(write) == 1
    assert names(tmp_path) == set()


@pytest.mark.parametrize("of_folder", [False, True])
@pytest.mark.parametrize("why", [errno.EIO, errno.ENOSPC])
def test_what_can_not_be_synced_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int, of_folder: bool
) -> None:
    """Neither the file nor its part, be it the file that fails or its folder."""
    path = tmp_path / "web.key"
    with monkeypatch.context() as here:
        here.setattr(os, "fsync", failing(why, of_folder=of_folder))
        with pytest.raises(errors.FileRefused, match=r"web\.key can't be written"):
            write_private(path, TEXT)
    assert names(tmp_path) == set()
    write_private(path, TEXT)
    assert path.read_text() == TEXT


def failing(why: int, *, of_folder: bool) -> Callable[[int], None]:
    """An fsync that fails for folders, or for files."""

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) == of_folder:
            raise OSError(why, os.strerror(why))

    return fsync


@pytest.mark.parametrize("why", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_a_file_system_that_syncs_no_folder_takes_a_file_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    """As an SMB share is; the file itself was synced."""
    monkeypatch.setattr(os, "fsync", failing(why, of_folder=True))
    sync_folder(tmp_path)
    write_private(tmp_path / "web.key", TEXT)
    assert names(tmp_path) == {"web.key"}


def test_a_folder_is_never_made(tmp_path: Path) -> None:
    """It may be where a medium is to be mounted; the hint says both ways."""
    path = tmp_path / "usb" / "root.key"
    with pytest.raises(errors.FileRefused, match=r"root\.key can't be written") as told:
        write_private(path, TEXT)
    assert f"the folder {path.parent} is not there" in str(told.value)
    assert f"mkdir -m 700 {path.parent}" in told.value.hint
    assert names(tmp_path) == set()


def test_a_part_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written there would be theirs to read; it is left as it was."""
    path = tmp_path / "a.backup"
    part_of(path).write_text("theirs")
    if os.geteuid() == 0:
        os.chown(part_of(path), 65534, 65534)
    else:
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(errors.FileRefused, match="is another user's") as told:
        NewFile(path)
    assert str(part_of(path)) in str(told.value)
    assert "folder of your own" in told.value.hint
    assert part_of(path).read_text() == "theirs"


def test_a_part_that_is_something_else_is_refused(tmp_path: Path) -> None:
    """Another file's second name, a pipe, a folder, a link: none is written to."""
    path = tmp_path / "web.key"
    other = tmp_path / "other"
    other.write_text("mine")
    makers: tuple[Callable[[], object], ...] = (
        lambda: part_of(path).hardlink_to(other),
        lambda: os.mkfifo(part_of(path)),
        lambda: part_of(path).symlink_to(other),
    )
    for make in makers:
        make()
        with pytest.raises(errors.FileRefused, match=r"web\.key"):
            write_private(path, TEXT)
        assert names(tmp_path) == {"other", "web.key.part"}
        part_of(path).unlink()
    part_of(path).mkdir()
    with pytest.raises(errors.FileRefused, match=r"web\.key"):
        write_private(path, TEXT)
    assert other.read_text() == "mine"


def test_a_part_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    """One left with a loose mode is written over as 0600."""
    path = tmp_path / "web.key"
    part_of(path).write_text("left " * 9000)
    part_of(path).chmod(0o666)
    write_private(path, TEXT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == TEXT


def test_a_file_may_take_another_ones_place(tmp_path: Path) -> None:
    """Where that is asked for, and only when it is whole."""
    path = tmp_path / "results.csv"
    path.write_text("older")
    with NewFile(path, replace=True) as part:
        part.file.write(b"half")
    assert path.read_text() == "older"
    with NewFile(path, replace=True) as part:
        part.file.write(b"newer")
        part.sync()
        part.publish()
    assert path.read_text() == "newer"
    assert names(tmp_path) == {"results.csv"}


def test_a_part_left_whole_is_taken_as_it_is(tmp_path: Path) -> None:
    """Kept, it stands for a later run, which names it and writes nothing."""
    path = tmp_path / "web.key"
    with disk_faults(path), NewFile(path) as part:
        part.file.write(b"whole")
        part.sync()
        part.keep()
    assert names(tmp_path) == {"web.key.part"}
    with NewFile(path, left_whole=True) as part:
        part.publish()
    assert path.read_text() == "whole"
    with pytest.raises(FileNotFoundError):
        NewFile(tmp_path / "other", left_whole=True)
    assert names(tmp_path) == {"web.key"}
