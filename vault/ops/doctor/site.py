"""Asks the site through its public address and says what a visitor's browser gets."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...clock import DAY_SECONDS, japan_stamp
from ...errors import InputError
from .result import CheckResult, Installation, cause_of, fault, ok, unknown, warning

SECONDS = 10
CERTIFICATE_DAYS = 21
BODY_BYTES = 256 * 1024
MODERN = ("TLSv1.2", "TLSv1.3")
# Sixteen digits of no brand: no scan of the proxy's log takes them for a card.
NUMBER = "0123456789012345"
ONCE = (
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "Referrer-Policy",
)
_TOKEN = re.compile(rb'name="csrf_token"[^>]*value="([^"]+)"')
_NETWORK = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Address:
    """A site's public address, taken apart."""

    secure: bool
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read ``https://host[:port]``; raises InputError for anything else."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise InputError("--url", "is no address") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise InputError("--url", "give it as https://cards.example.jp")
        secure = parts.scheme == "https"
        return cls(secure, parts.hostname, port or (443 if secure else 80))

    def open(self) -> http.client.HTTPConnection:
        """A connection, not yet made; certificates are checked."""
        if self.secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=SECONDS, context=context
            )
        return http.client.HTTPConnection(self.host, self.port, timeout=SECONDS)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every header of that name."""
        return self.headers.get_all(name) or []


def ask(address: Address, path: str) -> Answer:
    """GET ``path``; no redirect is followed.  Raises OSError or HTTPException."""
    connection = address.open()
    try:
        connection.request("GET", path, headers={"User-Agent": "cardvault doctor"})
        got = connection.getresponse()
        return Answer(got.status, got.headers, got.read(BODY_BYTES))
    finally:
        connection.close()


def through(url: str, here: Installation) -> Iterator[CheckResult]:
    """Everything that can be seen of the site at ``url``.  Raises InputError when it is
    no address."""
    address = Address.parse(url)
    try:
        page = ask(address, "/login")
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "refused"
        yield fault(
            "site TLS", f"{address.host}: {reason}", "renew or mend the certificate"
        )
        return
    except _NETWORK as error:
        yield fault(
            "site",
            f"{url} does not answer: {cause_of(error)}",
            "is the proxy up, the name right?",
        )
        return
    if address.secure:
        yield from _seen("site certificate", _certificate(address, here.clock()))
        yield from _seen("site redirect", _redirect(address))
        yield from _once("Strict-Transport-Security", page)
    else:
        yield warning(
            "site TLS", f"{url} is plain http", "give the https address of the site"
        )
    yield from _seen("site login", _page(address, page))
    yield from _seen("site health", _health(address))
    yield from _seen("site numbers", _numbers(address))
    yield unknown(
        "site visitors",
        "whether the proxy says who asks (X-Forwarded-For) can't be told from outside",
        "log in, and see your own address in: cardvault audit list",
    )


def _seen(name: str, results: Iterator[CheckResult]) -> Iterator[CheckResult]:
    """What one part of the site shows; when it does not answer, the next is asked."""
    try:
        yield from results
    except _NETWORK as error:
        yield unknown(name, f"can't be told: {error or type(error).__name__}")


def _certificate(address: Address, now: int) -> Iterator[CheckResult]:
    context = ssl.create_default_context()
    with (
        socket.create_connection((address.host, address.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as wrapped,
    ):
        version, found = wrapped.version() or "", wrapped.getpeercert() or {}
    if version in MODERN:
        yield ok("site TLS", f"{version}, the certificate is trusted")
    else:
        yield fault(
            "site TLS", f"{version} is broken", "ssl_protocols TLSv1.2 TLSv1.3;"
        )
    ends = int(ssl.cert_time_to_seconds(str(found.get("notAfter", ""))))
    days = (ends - now) // DAY_SECONDS
    said = f"good until {japan_stamp(ends)}, {days} days"
    if days < CERTIFICATE_DAYS:
        yield warning("site certificate", said, "renew it, and see why nothing did")
    else:
        yield ok("site certificate", said)


def _redirect(address: Address) -> Iterator[CheckResult]:
    name, plain = "site redirect", Address(secure=False, host=address.host, port=80)
    try:
        answer = ask(plain, "/login")
    except _NETWORK:
        yield ok(name, "nothing answers plain http on port 80")
        return
    leads = str(answer.headers.get("Location", ""))
    if answer.status in (301, 302, 307, 308) and leads.startswith("https://"):
        yield ok(name, f"plain http leads to https ({answer.status})")
    else:
        yield fault(
            name,
            f"plain http is answered with {answer.status}",
            "return 301 https://$host$request_uri;",
        )


def _page(address: Address, page: Answer) -> Iterator[CheckResult]:
    """What the login page's answer shows."""
    if page.status != http.client.OK:
        yield fault(
            "site login",
            f"/login answers {page.status}",
            "see the site's log; TRUSTED_HOSTS and PROXY_HOPS say what is refused",
        )
        return
    yield ok("site login", "/login answers 200")
    yield from _cookies(address, page)
    for name in ONCE:
        yield from _once(name, page)
    yield from _cache(address, page)
    server = str(page.headers.get("Server", ""))
    if re.search(r"\d", server):
        yield warning(
            "site server", f"the proxy says it is {server}", "server_tokens off;"
        )


