"""SIGKILL before any line of a key's rotation: the same command finishes the work."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.forked import Forks, Run
from tests.kill_points import points_in
from tests.lengths import at_length
from tests.places.filled_vault import fill
from tests.places.site import Place
from tests.places.vault import EXPIRY, VISA
from vault import Actor, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = pytest.mark.faults

# ROOT_KILLS=300 is how often an owner may want to see each of them once.
KILLS = int(os.environ.get("ROOT_KILLS", at_length(18, 60)))
ABANDON_STEPS = [
    step
    for step in points_in("vault/ops/root_rotation.py")
    if step.startswith("root-abandon")
]
RECOVER_STEPS = points_in("vault/ops/web_key_recovery.py")
CARDS = 5


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with some cards and a rotation behind it, to be copied: it has keys of
    both sides and rows of the root's."""
    place = Place(tmp_path_factory.mktemp("filled")).make()
    fill(place, CARDS)
    assert place.ops("rotate").returncode == 0
    fill_one_more(place)
    return place


def fill_one_more(place: Place) -> None:
    """A card under a key that the site minted, still live."""
    engine = connect(place.environ()["VAULT_DATABASE_URL"])
    vault = Vault(WebKey.read(place.folder / "web.key"), engine, system_clock)
    with engine.begin() as db:
        vault.tokenize(db, Pan.parse(VISA), EXPIRY, Actor("taro", "192.0.2.1"))
    engine.dispose()


class Killing:
    """One place after the other, and a command killed on each until it is done."""

    def __init__(self, filled: Place, folder: Path, forks: Forks) -> None:
        self._filled = filled
        self._folder = folder
        self._forks = forks
        self._number = 0
        self.begin()

    def begin(self) -> None:
        """Go over to a fresh copy."""
        self._number += 1
        self.place = Place(self._folder / str(self._number))
        shutil.copytree(self._filled.folder, self.place.folder)

    def run(self, *words: str, kill_before: int = 0, keys: str = "") -> Run:
        """Run ``cardvault`` there, with the key files whose names end in ``keys``."""
        more = self.place.environ(
            VAULT_ROOT_KEY=f"{self.place.folder}/root.key{keys}",
            VAULT_WEB_KEY=f"{self.place.folder}/web.key{keys}",
        )
        folder = self.place.folder
        return self._forks.run(*words, folder=folder, kill_before=kill_before, **more)


@pytest.fixture
def killing(filled: Place, tmp_path: Path, forks: Forks) -> Killing:
    """Forks, and copies to kill them on."""
    return Killing(filled, tmp_path, forks)


ROOT = ("root", "rotate")
FINALIZE = (*ROOT, "--finalize")
ABANDON = (*ROOT, "--abandon")
WEB_KEY = ("web-key", "rotate")


@pytest.mark.parametrize(
    ("before", "words", "keys"),
    [
        ([], ROOT, ""),
        ([ROOT], FINALIZE, ".new"),
        ([ROOT], ABANDON, ""),
        ([], WEB_KEY, "web"),
    ],
    ids=["prepare", "finalize", "abandon", "web-key"],
)
def test_killed_before_any_line_the_same_command_finishes_the_work(
    killing: Killing, before: list[tuple[str, ...]], words: tuple[str, ...], keys: str
) -> None:
    """Random lines of those a whole run executes, some on what the kill before
    has left; verify finds nothing wrong after each and a half-done one is said."""
    draw = random.Random(str(words))
    for first in before:
        assert killing.run(*first).returncode == 0
    whole = killing.run(*words)
    assert whole.returncode == 0, whole.stderr
    for number in range(KILLS):
        # Every third goes on with what the kill before has left.
        if number % 3 == 0:
            killing.begin()
            for first in before:
                assert killing.run(*first).returncode == 0
        line = draw.randrange(1, whole.lines + 1)
        killed = killing.run(*words, kill_before=line)
        if number % 3 == 2:
            if killed.returncode != 0:
                assert killed.returncode == -signal.SIGKILL or words == ABANDON
            finish(killing, words, keys)


def finish(killing: Killing, words: tuple[str, ...], keys: str) -> None:
    """Run the command to its end, and hold everything against the trail."""
    status = killing.run("status")
    done = killing.run(*words)
    nothing_left = words == ABANDON and "no new root" in done.stderr
    assert done.returncode == 0 or nothing_left, (done.stderr, status.stdout)
    if keys == "web":
        folder = killing.place.folder
        (folder / "web.key.new").replace(folder / "web.key")
        keys = ""
    verified = killing.run("verify", keys=keys)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    if words == ABANDON:
        assert not list(killing.place.folder.glob("*.new"))


@pytest.mark.parametrize("step", ABANDON_STEPS)
def test_abandon_killed_at_a_step_is_finished_by_the_same_command(
    filled: Place, tmp_path: Path, step: str
) -> None:
    """The wrappings go in one transaction, the files after it."""
    place = Place(tmp_path / "place")
    shutil.copytree(filled.folder, place.folder)
    assert place.ops(*ROOT).returncode == 0
    assert place.ops(*ABANDON, kill_at=step).returncode == -signal.SIGKILL
    done = place.ops(*ABANDON)
    assert (done.returncode, "is given up" in done.stdout) == (0, True)
    assert not list(place.folder.glob("*.new"))
    assert place.ops("verify").returncode == 0
    assert place.ops(*ROOT).returncode == 0
    assert place.ops(*FINALIZE).returncode == 0


RECOVER = ("web-key", "recover")


def lose(place: Place) -> None:
    """Take the web key file away; it is not there twice."""
    (place.folder / "web.key").unlink()


def recovered(killing: Killing) -> None:
    """Type it to its end: every row is proven, and nothing lies about."""
    done = killing.run(*RECOVER)
    assert done.returncode == 0, done.stdout + done.stderr
    verified = killing.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert not list(killing.place.folder.glob("web.key.*"))
    with closing(sqlite3.connect(killing.place.folder / "vault.db")) as db:
        query = "SELECT count(*) FROM audit_entry WHERE event = 'web_key.recovered'"
        assert db.execute(query).fetchone() == (1,)


def test_a_recovery_killed_before_any_line_is_finished_by_the_same_command(
    killing: Killing,
) -> None:
    """At random lines of a whole run, every third time on what the kill before left:
    the key that signs the rows is never lost a second time."""
    draw = random.Random("recover")
    lose(killing.place)
    whole = killing.run(*RECOVER)
    assert whole.returncode == 0, whole.stderr
    for number in range(KILLS):
        if number % 3 == 0:
            killing.begin()
            lose(killing.place)
        killing.run(*RECOVER, kill_before=draw.randrange(1, whole.lines + 1))
        if number % 3 == 2:
            recovered(killing)


@pytest.mark.parametrize("step", RECOVER_STEPS)
def test_a_recovery_killed_at_a_step_is_finished_by_the_same_command(
    killing: Killing, step: str
) -> None:
    """Before the commit nothing is signed; after it only the file's name is missing."""
    lose(killing.place)
    killed = killing.place.ops(*RECOVER, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    recovered(killing)
