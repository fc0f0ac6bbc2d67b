"""Files that are there whole or not at all: written beside, then renamed."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import KeyFileError

SUFFIX = ".part"


class Part:
    """A file on its way to ``path``, as ``path``.part with mode 0600.

    What a dead process left there is written over; a living one's is refused.
    Closed without ``put_in_place``, it is removed.  Raises KeyFileError when
    something is in the way.
    """

    def __init__(self, path: Path) -> None:
        require_free(path)
        self.path = path
        self.place = path.with_name(path.name + SUFFIX)
        self.file = _locked(self.place)
        self._named = False

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        # Removed before the lock on it goes, or it could be another's by then.
        if not self._named:
            self.place.unlink(missing_ok=True)
        self.file.close()

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def put_in_place(self) -> None:
        """Give the synced file its name, durably."""
        # A rename would write over what came meanwhile.  Ours can't: whoever
        # writes ``path`` by this class holds the lock on its part.
        require_free(self.path)
        self.place.rename(self.path)
        self._named = True
        sync_folder(self.path.parent)


def _locked(place: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(place, flags, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last holder may have renamed or removed it before we got the lock.
        mine = os.path.samestat(os.fstat(file.fileno()), place.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:
        file.close()
        raise KeyFileError(f"{place} is being written by another process")
    os.fchmod(file.fileno(), 0o600)
    file.truncate(0)
    return file


def require_free(path: Path) -> None:
    """Raise KeyFileError when something stands at ``path``."""
    if os.path.lexists(path):
        raise KeyFileError(
            f"{path} is in the way",
            hint="nothing is ever written over; move it first",
        )


def sync_folder(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
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
