"""Requests of one process are worked on in turn, and none keeps the others waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from app.turns import Turns

FOR_EVER = 600.0
HANGS = 60


class Asked:
    """An application that notes who came in, and keeps each until they may go."""

    def __init__(self, longest: float) -> None:
        self.came: list[str] = []
        self.may_go = {name: threading.Event() for name in "abc"}
        self.turns = Turns(self, longest)
        self._pool = ThreadPoolExecutor(3)

    def __call__(self, environ: Any, _start: Any) -> Iterable[bytes]:
        """Answer with the asker's name, when they may go."""
        name = environ["name"]
        self.came.append(name)
        assert self.may_go[name].wait(HANGS)
        if name == "b":
            raise ValueError(name)
        return [name.encode()]

    def asks(self, name: str) -> Future[Iterable[bytes]]:
        """Send a request and return when it stands in the queue."""
        last = self.turns._last
        asked = self._pool.submit(self.turns, {"name": name}, lambda *_: None)
        _until(lambda: self.turns._last is not last)
        return asked

    def end(self) -> None:
        """Let everybody go."""
        for event in self.may_go.values():
            event.set()
        self._pool.shutdown()


@contextmanager
def asked(longest: float) -> Iterator[Asked]:
    """An application that is left by everybody in the end."""
    application = Asked(longest)
    try:
        yield application
    finally:
        application.end()


def _until(true: Any) -> None:
    stop = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < stop
        time.sleep(0.001)


def test_requests_are_worked_on_in_the_order_they_came() -> None:
    with asked(FOR_EVER) as site:
        first = site.asks("a")
        _until(lambda: site.came)
        second, third = site.asks("b"), site.asks("c")
        assert site.came == ["a"]
        site.may_go["a"].set()
        assert first.result(HANGS) == [b"a"]
        _until(lambda: len(site.came) > 1)
        assert site.came == ["a", "b"]
        site.may_go["b"].set()
        # An error ends a turn as an answer does.
        with pytest.raises(ValueError, match="b"):
            second.result(HANGS)
        site.may_go["c"].set()
        assert third.result(HANGS) == [b"c"]


def test_one_that_takes_long_holds_nobody_up() -> None:
    with asked(0.01) as site:
        slow = site.asks("a")
        _until(lambda: site.came)
        other = site.asks("c")
        site.may_go["c"].set()
        assert other.result(HANGS) == [b"c"]
        assert not slow.done()
        site.may_go["a"].set()
        assert slow.result(HANGS) == [b"a"]


def test_the_next_of_an_answered_one_does_not_wait_for_the_slow_one_again() -> None:
    with asked(FOR_EVER) as site:
        site.turns._longest = 0.01
        slow = site.asks("a")
        _until(lambda: site.came)
        passed = site.asks("c")
        _until(lambda: len(site.came) > 1)
        site.turns._longest = FOR_EVER
        site.may_go["c"].set()
        assert passed.result(HANGS) == [b"c"]
        again = site.asks("c")
        assert again.result(HANGS) == [b"c"]
        assert not slow.done()
