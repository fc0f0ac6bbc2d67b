"""Works on the requests of a process one at a time, in the order they came.

A page is mostly Python, and the threads of a process share one interpreter: it goes
round among them, so that of four pages begun together each ends when nearly all four
do, and one of them far later.  In turn the first ends after its own time, and no page
waits for more than those before it.

A turn lasts LONGEST_SECONDS at most.  Who waits for a lock, for the disk or for a far
database longer than that, or computes that long, is then worked on beside the others,
so that a slow search holds nobody up for longer.  A turn ends when the application
returns, before the answer is sent: nobody waits for who reads slowly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

LONGEST_SECONDS = 0.1


class _Turn:
    """One request's: when it began, and when it was over."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.over = threading.Event()


class Turns:
    """A WSGI application whose requests are worked on in turn.

    ``longest`` is how many seconds one keeps the next from beginning.
    """

    def __init__(
        self, application: Application, longest: float = LONGEST_SECONDS
    ) -> None:
        self._application = application
        self._longest = longest
        self._lock = threading.Lock()
        self._last = _Turn()
        self._last.begun.set()
        self._last.over.set()

    def __call__(
        self, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Wait for the turn of this request, then answer it."""
        mine = _Turn()
        with self._lock:
            before, self._last = self._last, mine
        before.begun.wait()
        before.over.wait(self._longest)
        mine.begun.set()
        try:
            return self._application(environ, start_response)
        finally:
            mine.over.set()


def init_app(app: Flask) -> None:
    """Let the site's requests be worked on in turn."""
    app.wsgi_app = Turns(app.wsgi_app)  # type: ignore[method-assign]
