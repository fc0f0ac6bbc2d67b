"""Shows how far a long command has come, and stops it between two batches."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import click

from ..ops.progress import Step

BAR = 30
# How often a bar is drawn anew.
DRAW_SECONDS = 0.1

Watch = Callable[[Step], None]


class Stop:
    """Catches Ctrl-C and SIGTERM, so that the run ends after its current batch."""

    def __enter__(self) -> Stop:
        self.asked = False
        self._before = {
            number: signal.signal(number, self._note)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def is_asked(self) -> bool:
        """Say whether one of the signals came."""
        return self.asked

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


class Bar:
    """A line on the terminal with a bar, a count, a rate and the time left.

    A run calls it between two pages of a snapshot or while it holds a lease, so it
    never waits for the terminal: what the terminal does not take at once (it was
    stopped with Ctrl-S, say) is not drawn.  ``terminal`` is a descriptor opened with
    O_NONBLOCK, which closing closes; without it nothing is drawn.
    """

    def __init__(self, terminal: int | None) -> None:
        self._terminal = terminal
        self._step: Step | None = None
        self._first = 0
        self._began = self._drawn = 0.0

    def show(self, step: Step) -> None:
        """Draw how far the run has come, in a line of its own for each phase."""
        now = time.monotonic()
        if self._step is None or self._step.phase != step.phase:
            self._end_line()
            self._first, self._began, self._drawn = step.done, now, 0.0
        self._step = step
        if now - self._drawn >= DRAW_SECONDS:
            self._drawn = now
            self._draw(step, now - self._began)

    def close(self) -> None:
        """Draw where the run ended, and close the terminal."""
        self._end_line()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _end_line(self) -> None:
        if self._step is not None:
            self._draw(self._step, time.monotonic() - self._began, "\n")

    def _draw(self, step: Step, seconds: float, end: str = "") -> None:
        if self._terminal is None:
            return
        line = line_of(step, (step.done - self._first) / max(seconds, 0.001))
        with suppress(OSError):
            width = os.get_terminal_size(self._terminal).columns
            # A longer line would go on below, and the next one begin there.
            shown = line[: width - 1] if width else line
            os.write(self._terminal, f"\r{shown}\x1b[K{end}".encode())


def line_of(step: Step, rate: float) -> str:
    """The text of a bar at ``step``, with ``rate`` cards a second."""
    total = max(step.total, step.done, 1)
    done = BAR * step.done // total
    left = f"{(total - step.done) / rate:,.0f} s left" if rate else "- left"
    return (
        f"{step.phase} [{'#' * done}{'.' * (BAR - done)}] "
        f"{step.done:,}/{step.total:,}  {rate:,.0f}/s  {left}"
    )


def _terminal() -> int | None:
    """The terminal that stderr is, opened once more so that writing to it does not
    block; None when it is no terminal or can't be opened."""
    # Setting O_NONBLOCK on stderr itself would set it for the shell too.
    try:
        name = os.ttyname(sys.stderr.fileno())
        return os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None


@contextmanager
def progress() -> Iterator[Bar]:
    """A bar; nothing is shown where stderr is no terminal."""
    bar = Bar(_terminal())
    try:
        yield bar
    finally:
        bar.close()


def follow(steps: Iterator[Step], shown: Bar, stop: Stop) -> bool:
    """Run a phase to its end; False when it was asked to stop."""
    for step in steps:
        shown.show(step)
        if stop.asked:
            return False
    return not stop.asked


@contextmanager
def watching() -> Iterator[Watch]:
    """The function a run calls after each step; it raises Abort when the run was asked
    to stop."""
    with Stop() as stop, progress() as shown:

        def watch(step: Step) -> None:
            shown.show(step)
            if stop.asked:
                raise click.Abort

        yield watch
