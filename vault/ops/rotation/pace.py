"""Limits a rotation's speed to ``--max-rate``."""

from __future__ import annotations

import time
from collections.abc import Callable

NAP_SECONDS = 0.1


class Pace:
    """Limits a run to ``rate`` cards a second; None sets no limit.  ``stop`` says
    whether the run was asked to end, so that it doesn't go on sleeping then."""

    def __init__(
        self, rate: float | None = None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.stop = stop
        self._rate = rate
        self._began = 0.0
        self._done: int | None = None

    def keep(self, cards: int) -> None:
        """Wait until ``cards`` more are due; the first batch only starts the clock."""
        if self._rate is None:
            return
        if self._done is None:
            self._began, self._done = time.monotonic(), 0
            return
        self._done += cards
        due = self._began + self._done / self._rate
        while not self.stop() and (wait := due - time.monotonic()) > 0:
            time.sleep(min(wait, NAP_SECONDS))
