"""Meets visitors who come by a link from another site.

The session cookie is SameSite=Strict, so a browser leaves it out when a link on
another site leads here.  The site would take an operator for a stranger, show the login
page and set a new cookie over the one of the other tab, which ends the login there.
Instead such a request is answered with a page that asks for the same address again:
the second request comes from this site's own page and carries the cookie, if there is
one.  Only pages are asked for in this way, and opening a page changes nothing.
"""

from __future__ import annotations

from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue


def init_app(app: Flask) -> None:
    """Meet visitors from other sites before the guard asks who they are."""
    app.before_request(_meet)


def _meet() -> ResponseReturnValue | None:
    """Ask for the address again when the browser left the cookie out."""
    crossed = request.headers.get("Sec-Fetch-Site") == "cross-site"
    opens_a_page = request.headers.get("Sec-Fetch-Mode") == "navigate"
    if not (crossed and opens_a_page and request.method in ("GET", "HEAD")):
        return None
    if request.endpoint is None or current_app.config["SESSION_COOKIE_NAME"] in (
        request.cookies
    ):
        return None
    return render_template("arrival.html")
