"""Runs several worker processes of one command, for a machine's cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Generator

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...errors import VaultError
from .worker import Tally, Worker

LOOK_SECONDS = 0.1

# Makes a process's worker, which counts into the tally and stops when the function
# says.
Hire = Callable[[Tally, Callable[[], bool]], Worker]


class Crew:
    """``count`` worker processes, which run from entering the block to its end.

    They are forked, so that the root key reaches them through memory alone, and before
    this process has a thread or a connection they could share.  Each ends when no range
    is free; or after its batch when ``stop`` says so, when this process leaves the
    block, or when this process has ended.
    """

    def __init__(
        self,
        engine: Engine,
        count: int,
        hire: Hire,
        size: int,
        stop: Callable[[], bool],
    ) -> None:
        fork = multiprocessing.get_context("fork")
        self._engine = engine
        self._hire = hire
        self._size = size
        self._stop = stop
        self._home = os.getpid()
        self.tallies: list[Tally] = [fork.RawValue(Tally) for _ in range(count)]
        self._workers = [
            fork.Process(target=self._work, args=(tally,)) for tally in self.tallies
        ]

    def __enter__(self) -> Crew:
        self._engine.dispose()
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()

    def is_at_work(self) -> bool:
        """Say whether any of the processes is running."""
        return any(worker.is_alive() for worker in self._workers)

    def _work(self, tally: Tally) -> None:
        def stop() -> bool:
            return self._stop() or os.getppid() != self._home

        steps = self._hire(tally, stop).run(self._size)
        try:
            for _ in steps:
                if stop():
                    break
            steps.close()
        except (VaultError, SQLAlchemyError):
            # Exit silently: the parent will try the remaining ranges, meet the same
            # error and report it.
            sys.exit(1)


def at_work(worker: Worker, size: int, crew: Crew | None) -> Generator[None]:
    """Wait while the crew works; then, or without one, work until no range is free."""
    while crew is not None and crew.is_at_work():
        time.sleep(LOOK_SECONDS)
        yield
    yield from worker.run(size)
