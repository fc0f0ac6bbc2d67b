"""Whether the proxies in front are as many as PROXY_HOPS says, and who is told.

With PROXY_HOPS=n each of n proxies has added an entry to X-Forwarded-For, so there
are n of them at least.  More prove nothing, since a visitor may send some.
"""

from __future__ import annotations

import logging
import threading

from werkzeug.datastructures import Headers
from werkzeug.http import parse_list_header

NEXT = (
    "set PROXY_HOPS to the number of proxies that every request passes, let each "
    "send X-Forwarded-For and X-Forwarded-Proto, let nothing else reach this port, "
    "and start the site anew"
)

log = logging.getLogger(__name__)


def fault(headers: Headers, hops: int) -> str:
    """What is wrong between a request and PROXY_HOPS, or "" when nothing is.

    ``headers`` are as they came.  Nothing of what they say is in the answer.
    """
    named = headers.get("X-Forwarded-For", "")
    if not hops:
        name = "X-Forwarded-For" if named else "X-Forwarded-Proto"
        return f"PROXY_HOPS is 0, and {name} came" if headers.get(name) else ""
    if len(parse_list_header(named)) < hops:
        return f"PROXY_HOPS is {hops}, and X-Forwarded-For came with fewer entries"
    if not headers.get("X-Forwarded-Proto"):
        return f"PROXY_HOPS is {hops}, and X-Forwarded-Proto did not come"
    return ""


class Alarm:
    """Tells of each fault once a process: every page says the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def tell(self, fault: str) -> None:
        """Log ``fault``, one that ``fault`` returned, and what to do."""
        with self._lock:
            is_new = fault not in self._told
            self._told.add(fault)
        if is_new:
            log.error("pages are refused: %s; %s", fault, NEXT)
