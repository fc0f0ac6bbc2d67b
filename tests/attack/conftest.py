"""What is attacked: a site of the suite's own, or the owner's at ATTACK_URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.actors.mail import Mails, receiving
from tests.actors.target import Target
from tests.actors.visitor import Visitor
from tests.places.site import Place

LOOPBACK = ("127.0.0.1", "localhost", "::1")
WHOSE = "it is not on loopback: say that the host is yours with OWN_HOST=1"


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
        port = stack.enter_context(receiving(mails))
        folder = tmp_path_factory.mktemp("attacked")
        more = {"LOGIN_FAILURES_PER_ORIGIN": "10000"}
        place = Place(folder, mail_port=port, more=more).make()
        site = stack.enter_context(place.serving("--workers", "2"))
        yield Target(place.url, place, mails, master=site.pid)


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
