"""An operator without scripts, over real HTTP."""

from __future__ import annotations

import time
import urllib.parse
import urllib.request
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from urllib.error import HTTPError

from tests.places.site import PASSWORD, Place

from .answer import Answer
from .forms import csrf, hidden
from .mail import Mails

PATIENCE_SECONDS = 120


class Desk:
    """An operator without scripts."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.jar = CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self.opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        """A page."""
        return self.send(path).text

    def filled(self, page: str, **fields: str) -> dict[str, str]:
        """What the form of a page sends with ``fields`` filled in."""
        html = self.get(page)
        return fields | {"csrf_token": csrf(html)} | hidden(html, "ticket", "rev")

    def post(self, page: str, path: str, **fields: str) -> str:
        """Send the form of a page; returns the address it led to."""
        return self.send(path, self.filled(page, **fields)).url

    def send(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """Ask for a page, or send ``fields``; raises HTTPError when refused."""
        data = urllib.parse.urlencode(fields).encode() if fields else None
        url, began = self.place.url + path, time.monotonic()
        with self.opener.open(url, data, timeout=PATIENCE_SECONDS) as answer:
            return _read(answer.status, answer, began)

    def ask(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """The same, whatever the answer is."""
        began = time.monotonic()
        try:
            return self.send(path, fields)
        except HTTPError as refused:
            with refused:
                return _read(refused.code, refused, began)

    def login(self, login_id: str, mails: Mails) -> None:
        """Go all the steps."""
        self.post("/login", "/login", login_id=login_id, password=PASSWORD)
        self.post("/login/email", "/login/email", email=f"{login_id}@example.co.jp")
        code = mails.code()
        assert self.post("/login/code", "/login/code", code=code).endswith("/cards")


def _read(status: int, answer: HTTPResponse | HTTPError, began: float) -> Answer:
    text, seconds = answer.read().decode(), time.monotonic() - began
    return Answer(status, answer.url, answer.headers, text, seconds)
