"""Records what a login does in the audit trail: who, from where and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vault import Actor

from .models import Login

# The subject of an entry about a login ID that doesn't exist.
NOBODY = "unknown"


@dataclass(frozen=True)
class Trace:
    """What a request's entries in the trail need: the function that records them
    (``Work.record``), where the request came from and when (seconds since 1970 UTC)."""

    enter: Callable[..., None]
    origin: str
    now: int

    def record(
        self,
        event: str,
        name: str,
        outcome: str = "success",
        *,
        person: str = "",
        detail: Mapping[str, str] | None = None,
    ) -> None:
        """Record a login event; ``name`` is a login ID that exists, or NOBODY, and
        ``person`` who acted, if that is somebody else."""
        by = Actor(person or name, self.origin)
        self.enter(event, by, outcome=outcome, subject=name, detail=detail)

    def record_of(
        self, event: str, login: Login, detail: Mapping[str, str] | None = None
    ) -> None:
        """Record what the person of ``login`` did."""
        name = login.operator.login_id
        self.record(event, name, person=login.person, detail=detail)
