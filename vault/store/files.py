"""Files that are there whole or not at all: written beside, then renamed."""

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

from ..errors import KeyFileError
from ..kill_points import instant

SUFFIX = ".part"
# What a file system says that can't sync a folder at all, as an SMB share's: its
# names are as safe there as they get, and the file itself was synced.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}


class Part:
    """A file on its way to ``path``, as ``path``.part with mode 0600.

    What a dead process left there is written over, or taken as it stands when it
    was ``left_whole``; a living one's is refused, and another user's.  Closed
    without ``put_in_place``, it is removed, unless ``keep`` was called.  With
    ``replace`` it takes the place of what stands at ``path``.  Raises KeyFileError
    when something is in the way, OSError when the disk refuses.
    """

    def __init__(
        self, path: Path, *, replace: bool = False, left_whole: bool = False
    ) -> None:
        self.path = path
        self.place = part_of(path)
        self._replace = replace
        self._require_free()
        self.file = _locked(self.place, make=not left_whole)
        self._stays = left_whole
        instant("part-opened")

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what is neither named nor kept; may be called twice."""
        if self.file.closed:
            return
        try:
            # Removed before the lock on it goes, or it could be another's by then.
            if not self._stays:
                self.place.unlink(missing_ok=True)
        finally:
            # What is still to be flushed has no room on a full disk.
            with suppress(OSError):
                self.file.close()

    def keep(self) -> None:
        """Let it stand, for a later run to take as it is."""
        self._stays = True

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        instant("part-synced")

    def put_in_place(self) -> None:
        """Give the synced file its name, durably; when the disk refuses, the name
        is taken back."""
        # A rename would write over what came meanwhile.  Ours can't: whoever
        # writes ``path`` by this class holds the lock on its part.
        self._require_free()
        stayed, self._stays = self._stays, True
        self.place.replace(self.path)
        try:
            instant("part-named")
            sync_folder(self.path.parent)
        except BaseException:
            if not self._replace:
                self.take_back()
            self._stays = stayed
            raise

    def take_back(self) -> None:
        """Take the name away again, so that closing removes the file."""
        self.path.rename(self.place)
        self._stays = False

    def _require_free(self) -> None:
        if not self._replace:
            require_free(self.path)


def part_of(path: Path) -> Path:
    """Where the file that is to be ``path`` is written."""
    return path.with_name(path.name + SUFFIX)


def _locked(place: Path, *, make: bool) -> BinaryIO:
    made, descriptor = _opened(place, make=make)
    file = os.fdopen(descriptor, "r+b")
    try:
        if not made:
            _require_own(place, os.fstat(descriptor))
        _lock(place, descriptor)
        # Some media, FAT's, know no mode: asked in vain for one that is kept anyway,
        # they refuse.
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        if make:
            file.truncate(0)
    except BaseException:
        file.close()
        raise
    return file


def _opened(place: Path, *, make: bool) -> tuple[bool, int]:
    """Say whether the file was made now, and its descriptor.  Made, it is ours, though
    the medium or the server may show another owner."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if make:
        with suppress(FileExistsError):
            return True, os.open(place, flags | os.O_CREAT | os.O_EXCL, 0o600)
    return False, os.open(place, flags)


def _lock(place: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last holder may have renamed or removed it before we got the lock.
        mine = os.path.samestat(os.fstat(descriptor), place.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:
        raise KeyFileError(
            f"{place} is being written by another process",
            hint="wait for its end, then run the same command again",
        )


def _require_own(place: Path, found: os.stat_result) -> None:
    """Raise KeyFileError for a file whose owner, or whose other name, would let
    somebody else read what is written into it."""
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileError(f"{place} is no plain file", hint="move it first")
    if found.st_uid != os.geteuid() or found.st_nlink > 1:
        whose = "is another user's" if found.st_nlink == 1 else "has another name too"
        raise KeyFileError(
            f"{place} {whose}",
            hint="find out who made it, and write into a folder of your own",
        )


def require_free(path: Path) -> None:
    """Raise KeyFileError when something stands at ``path``."""
    if os.path.lexists(path):
        raise KeyFileError(
            f"{path} is in the way",
            hint="nothing is ever written over; move it first",
        )


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk, where its file system can
    do that."""
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
    """Raise KeyFileError for whatever the disk refuses inside; it names the file,
    or ``path`` when the system doesn't say which."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        place = getattr(error, "filename", None) or path
        raise KeyFileError(
            f"{place}: {why.lower()}", hint="mend that and run the same command again"
        ) from None
