"""Answers requests that gunicorn can't parse (WEB-01, WEB-05).

No view or guard of ours sees such a request.  gunicorn's own answer is in English, has
none of our headers and quotes a piece of what was sent.
"""

from __future__ import annotations

from http import HTTPStatus

from .errors import PAGES
from .security import HEADERS

PAGE = """<!doctype html>
<html lang="ja"><meta charset="utf-8"><title>{0}</title><p>{0}</p><p>{1}</p></html>
"""


def answer(status: HTTPStatus) -> bytes:
    """A complete HTTP response with the texts of the site's page for ``status``."""
    body = PAGE.format(*PAGES[status]).encode()
    headers = {
        **HEADERS,
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    lines = [f"HTTP/1.1 {status} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
