"""What comes back from a site over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """How a request ended: ``url`` is where it led in the end, ``seconds`` how long
    it took."""

    status: int
    url: str
    headers: Message
    text: str
    seconds: float

    @property
    def location(self) -> str:
        """Where a redirect that nobody followed leads, as a path."""
        return urlsplit(self.headers.get("Location", "")).path
