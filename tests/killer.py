"""Kills one command again and again, each time before another line of its code."""

from __future__ import annotations

import random
import signal

from tests.forked import Forks, Run
from tests.places.site import Place


class Killer:
    """Runs ``command words`` in ``place``, which may be exchanged for another."""

    def __init__(
        self,
        forks: Forks,
        place: Place,
        *words: str,
        seed: int,
        command: str = "cardvault",
    ) -> None:
        self.place = place
        self.lines = 0
        self._forks = forks
        self._words = words
        self._command = command
        self._draw = random.Random(seed)

    def run(self) -> Run:
        """Once to the end; the longest run says how many lines there are."""
        ran = self._run(0)
        assert ran.returncode == 0, ran.stderr
        self.lines = max(self.lines, ran.lines)
        return ran

    def kill(self, parts: int = 1) -> bool:
        """Once, killed before a random line of the first of ``parts`` of a whole
        run.  False when it ended by itself: the kill before left it less to do."""
        ran = self._run(self._draw.randrange(1, self.lines // parts))
        assert ran.returncode in (0, -signal.SIGKILL), ran.stderr
        return ran.returncode != 0

    def _run(self, kill_before: int) -> Run:
        return self._forks.run(
            *self._words,
            command=self._command,
            folder=self.place.folder,
            kill_before=kill_before,
            **self.place.environ(),
        )
