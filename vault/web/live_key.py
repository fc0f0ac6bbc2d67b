"""Holds the data key that a process seals with, in memory alone and for a day at most.

Dropping a key means that nothing in the process refers to it and that it can't be
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
    """A data key in the memory of the process that minted it."""

    __slots__ = ("cipher", "created_at", "id", "wrapped")

    def __init__(self, key_id: int, cipher: Cipher, wrapped: bytes, now: int) -> None:
        self.id = key_id
        self.cipher = cipher
        self.wrapped = wrapped
        self.created_at = now


class KeyMemory:
    """Holds one live key, sealing or idle, and drops it after a day.

    One timer serves all keys that follow one another.  It refers to no key, so that it
    keeps none in memory.  A forked process begins without a key.
    """

    def __init__(self) -> None:
        self._begin()
        _MEMORIES.add(self)

    def _begin(self) -> None:
        # After a fork a lock that another thread held stays locked, and the timer is
        # gone.
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._key: LiveKey | None = None
        self._until = 0.0

    @property
    def key(self) -> LiveKey | None:
        """The live key, or None."""
        return self._key

    def keep(self, key: LiveKey) -> None:
        """Hold ``key`` instead of any other, for a day at most."""
        with self._lock:
            self._key, self._until = key, time.monotonic() + DATA_KEY_SECONDS
            if self._timer is None:
                self._wait(DATA_KEY_SECONDS)

    def drop(self) -> None:
        """Hold no key."""
        with self._lock:
            self._key = None

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _look, [weakref.ref(self)])
        self._timer.daemon = True
        self._timer.start()

    def look(self) -> None:
        """Drop the key when its day is over; else set the timer for the rest of it."""
        with self._lock:
            self._timer, left = None, self._until - time.monotonic()
            if left <= 0:
                self._key = None
            elif self._key is not None:
                self._wait(left)


def _look(memory: weakref.ref[KeyMemory]) -> None:
    """The timer's function; its weak reference keeps no unused vault alive."""
    kept = memory()
    if kept is not None:
        kept.look()


_MEMORIES: weakref.WeakSet[KeyMemory] = weakref.WeakSet()


def _begin_all() -> None:
    for memory in _MEMORIES:
        memory._begin()


os.register_at_fork(after_in_child=_begin_all)