def _cookies(address: Address, page: Answer) -> Iterator[CheckResult]:
    cookies = page.all("Set-Cookie")
    if not cookies:
        yield unknown("site cookies", "/login sets none")
    for cookie in cookies:
        name = cookie.partition("=")[0]
        flags = {part.strip().lower() for part in cookie.split(";")[1:]}
        wanted = {"httponly", "samesite=strict"} | (
            {"secure"} if address.secure else set()
        )
        missing = wanted - flags
        if missing:
            yield fault(
                "site cookies",
                f"{name} lacks {', '.join(sorted(missing))}",
                "the site sets them; see what the proxy takes away",
            )
        else:
            yield ok("site cookies", f"{name} is {', '.join(sorted(wanted))}")


def _once(name: str, page: Answer) -> Iterator[CheckResult]:
    found = page.all(name)
    if len(found) == 1:
        yield ok(f"site {name}", found[0][:60])
    elif not found:
        yield warning(
            f"site {name}",
            "did not come",
            "the site sends it; let the proxy pass it on",
        )
    else:
        yield warning(
            f"site {name}",
            f"came {len(found)} times",
            "the site sends it; take it out of the proxy's settings",
        )


def _cache(address: Address, page: Answer) -> Iterator[CheckResult]:
    """Ask a second time: a page out of a cache would have the same form's token."""
    name, mend = "site cache", "let the proxy keep no answer (proxy_cache off;)"
    again = ask(address, "/login")
    first, second = (_TOKEN.search(answer.body) for answer in (page, again))
    if "no-store" not in str(page.headers.get("Cache-Control", "")):
        yield fault(name, "/login came without Cache-Control: no-store", mend)
    elif again.all("Age") or (first and second and first[1] == second[1]):
        yield fault(name, "/login came out of a cache", mend)
    else:
        yield ok(name, "/login is made anew each time, no-store")


def _health(address: Address) -> Iterator[CheckResult]:
    health = ask(address, "/healthz")
    said = f"/healthz answers {health.status}"
    if health.status == http.client.OK:
        yield ok("site health", said)
    else:
        yield fault("site health", said, "cardvault doctor on the web host; its log")


def _numbers(address: Address) -> Iterator[CheckResult]:
    # Who has no login is led to it before the search is looked at.
    refused = ask(address, f"/cards?q={NUMBER}")
    leads = str(refused.headers.get("Location", ""))
    if refused.status >= http.client.MULTIPLE_CHOICES and NUMBER not in leads:
        yield ok("site numbers", "an address with a number in it leads nowhere with it")
    else:
        yield fault(
            "site numbers",
            f"an address with a number in it is answered with {refused.status}",
            "is this the site of this version?",
        )
