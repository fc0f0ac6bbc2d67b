"""What the server says to what is no HTTP request (WEB-01, WEB-05).

gunicorn would answer by itself, before any view or guard of ours runs: in English,
without our headers, and with a piece of what was sent in it.
"""

from __future__ import annotations

from http import HTTPStatus

from .errors import PAGES
from .security import HEADERS

PAGE = """<!doctype html>
<html lang="ja"><meta charset="utf-8"><title>{0}</title><p>{0}</p><p>{1}</p></html>
"""


def answer(status: HTTPStatus) -> bytes:
    """A whole response in the words of the site's page for ``status``."""
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
