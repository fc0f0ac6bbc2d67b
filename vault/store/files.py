"""Writes files that are there whole or not at all: written beside, then renamed."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import FileRefused
from ..kill_points import kill_point

SUFFIX = ".part"
# The errors of a file system that can't sync a folder, an SMB share's for example.
# More can't be done for the name there, and the file itself was synced.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}


class NewFile:
    """A new file, written as ``path``.part with mode 0600 and renamed to ``path``.

    A leftover ``.part`` file is overwritten, or with ``left_whole`` used as it is,
    unless a running process has it locked or it is another user's.  Closing removes
    the ``.part`` file, unless ``publish`` or ``keep`` was called.  With
    ``replace`` it replaces the file at ``path``.  Raises FileRefused when something
    is in the way, OSError when the disk refuses.
    """

    def __init__(
        self, path: Path, *, replace: bool = False, left_whole: bool = False
    ) -> None:
        self.path = path
        self.part = part_of(path)
        self._replace = replace
        self._require_free()
        self.file = _locked(self.part, make=not left_whole)
        self._stays = left_whole
        kill_point("part-opened")

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the ``.part`` file unless it was published or kept; may be called
        twice."""
        if self.file.closed:
            return
        try:
            # Remove it before releasing the lock: afterwards it could be another's.
            if not self._stays:
                self.part.unlink(missing_ok=True)
        finally:
            # On a full disk flushing the rest of the buffer fails.
            with suppress(OSError):
                self.file.close()

    def keep(self) -> None:
        """Leave the ``.part`` file on the disk, for a later run to use as it is."""
        self._stays = True

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        kill_point("part-synced")

    def publish(self) -> None:
        """Give the synced file its name, durably; when the disk refuses, the name
        is taken back."""
        # rename() replaces an existing file.  Every writer that uses this class holds
        # the lock on the ``.part`` file, so none can have made ``path`` since the
        # check.
        self._require_free()
        stayed, self._stays = self._stays, True
        self.part.replace(self.path)
        try:
            kill_point("part-named")
            sync_folder(self.path.parent)
        except BaseException:
            if not self._replace:
                self.take_back()
            self._stays = stayed
            raise

    def take_back(self) -> None:
        """Take the name away again, so that closing removes the file."""
        self.path.rename(self.part)
        self._stays = False

    def _require_free(self) -> None:
        if not self._replace:
            require_free(self.path)


def part_of(path: Path) -> Path:
    """The path a new file is written at before it is renamed to ``path``."""
    return path.with_name(path.name + SUFFIX)


def _locked(path: Path, *, make: bool) -> BinaryIO:
    made, descriptor = _opened(path, make=make)
    file = os.fdopen(descriptor, "r+b")
    try:
        if not made:
            _require_own(path, os.fstat(descriptor))
        _lock(path, descriptor)
        # FAT has no modes, and changing one fails there; so ask for it only if needed.
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        if make:
            file.truncate(0)
    except BaseException:
        file.close()
        raise
    return file


def _opened(path: Path, *, make: bool) -> tuple[bool, int]:
    """Say whether the file was made now, and its descriptor.  A file made now is ours,
    even where the medium or the file server shows another owner."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if make:
        with suppress(FileExistsError):
            return True, os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    return False, os.open(path, flags)


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The process that held the lock before may have renamed or removed the file.
        mine = os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:
        raise FileRefused(
            f"{path} is being written by another process",
            hint="wait for its end, then run the same command again",
        )


def _require_own(path: Path, found: os.stat_result) -> None:
    """Raise FileRefused for a file of another user's or with a second name, through
    which somebody else could read what is written into it."""
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(f"{path} is no plain file", hint="move it first")
    if found.st_uid != os.geteuid() or found.st_nlink > 1:
        whose = "is another user's" if found.st_nlink == 1 else "has another name too"
        raise FileRefused(
            f"{path} {whose}",
            hint="find out who made it, and write into a folder of your own",
        )


def require_free(path: Path) -> None:
    """Raise FileRefused when something stands at ``path``."""
    if os.path.lexists(path):
        raise FileRefused(
            f"{path} is in the way",
            hint="nothing is ever written over; move it first",
        )


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk, where the file system
    supports it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Raise FileRefused for whatever the disk refuses inside; it names the file,
    or ``path`` when the system doesn't say which."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        path = getattr(error, "filename", None) or path
        raise FileRefused(
            f"{path}: {why.lower()}", hint="mend that and run the same command again"
        ) from None


def is_on_one_disk(one: Path, other: Path) -> bool:
    """Say whether two files or folders, which are there, lie on the same file system."""
    return one.stat().st_dev == other.stat().st_dev
