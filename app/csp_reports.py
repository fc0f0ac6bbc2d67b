"""Takes browsers' reports of breaches of the content security policy.

Anybody can send a report, so nothing of it is copied into the log: the log names the
page and the directive in this site's own words, a few times a minute at most.
"""

from __future__ import annotations

import json
import threading
from urllib.parse import urlsplit

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from . import current
from .auth import public
from .happenings import Kind, happened
from .security import CSP_REPORT_PATH

MAX_REPORT_BYTES = 4096
LINES_A_MINUTE = 10
# The directives a browser may report (CSP Level 3, section 6).  It reports one by its
# own name even if only default-src is in the policy.
DIRECTIVES = frozenset(
    {"default-src", "script-src", "script-src-elem", "script-src-attr"}
    | {"style-src", "style-src-elem", "style-src-attr", "img-src", "font-src"}
    | {"connect-src", "media-src", "object-src", "frame-src", "worker-src"}
    | {"manifest-src", "form-action", "base-uri", "frame-ancestors"}
)
# The words it may report instead of a blocked address (section 5.3).
WORDS = frozenset({"inline", "eval", "wasm-eval", "data", "blob", "filesystem"})


class Meter:
    """Allows ``most`` reports in each minute, for all threads together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._minute = 0
        self._count = 0

    def allows(self, now: int) -> bool:
        """Count a report at ``now`` (seconds); False when the minute had its most."""
        with self._lock:
            if now // 60 != self._minute:
                self._minute, self._count = now // 60, 0
            self._count += 1
            return self._count <= self._most


def init_app(app: Flask) -> None:
    """Add the address for reports.  Strangers may send them, because the login page has
    the policy too."""
    app.extensions["csp_meter"] = Meter(LINES_A_MINUTE)
    app.add_url_rule(CSP_REPORT_PATH, "csp.report", _take_report, methods=["POST"])
    # A browser sends a report without a form's token.
    app.extensions["csrf"].exempt(_take_report)


@public
def _take_report() -> tuple[str, int]:
    """Answer 204 whatever the report says, so that the sender learns nothing."""
    request.max_content_length = MAX_REPORT_BYTES
    line = _told(request.get_data())
    meter: Meter = current_app.extensions["csp_meter"]
    if line and meter.allows(current.now()):
        happened(Kind.PAGE_POLICY, cause=line)
    return "", 204


def _told(body: bytes) -> str | None:
    """A report in our words; None when it isn't about this site."""
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
    """The endpoint of the page at ``address``; None when it is none of this site's."""
    parts = urlsplit(address)
    adapter = current_app.create_url_adapter(request)
    if parts.netloc != request.host or adapter is None:
        return None
    try:
        return str(adapter.match(parts.path, "GET")[0])
    except (HTTPException, RequestRedirect):
        return None


def _blocked(what: str) -> str:
    """The host of what was blocked, or one of WORDS; the rest of an address may hold
    anything and is left out."""
    host = what if what in WORDS else urlsplit(what).hostname or ""
    spelled = host.isascii() and host.replace(".", "").replace("-", "").isalnum()
    return host[:80] if spelled else "something"
