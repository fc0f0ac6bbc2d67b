"""The one data key a process seals with: in its memory alone, for a day at most.

Dropped means that nothing in the process refers to it any more and that it can't be
used.  Python can't zero memory: the bytes stay until something else is written there,
at the latest until the process ends.
"""

from __future__ import annotations

import os
import threading
import time
import weakref

from ..crypto import Cipher

DATA_KEY_SECONDS = 24 * 3600


class LiveKey:
    """A data key as the process that minted it holds it."""

    __slots__ = ("cipher", "created_at", "id", "wrapped")

    def __init__(self, key_id: int, cipher: Cipher, wrapped: bytes, now: int) -> None:
        self.id = key_id
        self.cipher = cipher
        self.wrapped = wrapped
        self.created_at = now


class KeyMemory:
    """Holds one live key, sealing or idle, and drops it after a day.

    One timer does that for every key that comes after another: it knows when, and not
    which, so that no key stays in memory for its sake.  A forked process begins empty.
    """

    def __init__(self) -> None:
        self._begin()
        _MEMORIES.add(self)

    def _begin(self) -> None:
        # After a fork another thread's lock is locked for ever, and its timer gone.
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._key: LiveKey | None = None
        self._until = 0.0

    @property
    def key(self) -> LiveKey | None:
        """The live key, if there is one."""
        return self._key

    def keep(self, key: LiveKey) -> None:
        """Hold ``key`` and no other from now on, for a day at most."""
        with self._lock:
            self._key, self._until = key, time.monotonic() + DATA_KEY_SECONDS
            if self._timer is None:
                self._wait(DATA_KEY_SECONDS)

    def drop(self) -> None:
        """Hold none."""
        with self._lock:
            self._key = None

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _look, [weakref.ref(self)])
        self._timer.daemon = True
        self._timer.start()

    def look(self) -> None:
        """Drop the key when its day is over; else wait for the rest of it."""
        with self._lock:
            self._timer, left = None, self._until - time.monotonic()
            if left <= 0:
                self._key = None
            elif self._key is not None:
                self._wait(left)


def _look(memory: weakref.ref[KeyMemory]) -> None:
    """What the timer does; it keeps no vault alive that nobody uses any more."""
    kept = memory()
    if kept is not None:
        kept.look()


_MEMORIES: weakref.WeakSet[KeyMemory] = weakref.WeakSet()


def _begin_all() -> None:
    for memory in _MEMORIES:
        memory._begin()


os.register_at_fork(after_in_child=_begin_all)
