"""The bar that shows how far a long command has come."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from vault.commands.progress import Bar, line_of, progress
from vault.ops.progress import Step

# More than a terminal holds that nobody reads.
MANY = 3000


class Terminal(NamedTuple):
    """A terminal: what is drawn on it, and what reads the drawing."""

    drawn_on: int
    reader: int

    def bar(self) -> Bar:
        """A bar on it."""
        name = os.ttyname(self.drawn_on)
        return Bar(os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))

    def shows(self, end: str) -> str:
        """What was drawn since the last look, up to ``end``, which is waited for."""
        text = ""
        while end not in text:
            text += os.read(self.reader, 65536).decode()
        return text


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal that nobody reads unless they say so."""
    reader, drawn_on = os.openpty()
    yield Terminal(drawn_on, reader)
    os.close(drawn_on)
    os.close(reader)


def test_a_bar_says_how_far_how_fast_and_how_long_still() -> None:
    """The same text at every time but for the numbers."""
    assert line_of(Step("export", 500, 2000), 100.0) == (
        "export [#######.......................] 500/2,000  100/s  15 s left"
    )
    assert line_of(Step("purge", 0, 0), 0.0).endswith("] 0/0  0/s  - left")


def test_each_phase_has_a_line(terminal: Terminal) -> None:
    """The line is drawn over until the phase ends, and then shows its end."""
    bar = terminal.bar()
    for done in (1, 2):
        bar.show(Step("compare", done, 2))
    bar.show(Step("collect", 2, 2))
    bar.close()
    compare, collect, *_ = terminal.shows("collect [").split("\n")
    last = compare.rstrip("\r").rpartition("\r")[2]
    assert last.startswith("compare [")
    assert " 2/2 " in last
    assert collect.startswith("\rcollect [")


def test_a_line_is_never_broken(terminal: Terminal) -> None:
    """On a narrow terminal its end is left out."""
    termios.tcsetwinsize(terminal.drawn_on, (24, 20))
    bar = terminal.bar()
    bar.show(Step("export", 1, 2))
    assert terminal.shows("K") == "\rexport [###########\x1b[K"
    bar.close()


def test_a_stopped_terminal_is_not_waited_for(terminal: Terminal) -> None:
    """As by Ctrl-S; when it goes on, the bar is there again."""
    bar = terminal.bar()
    termios.tcflow(terminal.drawn_on, termios.TCOOFF)
    bar.show(Step("compare", 1, 2))
    bar.show(Step("collect", 1, 2))
    termios.tcflow(terminal.drawn_on, termios.TCOON)
    bar.show(Step("once more", 1, 2))
    bar.close()
    assert "compare [" not in terminal.shows("once more [")


def test_a_terminal_that_nobody_reads_is_not_waited_for(terminal: Terminal) -> None:
    """However much would be drawn."""
    bar = terminal.bar()
    for number in range(MANY):
        bar.show(Step(f"phase {number}", 1, 2))
    bar.close()
    assert terminal.shows("phase 1 ").startswith("\rphase 0 [")


def test_nothing_is_drawn_where_no_terminal_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log file gets no bar."""
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stderr", log)
        with progress() as bar:
            bar.show(Step("export", 1, 2))
    assert (tmp_path / "log").read_bytes() == b""
