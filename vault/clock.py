"""The type of a clock, which callers pass to what needs the time, and the real one."""

from __future__ import annotations

import time
from collections.abc import Callable

DAY_SECONDS = 24 * 3600

Clock = Callable[[], int]
"""Gives seconds since 1970 UTC."""


def system_clock() -> int:
    """The machine's time in seconds since 1970 UTC."""
    return int(time.time())
