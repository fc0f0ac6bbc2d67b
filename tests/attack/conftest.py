"""What is attacked: a site of the suite's own, or the owner's at ATTACK_URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller

from tests.desk import Mails
from tests.site import PASSWORD, Place, free_port

from .visitor import Visitor

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WHOSE = "it is not on loopback: say that the host is yours with OWN_HOST=1"


@dataclass
class Target:
    """A site, and what is known of it: its files and mails when it is our own."""

    url: str
    place: Place | None = None
    mails: Mails | None = None
    operators: int = 0

    def stranger(self) -> Visitor:
        """Somebody who has nothing yet."""
        return Visitor(self.url)

    def new_operator(self) -> str:
        """A login ID nobody has used; only on a site of our own."""
        assert self.place is not None
        self.operators += 1
        login_id = f"operator{self.operators}"
        self.place.add_operator(login_id)
        return login_id

    def to_code(self, login_id: str) -> tuple[Visitor, str]:
        """A visitor at the code page, and the code that was mailed."""
        assert self.mails is not None
        visitor = self.stranger()
        visitor.post("/login", {"login_id": login_id, "password": PASSWORD})
        address = f"{login_id}@example.co.jp"
        visitor.post("/login/email", {"email": address})
        return visitor, self.mails.to[address].get(timeout=15)

    def logged_in(self, login_id: str | None = None) -> Visitor:
        """An operator at the list."""
        visitor, code = self.to_code(login_id or self.new_operator())
        assert visitor.post("/login/code", {"code": code}).location == "/cards"
        return visitor


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The owner's site when ATTACK_URL names one, else one started for the suite."""
    url = os.environ.get("ATTACK_URL", "").rstrip("/")
    if url:
        if urlsplit(url).hostname not in LOOPBACK and os.environ.get("OWN_HOST") != "1":
            pytest.exit(f"{url}: {WHOSE}", returncode=2)
        yield Target(url)
        return
    with ExitStack() as stack:
        mails = Mails()
        server = Controller(mails, hostname="127.0.0.1", port=free_port())
        server.start()
        stack.callback(server.stop)
        folder = tmp_path_factory.mktemp("attacked")
        more = {"LOGIN_FAILURES_PER_ORIGIN": "10000"}
        place = Place(folder, mail_port=server.port, more=more).make()
        stack.enter_context(place.serving("--workers", "2"))
        yield Target(place.url, place, mails)


@pytest.fixture
def own(target: Target) -> Target:
    """A site of our own: its databases and its mails can be looked at."""
    if target.place is None:
        pytest.skip("needs a site of its own")
    return target


@pytest.fixture
def stranger(target: Target) -> Visitor:
    """Somebody who has nothing yet."""
    return target.stranger()


@pytest.fixture
def operator(own: Target) -> Callable[[], Visitor]:
    """Makes operators who are logged in."""
    return own.logged_in
