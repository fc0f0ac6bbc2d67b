"""Requests no browser sends, byte by byte."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

import pytest

from app.security import HEADERS
from tests.actors.target import Target

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: %b\r\n\r\n"
WAIT_SECONDS = 60.0

# Each would be two requests to one reader and one to another.
REQUESTS = {
    "both lengths": b"POST /login HTTP/1.1\r\nHost: %b\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /login HTTP/1.1\r\nHost: %b\r\nContent-Length: 0\r\n"
    b"Content-Length: 44\r\n\r\n",
    "a signed length": b"POST /login HTTP/1.1\r\nHost: %b\r\nContent-Length: +0\r\n\r\n",
    "a negative length": b"POST /login HTTP/1.1\r\nHost: %b\r\nContent-Length: -1\r\n\r\n",
    "a listed length": b"POST /login HTTP/1.1\r\nHost: %b\r\nContent-Length: 0, 44\r\n\r\n",
    "a folded header": b"POST /login HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding:\r\n chunked"
    b"\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"POST /login HTTP/1.1\r\nHost: %b\r\n"
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a strange coding": b"POST /login HTTP/1.1\r\nHost: %b\r\n"
    b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    "a coding twice": b"POST /login HTTP/1.1\r\nHost: %b\r\n"
    b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": b"POST /login HTTP/1.1\r\nHost: %b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk with a sign": b"POST /login HTTP/1.1\r\nHost: %b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "bare line feeds": b"POST /login HTTP/1.1\nHost: %b\nContent-Length: 0\n\n",
    "a NUL in a header": b"GET /login HTTP/1.1\r\nHost: %b\r\nX: a\x00b\r\n\r\n",
    "two hosts": b"GET /login HTTP/1.1\r\nHost: %b\r\nHost: evil.example\r\n\r\n",
}


def spoken(target: Target, request: bytes) -> bytes:
    """Everything the server says to ``request`` until it hangs up or falls silent."""
    place = urlsplit(target.url)
    port = place.port or (443 if place.scheme == "https" else 80)
    with socket.create_connection((place.hostname or "", port), WAIT_SECONDS) as plain:
        line: socket.socket = plain
        if place.scheme == "https":
            safe = ssl.create_default_context()
            line = safe.wrap_socket(plain, server_hostname=place.hostname)
        line.sendall(request)
        said = b""
        try:
            while data := line.recv(65536):
                said += data
        except (TimeoutError, ConnectionError):
            pass
        return said


@pytest.mark.parametrize("kind", sorted(REQUESTS))
def test_a_request_read_two_ways_is_refused(target: Target, kind: str) -> None:
    """What follows it is never answered as a request of its own."""
    host = urlsplit(target.url).netloc.encode()
    request = REQUESTS[kind] + SMUGGLED
    said = spoken(target, request.replace(b"%b", host))
    assert b"\r\n\r\nok\n" not in said
    assert b"HTTP/1.1 200" not in said
    assert b"Traceback" not in said


def test_what_is_no_request_gets_a_page_of_the_sites(target: Target) -> None:
    """In Japanese, with every header, and nothing of what was sent in it (WEB-01)."""
    kept = {name.lower(): value for name, value in HEADERS.items()}
    for line in (b"GET /login", b"PRETEND%b /login HTTP/1.1", b"GET /%b HTTP/9.9"):
        said = spoken(target, line.replace(b"%b", b"-typed-") + b"\r\n\r\n")
        head, _, body = said.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        assert " 400 " in status
        assert headers["cache-control"] == "no-store"
        assert {k: headers[k] for k in kept} == {k: v.lower() for k, v in kept.items()}
        assert "送信内容を受け付けられませんでした。" in body.decode()
        assert b"typed" not in said


def test_a_request_without_a_host_is_refused(target: Target) -> None:
    """It names no site, so it gets none."""
    for version in (b"1.0", b"1.1"):
        said = spoken(
            target, b"GET /login HTTP/%b\r\nConnection: close\r\n\r\n" % version
        )
        assert b" 400 " in said.partition(b"\r\n")[0]


def test_a_long_line_and_many_headers_are_refused(target: Target) -> None:
    """Before they cost anything."""
    host = urlsplit(target.url).netloc.encode()
    long = b"GET /%b HTTP/1.1\r\nHost: %b\r\n\r\n" % (b"x" * 9000, host)
    many = b"GET / HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (host, b"X: y\r\n" * 500)
    for request in (long, many):
        assert spoken(target, request).split(b" ")[1][:1] == b"4"


def test_an_absolute_address_reaches_no_other_host(target: Target) -> None:
    """Nor does the Host header beside it."""
    said = spoken(
        target,
        b"GET http://evil.example/login HTTP/1.1\r\nHost: evil.example\r\n"
        b"Connection: close\r\n\r\n",
    )
    assert b" 400 " in said.partition(b"\r\n")[0]
    assert b"evil.example" not in said
