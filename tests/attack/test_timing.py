"""Time tells nothing: who exists, who is locked, which address is bound.

``make attack`` compares the medians of many tries.  The suite runs on a machine that does
other work besides, so no clock on a wall is asked: it compares what the site's processes
have computed, and has a mail server say nothing until the page is there.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from statistics import median

from tests.actors.forms import hidden
from tests.actors.target import Target
from tests.actors.visitor import Visitor
from tests.places.site import PASSWORD, Place

TRIES = int(os.environ.get("ATTACK_TRIES", "8"))
MANY = TRIES >= 100
APART = 0.10
# One of two hashes is more than this part of an answer's work.
COMPUTED_APART = 0.50


NEVER_SECONDS = 3600.0


def near(*measured: list[float]) -> bool:
    """Say whether they take about as long."""
    if MANY:
        typical, apart = [median(seconds) for seconds in measured], APART
    else:
        typical, apart = [sum(seconds) for seconds in measured], COMPUTED_APART
    return max(typical) - min(typical) <= apart * max(typical)


def test_unknown_wrong_and_locked_take_as_long(own: Target) -> None:
    """One hash each, whatever the ID is."""
    known, locked = own.new_operator(), own.new_operator()
    visitor = own.stranger()
    for _ in range(5):
        visitor.post("/login", {"login_id": locked, "password": "wrong password 1"})
    spent: dict[str, list[float]] = {known: [], locked: [], "nobody": []}
    for number in range(TRIES):
        for login_id, seconds in spent.items():
            if login_id == known and number % 4 == 3:
                # Four wrong ones and a right one, so that it never locks.
                visitor.post("/login", {"login_id": known, "password": PASSWORD})
                visitor = own.stranger()
            fields = {"login_id": login_id, "password": f"wrong password {number}"}
            fields |= hidden(visitor.get("/login").text, "csrf_token")
            before = own.processor_seconds()
            answer = visitor.send("/login", fields.items())
            computed = own.processor_seconds() - before
            seconds.append(answer.seconds if MANY else computed)
    assert near(*spent.values()), spent


def slow_mail_server(seconds: float) -> tuple[socket.socket, int]:
    """An SMTP server that greets only after a while."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            timer = threading.Timer(seconds, line.close)
            timer.daemon = True
            timer.start()

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


def test_a_bound_address_takes_as_long_as_an_unbound_one(
    tmp_path: Path,
) -> None:
    """With a mail server that takes three seconds for a greeting; in the suite it never
    greets, and both are answered alike."""
    listener, port = slow_mail_server(3 if MANY else NEVER_SECONDS)
    place = Place(tmp_path, mail_port=port).make()
    spent: dict[bool, list[float]] = {True: [], False: []}
    with place.serving("--workers", "1"):
        for number in range(TRIES):
            # Another ID each time: a second mail within a minute is refused.
            login_id = f"operator{number}"
            address, bound = place.add_operator(login_id), number % 2 == 0
            visitor = Visitor(place.url)
            visitor.post("/login", {"login_id": login_id, "password": PASSWORD})
            typed = address if bound else "somebody@example.co.jp"
            answer = visitor.post("/login/email", {"email": typed})
            assert (answer.status, answer.location) == (303, "/login/code")
            spent[bound].append(answer.seconds)
    listener.close()
    assert not MANY or near(*spent.values()), spent
