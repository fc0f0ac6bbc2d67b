"""Holds the type of a clock, the real one, and how a second is shown in Japan's time."""

from __future__ import annotations

import time
from collections.abc import Callable

DAY_SECONDS = 24 * 3600
JAPAN_OFFSET = 9 * 3600
"""Japan's time less UTC, in seconds; Japan has no summer time."""

Clock = Callable[[], int]
"""Gives seconds since 1970 UTC."""


def system_clock() -> int:
    """The machine's time in seconds since 1970 UTC."""
    return int(time.time())


def japan_stamp(at: object) -> str:
    """``at`` (seconds since 1970 UTC) as ``2026-11-23T12:00:00+09:00``: the time of the
    site's pages, with its zone.  An edited row may hold anything; what is no time that a
    calendar has is shown as it is, behind "second"."""
    return shown_in_japan(at, "%Y-%m-%dT%H:%M:%S+09:00")


def shown_in_japan(at: object, pattern: str) -> str:
    """``at`` by a pattern of ``time.strftime``, in Japan's time; else as ``japan_stamp``
    shows what is no time."""
    try:
        if not isinstance(at, int):
            raise TypeError
        return time.strftime(pattern, time.gmtime(at + JAPAN_OFFSET))
    except (OSError, OverflowError, TypeError, ValueError):
        return f"second {at}"


def age(at: int, now: int) -> str:
    """``at`` (seconds since 1970 UTC) as ``japan_stamp`` shows it, with how many whole
    days ago it is at ``now``; a time ahead of ``now`` is 0 days old."""
    days = max(now - at, 0) // DAY_SECONDS
    return f"{japan_stamp(at)}, {days:,} {'day' if days == 1 else 'days'} old"
