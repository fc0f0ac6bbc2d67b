"""Sends letters from threads of its own and tries each again until it is of no use.

The threads start with the first letter.  A letter is never written to disk, so what has
not left when the process ends is lost, and the operator asks for another code.

A letter to nobody only asks the mail server whether it would take one.  It is tried as
often and counts as much as any other, so ``is_late`` says nothing of who gets letters.
"""

from __future__ import annotations

import atexit
import heapq
import itertools
import os
import smtplib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .happenings import Kind, happened

# Seconds to wait before the second, third ... try; the last of them before all others.
WAITS = (1, 2, 4, 8, 16, 30, 60)
SENDERS = 4
DRAIN_SECONDS = 3
MAX_WAITING = 1000
# After how many seconds without a server that takes mail it is called late, and how
# many seconds after the last try in vain that is still known.
LATE_SECONDS = 60
KNOWN_SECONDS = 5 * 60

Tell = Callable[[str, Mapping[str, str]], None]


@dataclass(frozen=True)
class Letter:
    """A mail to ``address``, or to nobody ("").

    It is tried again until ``until`` (seconds of the outbox's clock), and not at all
    once there is a newer one of the same ``login``.  ``tell`` gets its outcome, once:
    "success" when the server took it, else "failure" with the cause.
    """

    address: str
    subject: str
    body: str
    login: str
    until: float
    tell: Tell


class Send(Protocol):
    """Hands a letter to the server.  It calls ``answered`` as soon as the server would
    take a letter, and raises OSError or SMTPException when it takes this one not."""

    def __call__(self, letter: Letter, answered: Callable[[], None]) -> None:
        """Send ``letter``."""


@dataclass(order=True)
class _Waiting:
    """A letter and when it is due; ``number`` is its place among all."""

    due: float
    number: int
    letter: Letter = field(compare=False)
    tries: int = field(compare=False, default=0)


class Outbox:
    """Sends each letter with ``send``; ``server`` is what the log calls the server, and
    ``clock`` gives seconds that never go back."""

    def __init__(
        self, send: Send, server: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._send = send
        self._server = server
        self._changed = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count()
        self._newest: dict[str, int] = {}
        self._busy = 0
        self._ending = False
        self._process = 0
        self._vain_since: float | None = None
        self._vain_at = 0.0

    def put(self, letter: Letter) -> None:
        """Queue a letter and return at once."""
        with self._changed:
            self._begin()
            if len(self._waiting) >= MAX_WAITING:
                happened(Kind.MAIL_GIVEN_UP, cause=f"{MAX_WAITING} are waiting")
                return
            number = next(self._numbers)
            self._newest[letter.login] = number
            heapq.heappush(self._waiting, _Waiting(self.clock(), number, letter))
            self._changed.notify_all()

    def is_late(self) -> bool:
        """Say whether the server has taken nothing for a minute, of whoever's."""
        with self._changed:
            now, since = self.clock(), self._vain_since
            known = now - self._vain_at < KNOWN_SECONDS
            return since is not None and known and now - since >= LATE_SECONDS

    def settle(self, seconds: float | None = None) -> bool:
        """Wait until every letter has left or was given up; False when that takes
        longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._waiting or self._busy), seconds
            )

    def end(self) -> None:
        """Try what is left once more, for three seconds at the most."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if not self.settle(DRAIN_SECONDS):
            happened(Kind.MAIL_GIVEN_UP, cause="the process ended before it left")

    def _begin(self) -> None:
        # Threads don't survive a fork, so each process starts its own.
        if self._process != os.getpid():
            self._process = os.getpid()
            for _ in range(SENDERS):
                threading.Thread(target=self._send_all, daemon=True).start()
            atexit.register(self.end)

    def _send_all(self) -> None:
        while True:
            one = self._take()
            try:
                again = self._try(one)
            except Exception as error:  # noqa: BLE001 - the thread must go on
                happened(Kind.MAIL_GIVEN_UP, error=type(error).__name__)
                again = False
            with self._changed:
                self._busy -= 1
                if again:
                    heapq.heappush(self._waiting, one)
                elif self._newest.get(one.letter.login) == one.number:
                    del self._newest[one.letter.login]
                self._changed.notify_all()

    def _take(self) -> _Waiting:
        """Wait for a letter that is due."""
        with self._changed:
            while True:
                wait = self._waiting[0].due - self.clock() if self._waiting else None
                if wait is not None and (wait <= 0 or self._ending):
                    self._busy += 1
                    return heapq.heappop(self._waiting)
                self._changed.wait(wait)

    def _try(self, one: _Waiting) -> bool:
        """Send a letter; True when it is to be tried again."""
        with self._changed:
            is_newest = self._newest.get(one.letter.login) == one.number
        if not is_newest:
            one.letter.tell("failure", {"cause": "a newer code was asked for"})
            return False
        would_take = False

        def answered() -> None:
            nonlocal would_take
            would_take = True
            self._note(takes_mail=True)

        try:
            self._send(one.letter, answered)
        except (OSError, smtplib.SMTPException) as error:
            if not would_take:
                self._note(takes_mail=False)
            return self._failed(one, error)
        except Exception as error:  # noqa: BLE001 - the cause is told, and others wait
            self._give_up(one, kind(error))
            return False
        one.letter.tell("success", {})
        return False

    def _failed(self, one: _Waiting, error: Exception) -> bool:
        if not one.tries:
            # A letter is logged once, with the error's kind alone: its text may quote it.
            happened(Kind.MAIL_NOT_TAKEN, server=self._server, cause=kind(error))
        one.due = self.clock() + WAITS[min(one.tries, len(WAITS) - 1)]
        one.tries += 1
        if self._ending or is_final(error) or one.due >= one.letter.until:
            self._give_up(one, kind(error))
            return False
        return True

    def _give_up(self, one: _Waiting, cause: str) -> None:
        happened(Kind.MAIL_GIVEN_UP, server=self._server, cause=cause)
        one.letter.tell("failure", {"server": self._server, "cause": cause})

    def _note(self, *, takes_mail: bool) -> None:
        """Note whether the server would take a letter."""
        with self._changed:
            if takes_mail:
                self._vain_since = None
                return
            self._vain_at = self.clock()
            if self._vain_since is None:
                self._vain_since = self._vain_at


def kind(error: Exception) -> str:
    """The kind of a failure and the server's number for it, without its words, which
    may quote the mail."""
    code = _code(error)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def is_final(error: Exception) -> bool:
    """Say whether the same mail would be refused again by the same settings: the server
    has no such address, no such account, or lacks what the settings ask for."""
    if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError):
        return False
    return isinstance(error, smtplib.SMTPNotSupportedError) or _code(error) >= 500


def _code(error: Exception) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((int(code) for code, _ in error.recipients.values()), default=0)
    return int(getattr(error, "smtp_code", 0) or 0)
