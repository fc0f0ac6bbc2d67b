"""The time, as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives seconds since 1970 UTC."""


def system_clock() -> int:
    """The machine's own clock."""
    return int(time.time())
