"""SIGTERM while requests are on their way: each is answered."""

from __future__ import annotations

import sqlite3
import time
import urllib.parse
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.site import Place

pytestmark = pytest.mark.faults

# As many as one worker has threads, should they all meet the same.
NAMES = [f"客{letter}" for letter in "甲乙丙丁戊己庚辛"]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PATIENCE_SECONDS = 120


def begin(desk: Desk, body: bytes) -> HTTPConnection:
    """Begin a request whose body is asked for, by a thread that waits for it."""
    way = HTTPConnection("127.0.0.1", desk.place.port, timeout=PATIENCE_SECONDS)
    way.putrequest("POST", "/cards")
    for name, value in (
        ("Cookie", "; ".join(f"{c.name}={c.value}" for c in desk.jar)),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
        ("Expect", "100-continue"),
    ):
        way.putheader(name, value)
    way.endheaders()
    assert way.sock.recv(len(CONTINUE)) == CONTINUE
    return way


def test_sigterm_answers_what_is_on_its_way(
    tmp_path: Path, mails: tuple[Mails, int], open_at: Callable[[Path], Place]
) -> None:
    """Registrations half sent when it comes are all taken, and the site ends with
    exit code 0 (REL-08)."""
    place = open_at(tmp_path)
    desk, log = Desk(place), tmp_path / "gunicorn.log"
    with place.serving() as site:
        desk.login("taro", mails[0])
        forms = [desk.filled("/cards", customer_name=name, **CARD) for name in NAMES]
        bodies = [urllib.parse.urlencode(form).encode() for form in forms]
        ways = [begin(desk, body) for body in bodies]
        site.terminate()
        until = time.monotonic() + PATIENCE_SECONDS
        while "Handling signal: term" not in log.read_text():
            assert time.monotonic() < until
        for way, body in zip(ways, bodies, strict=True):
            way.send(body)
        assert [way.getresponse().status for way in ways] == [303] * len(NAMES)
        for way in ways:
            way.close()
        assert site.wait(PATIENCE_SECONDS) == 0
    with closing(sqlite3.connect(tmp_path / "site.db")) as db:
        stored = [row[0] for row in db.execute("SELECT name FROM customer")]
    assert sorted(stored) == sorted(NAMES)
