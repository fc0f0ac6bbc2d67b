"""The primary is killed during a rotation and traffic, and its standby promoted."""

from __future__ import annotations

import re
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.forked import Started, typist
from tests.places.postgres_cluster import PROGRAMS, Cluster
from tests.places.site import ROOT, Place
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

CARDS = 2000
CERTIFIED = "&sslmode=verify-full&sslrootcert=ca.crt"
NAMES = ("site", "vault")
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PATIENCE_SECONDS = 180
EXIT_INTERRUPTED = 3
# What a primary that waits for nobody answers meanwhile is lost with it.
CUT_OFF_SECONDS = 1


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something, for three minutes at most."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def pair() -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with two empty databases, and the standby each commit waits for,
    set as the runbook says."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    primary = Cluster().make()
    primary.say(*(f"CREATE DATABASE {name}" for name in NAMES))
    standby = primary.standby()
    settings = re.findall(r"^(synchronous_\w+ = .+)$", RUNBOOK, re.M)
    assert len(settings) == 2
    primary.say(*(f"ALTER SYSTEM SET {setting}" for setting in settings))
    primary.say("SELECT pg_reload_conf()")
    waiting = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    wait_until(lambda: primary.say(waiting) == [(1,)])
    yield primary, standby
    for cluster in (primary, standby):
        cluster.remove()


def urls(pair: tuple[Cluster, Cluster]) -> dict[str, str]:
    """The databases' URLs in the runbook's form, on these two hosts, which have no
    certificate."""
    more = {}
    for name in ("DATABASE_URL", "VAULT_DATABASE_URL"):
        (url,) = re.findall(rf"^{name}='(.+)'$", RUNBOOK, re.M)
        url = re.sub(r"//\w+@", "//cardsite@", url)
        assert CERTIFIED in url
        url = url.replace(CERTIFIED, "")
        for host, cluster in zip(("db1:5432", "db2:5432"), pair, strict=True):
            assert host in url
            url = url.replace(host, cluster.host)
        more[name] = url
    return more


def fill(place: Place) -> None:
    """Seal many cards at once."""
    url = place.environ()["VAULT_DATABASE_URL"]
    vault = Vault(WebKey.read(place.folder / "web.key"), connect(url), system_clock)
    card = (Pan.parse("4810000000020000"), Expiry(2030, 1))
    with vault.engine.begin() as db:
        vault.tokenize_many(db, [card] * CARDS, Actor("taro", "192.0.2.1"))
    vault.engine.dispose()


class Clerk(threading.Thread):
    """A window of an operator's browser: registers customers until told to stop; a
    form that was not taken is sent again as it is, until it is."""

    def __init__(self, desk: Desk, initial: str, stop: threading.Event) -> None:
        super().__init__()
        self.desk, self.initial, self.stop = desk, initial, stop
        self.answered: list[str] = []
        self.seen: set[int] = set()

    def run(self) -> None:
        """Work."""
        while not self.stop.is_set():
            name = f"{self.initial}{len(self.answered)}"
            try:
                form = self.desk.filled("/cards", customer_name=name, **CARD)
            except urllib.error.HTTPError as refused:
                self.seen.add(refused.code)
                refused.close()
            else:
                self.send(name, form)

    def send(self, name: str, form: dict[str, str]) -> None:
        """One form, until it is answered."""
        while True:
            answer = self.desk.ask("/cards", form)
            self.seen.add(answer.status)
            if answer.url.endswith("/registered"):
                self.answered.append(name)
                return


def rotating(place: Place) -> Started:
    """A rotation in steps so small that it takes a quarter of an hour: what is done
    beside it comes first on any machine."""
    return typist().start(
        *("cardvault", "rotate", "--batch", "2", "--max-rate", "2"),
        folder=place.folder,
        environ=place.environ(VAULT_ROOT_KEY=f"{place.folder}/root.key"),
        log=place.folder / "rotation.log",
    )


def test_a_promoted_standby_has_all_that_was_answered(
    tmp_path: Path, pair: tuple[Cluster, Cluster], mails: tuple[Mails, int]
) -> None:
    """Every registration answered is there and opens, once; nobody is logged out;
    the site goes on by itself and the rotation when typed again (REL-07)."""
    primary, standby = pair
    place = Place(tmp_path, mail_port=mails[1], more=urls(pair)).make()
    fill(place)
    stop = threading.Event()
    place.add_operator("taro")
    with place.serving():
        desk = Desk(place)
        desk.login("taro", mails[0])
        clerks = [Clerk(desk, initial, stop) for initial in "甲乙"]
        for clerk in clerks:
            clerk.start()
        rotation = rotating(place)
        begun = "SELECT count(*) FROM rotation WHERE card_cursor > 0"
        wait_until(lambda: primary.say(begun, database="vault") == [(1,)])
        wait_until(lambda: all(len(clerk.answered) > 4 for clerk in clerks))
        standby.lose_sight()
        time.sleep(CUT_OFF_SECONDS)
        primary.kill()
        standby.promote()
        assert rotation.wait(PATIENCE_SECONDS) == EXIT_INTERRUPTED
        answered = sum(len(clerk.answered) for clerk in clerks)
        wait_until(lambda: sum(len(c.answered) for c in clerks) > answered + 4)
        stop.set()
        for clerk in clerks:
            clerk.join()
        done = place.ops("rotate")
        assert done.returncode == 0, done.stderr
        page = desk.get("/cards.csv")
    assert set().union(*(clerk.seen for clerk in clerks)) <= {200, 503}
    names = [line.partition(",")[0] for line in page.splitlines()[1:]]
    assert sorted(names) == sorted(n for clerk in clerks for n in clerk.answered)
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout
    reconciled = place.run("flask", "--app", "wsgi", "cards", "reconcile")
    # The cards that were sealed at once have no customer; every customer has a card.
    named = [line for line in reconciled.stdout.splitlines() if "\t" in line]
    assert all("no customer refers to it" in line for line in named), named
