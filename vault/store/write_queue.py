"""Queues SQLite's writers, over threads and processes, in the order they come.

SQLite lets one writer in and tells the others to ask again, so the next is whoever asks
at the right moment, and some writer may never get its turn.  This module queues them
with a file beside the database: each writer locks the byte after the last one given and
waits until no earlier byte is locked.  The locks are the kernel's, on an open file
(OFD), so a waiting writer is woken, and the byte of a dead process is free at once.  A
single lock would not do, because the kernel lets a writer that comes back at once have
it again.

The queue only decides the order.  SQLite's own lock lets one writer write at a time,
and it works alone where no queue can be made (a folder or a file that can't be written,
a file system without such locks).  So the file may be removed at any time, and neither
what somebody writes into it nor a process that stops in it damages data: at worst the
order is not kept, or the others wait two seconds.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# A writer waits as long as the queue moves, and gives up when no writer has got its
# turn for this long.
LOCK_WAIT_SECONDS = 2.0
SUFFIX = "-queue"
# The byte that is locked while a place is given; places begin behind it.
DOOR = 0
# Giving a place takes some microseconds: a process that takes longer was stopped there.
DOOR_SECONDS = 0.25
DOOR_LOOK_SECONDS = 0.0005
# A waiting writer is woken by the kernel.  It also looks this often for places that are
# stopped and were passed by.
LOOK_AGAIN_SECONDS = 1.0
# How many threads of one process may wait in the kernel.  A thread whose writer has
# given up stays until the place before it is free, which may take long.
MOST_HELPERS = 64

_NO_LOCKS = not hasattr(fcntl, "F_OFD_SETLK")
# C's struct flock: type, whence, start, length (0: to the end), process.
_FLOCK = struct.Struct("hhqqi")
_TO_THE_END = 0
_STATE = struct.Struct("<QQQ")
_NEXT = struct.Struct("<Q")
_PASSED, _PASSED_AT = struct.Struct("<QQ"), 8
_MOVED, _MOVED_AT = struct.Struct("<Q"), 16
_MOST_PLACES = 2**62

_helpers = threading.BoundedSemaphore(MOST_HELPERS)
# The files this process opened: a forked one closes them.
_ours: set[int] = set()


@dataclass(frozen=True)
class State:
    """What the file says: the ``next`` place to be given, the last one that was
    ``passed`` (nobody waits for it or for an earlier one), and when a writer last got
    its turn (``moved``: nanoseconds of the system's monotonic clock)."""

    next: int = 1
    passed: int = 0
    moved: int = 0


class WriteQueue:
    """The queue of the writers of the SQLite file ``database``."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + SUFFIX)
        self._database = database

    def stand(self) -> Place | None:
        """Take the place after the last; None where no queue can be made."""
        if _NO_LOCKS:
            return None
        try:
            descriptor = _opened(self.path, self._database)
        except OSError:
            return None
        place = Place(descriptor)
        if place.draw():
            return place
        place.leave()
        return None


class Place:
    """One writer's place in the open queue ``file``, held until ``leave``; the kernel
    frees it when its process ends.  A forked process does not share it."""

    def __init__(self, file: int) -> None:
        _ours.add(file)
        self._file = file
        self._home = os.getpid()
        self._number = 0
        self._arrived = time.monotonic()
        self._called: threading.Event | None = None

    def draw(self) -> bool:
        """Get the number after the last; False where the file or its file system
        doesn't allow it."""
        try:
            if not self._enter():
                return False
            try:
                self._number = self._next()
            finally:
                _unlock(self._file, DOOR)
        except OSError:
            return False
        return True

    def await_turn(self, patience: float) -> bool:
        """Wait until there is no earlier place; False when no writer has got its turn
        for ``patience`` seconds."""
        try:
            while not self._is_first():
                left = self._moved() + patience - time.monotonic()
                if left <= 0:
                    return False
                if self._call().wait(min(left, LOOK_AGAIN_SECONDS)):
                    return True
        except OSError:
            return True  # Where the queue fails, SQLite's lock decides.
        return True

    def give_up_at(self, patience: float) -> float:
        """The time on the monotonic clock at which no writer will have got its turn for
        ``patience`` seconds, if none gets it until then."""
        try:
            return self._moved() + patience
        except OSError:
            return self._arrived + patience

    def begun(self) -> None:
        """Note in the file that this place's writer has got its turn."""
        with suppress(OSError):
            # Writers that come later count from when they came.
            if self._state().next > self._number + 1:
                os.pwrite(self._file, _MOVED.pack(time.monotonic_ns()), _MOVED_AT)

    def pass_by(self, begin: Callable[[], None], patience: float) -> bool:
        """Try to write although there are earlier places, because none of them moves;
        False when one just did.  Raises what ``begin`` raises when it can't write.

        If it can write, the earlier places are not writing, and from now on no writer
        waits for them.  Waiting writers try one after the other, so all but the first
        see that the queue moved.
        """
        entered = False
        with suppress(OSError):
            entered = self._enter()
        try:
            if self.give_up_at(patience) > time.monotonic():
                return False
            begin()
            passed = _PASSED.pack(self._number - 1, time.monotonic_ns())
            with suppress(OSError):
                os.pwrite(self._file, passed, _PASSED_AT)
            return True
        finally:
            if entered:
                _unlock(self._file, DOOR)

    def leave(self) -> None:
        """Free the place; may be called twice."""
        file, self._file = self._file, -1
        if file < 0 or self._home != os.getpid():
            return
        # Closing is not enough: a thread waiting in the kernel has the same file open.
        _unlock(file, DOOR, _TO_THE_END)
        _close(file)

    def __del__(self) -> None:
        self.leave()

    def _enter(self) -> bool:
        """Lock the DOOR byte; False when a process that holds it has stopped."""
        give_up = time.monotonic() + DOOR_SECONDS
        while not _try_lock(self._file, DOOR):
            if time.monotonic() > give_up:
                return False
            time.sleep(DOOR_LOOK_SECONDS)
        return True

    def _next(self) -> int:
        state = self._state()
        if not _try_lock(self._file, state.next):
            raise BlockingIOError("somebody wrote into the queue, or emptied it")
        if state == State():
            state_after = _STATE.pack(state.next + 1, 0, 0)
        else:
            state_after = _NEXT.pack(state.next + 1)
        os.pwrite(self._file, state_after, 0)
        return state.next

    def _state(self) -> State:
        data = os.pread(self._file, _STATE.size, 0).ljust(_STATE.size, b"\0")
        state = State(*_STATE.unpack(data))
        # A new file is empty, and whoever may write into it may write anything.
        return state if state.passed < state.next < _MOST_PLACES else State()

    def _moved(self) -> float:
        """When a writer last got its turn, or when this one came, if that is later."""
        moved = self._state().moved / 1e9
        return moved if self._arrived < moved <= time.monotonic() else self._arrived

    def _is_first(self) -> bool:
        first = self._state().passed + 1
        return first >= self._number or _is_free(
            self._file, first, self._number - first
        )

    def _call(self) -> threading.Event:
        """The event that is set when there is no earlier place.  A thread waits for
        that in the kernel, where a wait has no time limit and can't be ended."""
        if self._called is None:
            self._called = threading.Event()
            if _helpers.acquire(blocking=False):
                file = os.dup(self._file)
                _ours.add(file)
                first = self._state().passed + 1
                given = (file, first, self._number, self._called, _helpers)
                threading.Thread(target=_help, args=given, daemon=True).start()
        return self._called


def _help(
    file: int,
    first: int,
    number: int,
    called: threading.Event,
    helpers: threading.BoundedSemaphore,
) -> None:
    try:
        # The place just before is usually the last to be freed, so wait for it alone
        # first.
        _wait(file, number - 1, 1)
        if number - 1 > first:
            _wait(file, first, number - 1 - first)
    except OSError:
        return  # The regular look finds it.
    finally:
        _close(file)
        helpers.release()
    called.set()


def _opened(path: Path, database: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(path, flags)
    except FileNotFoundError:
        file = _made(path, database, flags)
    except PermissionError:
        # A command of another account made the file before this account got the
        # database.
        if database.stat().st_uid != os.geteuid():
            raise
        path.unlink(missing_ok=True)
        file = _made(path, database, flags)
    found = os.fstat(file)
    # A second name could belong to any file of ours, linked here to be overwritten.
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return file
    os.close(file)
    raise FileExistsError(f"{path} is no plain file, or has another name")


def _made(path: Path, database: Path, flags: int) -> int:
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    # Give it the database's owner and mode, as SQLite does with its own files, so that
    # every account that may write to the database may use the queue.
    with suppress(OSError):
        kept = database.stat()
        if os.geteuid() == 0:
            os.fchown(file, kept.st_uid, kept.st_gid)
        os.fchmod(file, 0o660 if kept.st_mode & 0o020 else 0o600)
    return file


def _close(file: int) -> None:
    _ours.discard(file)
    os.close(file)


def _try_lock(file: int, place: int) -> bool:
    try:
        _control(file, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, place, 1)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _wait(file: int, first: int, length: int) -> None:
    _control(file, fcntl.F_OFD_SETLKW, fcntl.F_RDLCK, first, length)


def _is_free(file: int, first: int, length: int) -> bool:
    answer = _control(file, fcntl.F_OFD_GETLK, fcntl.F_RDLCK, first, length)
    return answer == fcntl.F_UNLCK


def _unlock(file: int, first: int, length: int = 1) -> None:
    with suppress(OSError):
        _control(file, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, first, length)


def _control(file: int, act: int, kind: int, first: int, length: int) -> int:
    lock = _FLOCK.pack(kind, os.SEEK_SET, first, length, 0)
    answer: int = _FLOCK.unpack(fcntl.fcntl(file, act, lock))[0]
    return answer


def _forget_parents_places() -> None:
    """Close the queue's files in a forked process; otherwise the parent's places would
    stay locked when the parent ends."""
    global _helpers  # noqa: PLW0603
    for file in _ours:
        with suppress(OSError):
            os.close(file)
    _ours.clear()
    _helpers = threading.BoundedSemaphore(MOST_HELPERS)


os.register_at_fork(after_in_child=_forget_parents_places)
