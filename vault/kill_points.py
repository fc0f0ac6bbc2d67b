"""Names the points of a command's work at which a test may kill it.

Only code inside the process can listen to them, and no code of this package does, so
no setting and no environment variable can end a process of the site.
"""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def kill_point(name: str) -> None:
    """Call every listener with ``name``, the point the work has come to."""
    for listener in _listeners:
        listener(name)


def listen(listener: Callable[[str], None]) -> None:
    """Call ``listener`` with the name of each kill point from now on, in this process
    and in those forked from it."""
    _listeners.append(listener)
