"""Reports how far a long job has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """How far a phase ("re-encrypt", "read back", "export") has come: cards ``done``
    of ``total``."""

    phase: str
    done: int
    total: int


Watch = Callable[[Step], None]
"""Called after each page; it may raise to stop."""

Tell = Callable[[str, str], None]
"""Called with the token and the problem of a card that is left out."""
