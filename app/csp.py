"""Where browsers report breaches of the content security policy.

Anybody can send a report, so nothing in one is believed: the log says which page
and which directive, in this site's own words, a few times a minute at most.
"""

from __future__ import annotations

import json
import logging
import threading
from urllib.parse import urlsplit

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from .auth import public
from .security import CSP_REPORT_PATH

MAX_REPORT_BYTES = 4096
LINES_A_MINUTE = 10
# What a browser may say was broken (CSP Level 3, section 6): default-src speaks
# for the ones that the policy doesn't name.
DIRECTIVES = frozenset(
    {"default-src", "script-src", "script-src-elem", "script-src-attr"}
    | {"style-src", "style-src-elem", "style-src-attr", "img-src", "font-src"}
    | {"connect-src", "media-src", "object-src", "frame-src", "worker-src"}
    | {"manifest-src", "form-action", "base-uri", "frame-ancestors"}
)
# What it says in place of an address that was blocked (section 5.3).
WORDS = frozenset({"inline", "eval", "wasm-eval", "data", "blob", "filesystem"})

log = logging.getLogger(__name__)


class Meter:
    """Lets ``most`` of them through in each minute, for all threads together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._minute = 0
        self._count = 0

    def allows(self, now: int) -> bool:
        """Count one at ``now`` (seconds); False when its minute is full."""
        with self._lock:
            if now // 60 != self._minute:
                self._minute, self._count = now // 60, 0
            self._count += 1
            return self._count <= self._most


def init_app(app: Flask) -> None:
    """Take reports, from strangers too: the login page is watched like the rest."""
    app.extensions["csp_meter"] = Meter(LINES_A_MINUTE)
    app.add_url_rule(CSP_REPORT_PATH, "csp.report", _take_report, methods=["POST"])
    # A browser sends a report by itself, without a form's token.
    app.extensions["csrf"].exempt(_take_report)


@public
def _take_report() -> tuple[str, int]:
    """204, whatever it says: a sender learns nothing."""
    request.max_content_length = MAX_REPORT_BYTES
    line = _told(request.get_data())
    meter: Meter = current_app.extensions["csp_meter"]
    if line and meter.allows(current_app.extensions["clock"]()):
        log.warning("content security policy: %s", line)
    return "", 204


def _told(body: bytes) -> str | None:
    """What a report says, in our words; None when it isn't about this site."""
    try:
        report = json.loads(body)["csp-report"]
        page = _page(str(report["document-uri"]))
        directive = str(
            report.get("effective-directive") or report["violated-directive"]
        )
        blocked = _blocked(str(report["blocked-uri"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if page is None or directive not in DIRECTIVES:
        return None
    return f"{directive} kept {blocked} from the page {page}"


def _page(address: str) -> str | None:
    """The endpoint of a page of this site; None for any other address."""
    parts = urlsplit(address)
    adapter = current_app.create_url_adapter(request)
    if parts.netloc != request.host or adapter is None:
        return None
    try:
        return str(adapter.match(parts.path, "GET")[0])
    except (HTTPException, RequestRedirect):
        return None


def _blocked(what: str) -> str:
    """Where the blocked thing is from: a host and no more, for an address may hold
    anything."""
    host = what if what in WORDS else urlsplit(what).hostname or ""
    spelled = host.isascii() and host.replace(".", "").replace("-", "").isalnum()
    return host[:80] if spelled else "something"
