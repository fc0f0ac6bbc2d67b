"""Time tells nothing: who exists, who is locked, which address is bound.

``make attack`` compares the medians of many tries. The suite compares the fastest
of a few and allows more: what else a machine does can make a try slower, and the
fastest is the one that it disturbed least.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from statistics import median

from tests.actors.target import Target
from tests.actors.visitor import Visitor
from tests.places.site import PASSWORD, Place

TRIES = int(os.environ.get("ATTACK_TRIES", "8"))
MANY = TRIES >= 100
APART = 0.10 if MANY else 0.60


def near(*measured: list[float]) -> bool:
    """Say whether they take about as long."""
    typical = [median(seconds) if MANY else min(seconds) for seconds in measured]
    return max(typical) - min(typical) <= APART * max(typical)


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
            seconds.append(visitor.post("/login", fields).seconds)
    assert near(*spent.values()), {k: median(v) for k, v in spent.items()}


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
    """With a mail server that takes three seconds for a greeting."""
    listener, port = slow_mail_server(3)
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
            spent[bound].append(answer.seconds)
    listener.close()
    assert near(*spent.values()), {k: median(v) for k, v in spent.items()}
