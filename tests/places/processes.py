"""Processes of a test's own that have the project loaded."""

from __future__ import annotations

import functools
import multiprocessing
from multiprocessing.context import ForkServerContext

# What each of them would import by itself, which takes longer than its work.
LOADED = ["pytest", "tests.actors.writer", "tests.places.filled_vault"]


@functools.cache
def forking() -> ForkServerContext:
    """They are forked from one that has loaded the project and opened nothing, so that
    each has connections and threads of its own, as one that was started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    return context
