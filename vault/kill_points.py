"""Named instants of a command's work, so that a test can cut it off there.

Nothing listens to them but what code inside the process has put here, and no code
of this package does: no setting and no environment can end a site's process.
"""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def instant(name: str) -> None:
    """Tell whoever listens that the work has come to ``name``."""
    for listener in _listeners:
        listener(name)


def listen(listener: Callable[[str], None]) -> None:
    """Call ``listener`` with the name of each instant from now on, in this process
    and in those forked from it."""
    _listeners.append(listener)
