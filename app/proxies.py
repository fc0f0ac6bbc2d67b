"""Checks whether PROXY_HOPS fits the proxies in front, and logs why pages are refused.

With PROXY_HOPS=n each of n proxies adds an entry to X-Forwarded-For, so there are at
least n entries.  More entries prove nothing, because a visitor may send some.
"""

from __future__ import annotations

import threading

from werkzeug.datastructures import Headers
from werkzeug.http import parse_list_header

from .happenings import Kind, happened
from .networks import address_of

NEXT = (
    "set PROXY_HOPS to the number of proxies that every request passes, let each "
    "send X-Forwarded-For and X-Forwarded-Proto, let nothing else reach this port, "
    "and start the site anew"
)
NEXT_PLAIN_HTTP = (
    "let the proxy send visitors to https and say so in X-Forwarded-Proto, and let "
    "nothing else reach this port"
)
NEXT_HOST = (
    "add the name that visitors use to TRUSTED_HOSTS, or let the proxy hand on the Host "
    "it gets"
)
NEXT_PORT = "let the proxy hand on Host with its port, in nginx as $http_host"


def fault(headers: Headers, hops: int) -> str:
    """Why a request doesn't fit PROXY_HOPS, or "" when it does.

    ``headers`` are the request's, unchanged.  The text quotes none of them.
    """
    named = headers.get("X-Forwarded-For", "")
    if not hops:
        name = "X-Forwarded-For" if named else "X-Forwarded-Proto"
        return f"PROXY_HOPS is 0, and {name} came" if headers.get(name) else ""
    entries = parse_list_header(named)
    if len(entries) < hops:
        return f"PROXY_HOPS is {hops}, and X-Forwarded-For came with fewer entries"
    if not headers.get("X-Forwarded-Proto"):
        return f"PROXY_HOPS is {hops}, and X-Forwarded-Proto did not come"
    if address_of(entries[-hops]) is None:
        return f"PROXY_HOPS is {hops}, and X-Forwarded-For has no address at its place"
    return ""


class Alarm:
    """Logs each fault once in a process, because every request would repeat it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def tell(self, fault: str, mend: str = NEXT) -> None:
        """Log ``fault``, which is the same for every request that has it, and what to
        do."""
        with self._lock:
            is_new = fault not in self._told
            self._told.add(fault)
        if is_new:
            happened(Kind.PAGES_REFUSED, cause=f"{fault}; {mend}")
