"""Formats the output of the commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..card.scrub import one_line


def counted(number: int, thing: str) -> str:
    """A number with its noun: "1 card", "2,000 cards", "3 entries"."""
    many = (
        f"{thing[:-1]}ies"
        if thing.endswith("y") and thing[-2] not in "ae"
        else f"{thing}s"
    )
    return f"{number:,} {thing if number == 1 else many}"


def harmless(text: str) -> str:
    """``text`` as one line that is safe on a terminal: an unchecked name in it can't
    move the cursor, hide text or begin another line."""
    return one_line(" ".join(text.splitlines()))


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """End a listing quietly when its reader goes away, as ``head`` does."""
    try:
        yield
        # A short listing meets the closed pipe only here.
        sys.stdout.flush()
    except BrokenPipeError:
        # Only the rest of the listing is written to it, and nobody reads that.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
