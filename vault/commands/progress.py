"""Shows how far a long command has come, and stops it between two batches."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from ..ops.progress import Step

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


def progress() -> Progress:
    """Bars with count, rate and time left; nothing is shown where stderr is no
    terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class Meter:
    """Shows each step of a run, with a bar for each phase."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._phase = ""
        self._task = TaskID(0)
        self._first = 0
        self._began = 0.0

    def __call__(self, step: Step) -> None:
        """Show how far the run has come."""
        if step.phase != self._phase:
            self._phase, self._first = step.phase, step.done
            self._began = time.monotonic()
            self._task = self._shown.add_task(step.phase, total=step.total, rate="-")
        seconds = max(time.monotonic() - self._began, 0.001)
        rate = f"{(step.done - self._first) / seconds:,.0f}"
        self._shown.update(self._task, completed=step.done, total=step.total, rate=rate)


def follow(steps: Iterator[Step], shown: Progress, stop: Stop) -> bool:
    """Run a phase to its end; False when it was asked to stop."""
    meter = Meter(shown)
    for step in steps:
        meter(step)
        if stop.asked:
            return False
    return not stop.asked


@contextmanager
def watching() -> Iterator[Watch]:
    """The function a run calls after each step; it raises Abort when the run was asked
    to stop."""
    with Stop() as stop, progress() as shown:
        meter = Meter(shown)

        def watch(step: Step) -> None:
            meter(step)
            if stop.asked:
                raise click.Abort

        yield watch
