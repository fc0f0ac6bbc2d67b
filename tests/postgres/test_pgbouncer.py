"""A real pgbouncer in transaction mode stands between (LCK-04)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.pgbouncer import POOL, PROGRAM, Bouncer
from tests.places.postgres_cluster import Cluster
from tests.places.site import Place, free_port

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

PAGES = 20
EVERY_REGISTERS = 4
DESKS = 6


@pytest.fixture
def bouncer(server: Cluster) -> Iterator[Bouncer]:
    """A running pgbouncer with two connections to each database."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed")
    with Bouncer(server).running() as bouncer:
        yield bouncer


@pytest.fixture
def place(
    bouncer: Bouncer,
    databases: tuple[str, str],
    tmp_path: Path,
    mails: tuple[Mails, int],
) -> Place:
    """A place made through it, with the operator taro; one URL has the setting that is
    often advised for pgbouncer."""
    site, vault = map(bouncer.url, databases)
    site += "?prepare_threshold=0"
    more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
    place = Place(tmp_path, mail_port=mails[1], more=more).make()
    place.add_operator("taro")
    return place


def desks(places: tuple[Place, ...], mails: Mails) -> list[Desk]:
    """Several browsers of one login, by turns at one process and the other."""
    first = Desk(places[0])
    first.login("taro", mails)
    others = [Desk(places[number % len(places)]) for number in range(1, DESKS)]
    for other in others:
        for cookie in first.jar:
            other.jar.set_cookie(cookie)
    return [first, *others]


def work(desk: Desk) -> list[int]:
    """The list again and again, and every fourth time a registration; the answers."""
    answers = []
    for number in range(PAGES):
        answers.append(desk.ask("/cards").status)
        if number % EVERY_REGISTERS == 0:
            form = desk.filled("/cards", customer_name="A", **CARD)
            sent = desk.ask("/cards", form)
            answers.append(sent.status)
            assert sent.url.endswith("/registered")
    return answers


def test_several_workers_work_behind_one_pgbouncer(
    place: Place, bouncer: Bouncer, mails: tuple[Mails, int]
) -> None:
    """Both show pages and register with two connections for all: what one has prepared
    or set in a session would meet the other there.  The commands work too."""
    # A process works on one request after the other, so it takes three to need more
    # than two connections at once.
    places = (
        place,
        *(dataclasses.replace(place, port=free_port()) for _ in range(POOL)),
    )
    with ExitStack() as sites:
        for one in places:
            sites.enter_context(one.serving("--workers", "1"))
        crowd = desks(places, mails[0])
        with ThreadPoolExecutor(DESKS) as threads:
            answers = [code for codes in threads.map(work, crowd) for code in codes]
        pools = [
            pool for pool in bouncer.say("SHOW POOLS") if pool["user"] != "pgbouncer"
        ]
    registered = DESKS * -(-PAGES // EVERY_REGISTERS)
    assert answers == [200] * (DESKS * PAGES + registered)
    modes = {str(row["pool_mode"]) for row in pools if row["database"] != "pgbouncer"}
    assert modes == {"transaction"}
    of_clients = [int(str(row["cl_active"])) for row in pools]
    assert max(of_clients) > POOL
    for words in (("rotate", "--workers", "2"), ("audit", "verify")):
        done = place.ops(*words)
        assert done.returncode == 0, done.stderr
    verified = place.ops("verify")
    assert verified.stdout.startswith(f"{registered} cards opened"), verified.stderr
    assert place.run("flask", "--app", "wsgi", "cards", "reconcile").returncode == 0
