"""Names everything the site's log tells of, in one place.

Each happening has a kind, a level and a sentence that never changes; what differs from
one to the next stands beside it as facts, from a fixed list.  None of them is something
that a visitor typed: the trail says who.
"""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum
from typing import TypedDict, Unpack

from vault.card.scrub import one_line, scrub

from .networks import address_of

LINES_A_MINUTE = 10


class Kind(StrEnum):
    """Every kind of happening; docs/operations.md says which of them to alert on."""

    START_REFUSED = "start.refused"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_LOCKED = "login.locked"
    LOGIN_HELD_OFF = "login.held_off"
    REFUSED_HOST = "refused.host"
    REFUSED_SCHEME = "refused.scheme"
    REFUSED_NETWORK = "refused.network"
    REFUSED_PROXY_HOPS = "refused.proxy_hops"
    REFUSED_OTHER_SITE = "refused.other_site"
    PAGES_REFUSED = "pages.refused"
    UNAVAILABLE = "health.unavailable"
    AVAILABLE = "health.ok"
    PAGE_POLICY = "page.policy"
    MAIL_NOT_TAKEN = "mail.not_taken"
    MAIL_GIVEN_UP = "mail.given_up"
    LOCK_WAITED = "lock.waited"
    LOCK_GIVEN_UP = "lock.given_up"
    DATABASE_AWAY = "database.away"
    REQUEST_SLOW = "request.slow"
    REQUEST_FAILED = "request.failed"
    TRAIL_LACKS = "trail.lacks"
    NOT_SAVED = "trail.not_saved"
    LEFT_OVER = "card.left_over"


_INFO, _WARNING, _ERROR = logging.INFO, logging.WARNING, logging.ERROR
SENTENCES: dict[Kind, tuple[int, str]] = {
    Kind.START_REFUSED: (_ERROR, "it is not safe to start"),
    Kind.LOGIN_SUCCEEDED: (_INFO, "somebody logged in"),
    Kind.LOGIN_FAILED: (_WARNING, "a password, code or passkey was wrong"),
    Kind.LOGIN_LOCKED: (_WARNING, "a login ID was locked"),
    Kind.LOGIN_HELD_OFF: (_WARNING, "an address with many failures was held off"),
    Kind.REFUSED_HOST: (_WARNING, "a request to a host not in TRUSTED_HOSTS"),
    Kind.REFUSED_SCHEME: (
        _WARNING,
        "a request over plain http; a proxy in front must send X-Forwarded-Proto",
    ),
    Kind.REFUSED_NETWORK: (_WARNING, "a request from outside ALLOWED_NETWORKS"),
    Kind.REFUSED_PROXY_HOPS: (_WARNING, "a request that PROXY_HOPS does not fit"),
    Kind.REFUSED_OTHER_SITE: (
        _WARNING,
        "a form from another site; if it was this one, the proxy in front changes Host",
    ),
    Kind.PAGES_REFUSED: (_ERROR, "pages are refused; said once a process"),
    Kind.UNAVAILABLE: (_ERROR, "the site can't do its work from now on"),
    Kind.AVAILABLE: (_WARNING, "the site can do its work again"),
    Kind.PAGE_POLICY: (_WARNING, "content security policy"),
    Kind.MAIL_NOT_TAKEN: (_WARNING, "a code mail was not taken"),
    Kind.MAIL_GIVEN_UP: (_ERROR, "a code mail was given up"),
    Kind.LOCK_WAITED: (_WARNING, "a writer waited long for its turn"),
    Kind.LOCK_GIVEN_UP: (_ERROR, "a database was locked or busy too long"),
    Kind.DATABASE_AWAY: (_ERROR, "a database does not answer"),
    Kind.REQUEST_SLOW: (_WARNING, "a request took long"),
    Kind.REQUEST_FAILED: (_ERROR, "a request failed"),
    Kind.TRAIL_LACKS: (_ERROR, "the trail lacks an entry"),
    Kind.NOT_SAVED: (_ERROR, "an entry of the trail tells of what was not saved"),
    Kind.LEFT_OVER: (_ERROR, "left for flask cards reconcile"),
}

# Anybody who can reach the site can cause these as often as they like.
_BY_ANYBODY = frozenset(
    {
        Kind.LOGIN_HELD_OFF,
        Kind.REFUSED_HOST,
        Kind.REFUSED_SCHEME,
        Kind.REFUSED_NETWORK,
        Kind.REFUSED_PROXY_HOPS,
        Kind.REFUSED_OTHER_SITE,
    }
)

# What an entry of the trail is in the log, by its event and its outcome.
_OF_ENTRIES = {
    ("login.logged_in", "success"): Kind.LOGIN_SUCCEEDED,
    ("login.locked", "success"): Kind.LOGIN_LOCKED,
    **{
        (f"login.{way}", "failure"): Kind.LOGIN_FAILED
        for way in ("password", "code", "totp", "passkey")
    },
}

_log = logging.getLogger(__name__)


class Facts(TypedDict, total=False):
    """The facts a happening may have: the ``incident`` number on the page, ``ms``
    milliseconds, the ``origin`` address, the ``page`` (an endpoint's name), the HTTP
    ``status``, the kind of an ``error`` and its ``cause`` in the words of the database
    or of this code, and a mail ``server``."""

    incident: str
    ms: int
    origin: str
    page: str
    status: int
    error: str
    cause: str
    server: str


class Meter:
    """Allows ``most`` lines of each kind a minute, for all threads together, and counts
    those that it left out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._counts: dict[Kind, tuple[int, int]] = {}

    def left_out(self, kind: Kind, now: float) -> int | None:
        """Count a line at ``now`` (seconds).  None when the minute had its most; else
        how many of its kind were left out since the last one that was written."""
        minute = int(now) // 60
        with self._lock:
            then, count = self._counts.get(kind, (minute, 0))
            missed = max(count - self._most, 0) if then != minute else 0
            count = 1 if then != minute else count + 1
            self._counts[kind] = (minute, count)
        return None if count > self._most else missed


_meter = Meter(LINES_A_MINUTE)


def happened(
    kind: Kind, *, trace: BaseException | None = None, **facts: Unpack[Facts]
) -> None:
    """Write one line about a happening; ``trace`` is the error whose traceback follows.

    Of what anybody can cause, each process writes ten lines of a kind a minute, and the
    next minute's first says how many were left out.
    """
    missed = _meter.left_out(kind, time.monotonic()) if kind in _BY_ANYBODY else 0
    if missed is None:
        return
    level, sentence = SENTENCES[kind]
    told = {name: _clean(name, value) for name, value in facts.items()}
    if missed:
        told["left_out"] = missed
    # Whatever format an administrator gives the log, the message has all of it.
    tail = "".join(f" {name}={value}" for name, value in told.items())
    extra = {"kind": kind.value, "sentence": sentence, "facts": told}
    _log.log(level, "%s: %s%s", kind.value, sentence, tail, exc_info=trace, extra=extra)


def entered(event: str, outcome: str, origin: str) -> None:
    """Write the line about an entry of the trail that was just committed, if it is one
    that the log tells of too."""
    kind = _OF_ENTRIES.get((event, outcome))
    if kind is not None:
        happened(kind, origin=origin)


def _clean(name: str, value: object) -> object:
    """A fact for the log.  Behind a proxy that hands on what it was sent the origin
    may be any text, and then none of it is copied."""
    if not isinstance(value, str):
        return value
    if name == "origin":
        address = address_of(value)
        value = "unreadable" if address is None else str(address)
    return scrub(one_line(value))
