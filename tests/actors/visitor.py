"""A visitor with nothing but HTTP, who holds every response against the rules."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from .answer import Answer
from .forms import hidden

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ALLOWED = {200, 204, 302, 303, 400, 403, 404, 405, 409, 413, 422, 429}
# A machine that runs the whole suite besides is no measure: ``make attack`` says 2.
PATIENCE_SECONDS = float(os.environ.get("ATTACK_PATIENCE", "inf"))
HANGS_SECONDS = 120
TELLTALES = ("Traceback", "sqlalchemy", "site-packages", "werkzeug.", 'File "')


@dataclass
class Visitor:
    """A browser without scripts on ``url``; ``cookies`` are its own."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    allowed: frozenset[int] = frozenset(ALLOWED)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request as it is given, and judge what comes back."""
        given = {"Connection": "close", **(headers or {})}
        if self.cookies:
            given["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        connection, began = self._connect(), time.monotonic()
        try:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
        seconds = time.monotonic() - began
        answer = Answer(
            response.status, self.url + path, response.headers, text, seconds
        )
        self._keep_cookies(answer)
        self._judge(method, path, answer)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page."""
        return self.ask("GET", path, headers=headers)

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | Iterable[tuple[str, str]],
        page: str | None = None,
        **headers: str,
    ) -> Answer:
        """Send a form of ``page`` with its token (and ticket) to ``path``."""
        html = self.get(page or path).text
        pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        given = dict(pairs)
        found = hidden(html, "csrf_token", "ticket")
        pairs += [(name, kept) for name, kept in found.items() if name not in given]
        return self.send(path, pairs, **headers)

    def send(
        self, path: str, pairs: Iterable[tuple[str, str]], **headers: str
    ) -> Answer:
        """Send fields as they are."""
        form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        body = urlencode(list(pairs), errors="surrogatepass")
        return self.ask("POST", path, body, form)

    def _connect(self) -> http.client.HTTPConnection:
        place = urlsplit(self.url)
        host, port = place.hostname or "", place.port
        if place.scheme == "https":
            safe = ssl.create_default_context()
            return http.client.HTTPSConnection(
                host, port, timeout=HANGS_SECONDS, context=safe
            )
        return http.client.HTTPConnection(host, port, timeout=HANGS_SECONDS)

    def _keep_cookies(self, answer: Answer) -> None:
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                flags = line.lower()
                assert "httponly" in flags
                assert "samesite=strict" in flags
                if self.url.startswith("https"):
                    assert name.startswith("__Host-")
                    assert "secure" in flags

    def _judge(self, method: str, path: str, answer: Answer) -> None:
        """WEB-01 and INP-01, on every response ever seen."""
        asked = f"{method} {path[:80]}"
        assert answer.status in self.allowed, f"{asked}: {answer.status}"
        assert answer.headers["Content-Security-Policy"] == CSP, asked
        assert answer.headers["X-Content-Type-Options"] == "nosniff", asked
        assert answer.headers["X-Frame-Options"] == "DENY", asked
        assert answer.headers["Referrer-Policy"] == "same-origin", asked
        if self.url.startswith("https"):
            assert answer.headers["Strict-Transport-Security"], asked
        if "?v=" not in path:
            assert answer.headers["Cache-Control"] == "no-store", asked
        assert not re.search(r"\d\.\d", answer.headers.get("Server", "")), asked
        assert not [word for word in TELLTALES if word in answer.text], asked
        assert answer.seconds < PATIENCE_SECONDS, f"{asked}: {answer.seconds:.1f} s"
