"""SIGKILL while keys change: the same command finishes the work."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.places.filled_vault import copy, fill
from tests.places.site import BIN, Place
from vault import WebKey
from vault.clock import system_clock
from vault.ops import OpenVault, RootKey
from vault.store.database import connect
from vault.store.schema import CARD

pytestmark = pytest.mark.faults

CARDS = 20_000
RANDOM_KILLS = 200
ROTATE_STEPS = [
    "begin",
    "begun",
    "batch-written",
    "batch-ready",
    "batch-committed",
    "read-back",
    "destroy",
    "finished",
]
# While a new key file is written; the second that `root rotate` writes is the web key.
PART_STEPS = ["part-opened", "part-synced", "part-named"]
ROOT_STEPS = [
    *PART_STEPS,
    *(f"{step}:2" for step in PART_STEPS),
    "root-prepare",
    "root-prepared",
]
FINALIZE_STEPS = ["root-finalize", "root-finalized"]
WEB_KEY_STEPS = [*PART_STEPS, "web-key-ready", "web-key-committed"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with 20,000 cards, to be copied."""
    place = Place(tmp_path_factory.mktemp("filled")).make()
    fill(place, CARDS)
    return place


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with 300 cards, to be copied."""
    place = Place(tmp_path_factory.mktemp("small")).make()
    fill(place, 300)
    return place


def dump(place: Place, new: str = "") -> dict[str, tuple[bytes, int]]:
    """Every token with its number and expiry, opened with the root key."""
    web_key = WebKey.read(place.folder / f"web.key{new}")
    root_text = (place.folder / f"root.key{new}").read_text()
    root_key = RootKey.parse(root_text, "root.key", None)
    engine = connect(f"sqlite:///{place.folder}/vault.db")
    ops = OpenVault(web_key, root_key, engine, system_clock)
    with engine.connect() as db:
        rows = db.execute(select(CARD)).all()
        opened = {row.token: (ops.digits(db, row), row.expiry) for row in rows}
    engine.dispose()
    return opened


def old_cards(place: Place) -> tuple[int, int]:
    """Cards under generation 1, and generation-1 keys that were destroyed."""
    with sqlite3.connect(place.folder / "vault.db") as db:
        cards = db.execute(
            "SELECT count(*) FROM card JOIN data_key ON data_key.id = data_key_id"
            " WHERE generation = 1"
        ).fetchone()
        keys = db.execute(
            "SELECT count(*) FROM data_key WHERE generation = 1 AND state = 'destroyed'"
        ).fetchone()
    db.close()
    return cards[0], keys[0]


@pytest.mark.parametrize("step", ROTATE_STEPS)
def test_rotate_killed_at_a_step_goes_on(
    small: Place, tmp_path: Path, step: str
) -> None:
    """At every named step: nothing lost, no key destroyed early, one more run."""
    place = copy(small, tmp_path / "place")
    before = dump(place)
    killed = place.ops("rotate", "--batch", "100", kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    cards, destroyed = old_cards(place)
    assert not (cards and destroyed)
    done = place.ops("rotate", "--batch", "100")
    assert done.returncode == 0, done.stderr
    assert dump(place) == before
    assert old_cards(place)[0] == 0
    assert place.ops("verify").returncode == 0


def test_rotate_killed_at_random_instants_finishes(
    filled: Place, tmp_path: Path
) -> None:
    """200 SIGKILLs over 20,000 cards, then one run to the end."""
    place = copy(filled, tmp_path / "place")
    before = dump(place)
    draw = random.Random(20261123)
    environ = place.environ(VAULT_ROOT_KEY=f"{place.folder}/root.key")
    finished = 0
    for _ in range(RANDOM_KILLS):
        run = subprocess.Popen(
            [BIN / "cardvault", "rotate", "--batch", "50"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            run.wait(timeout=0.25 + draw.random() * 0.35)
            finished += 1
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
    assert finished < RANDOM_KILLS
    done = place.ops("rotate")
    assert done.returncode == 0, done.stderr
    assert dump(place) == before
    assert place.ops("verify").returncode == 0


@pytest.mark.parametrize("step", [*ROOT_STEPS, *FINALIZE_STEPS])
def test_root_rotate_killed_at_a_step_goes_on(
    small: Place, tmp_path: Path, step: str
) -> None:
    """Old or new root opens everything at every instant, and it finishes."""
    place = copy(small, tmp_path / "place")
    before = dump(place)
    words = ["root", "rotate"]
    if step in FINALIZE_STEPS:
        assert place.ops(*words).returncode == 0
        words.append("--finalize")
    killed = place.ops(*words, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    assert dump(place, ".new" if step == "root-finalized" else "") == before
    assert place.ops(*words).returncode == 0
    assert place.ops("root", "rotate", "--finalize").returncode == 0
    assert dump(place, ".new") == before
    new = {
        "VAULT_WEB_KEY": f"{place.folder}/web.key.new",
        "VAULT_ROOT_KEY": f"{place.folder}/root.key.new",
    }
    assert place.run("cardvault", "verify", **new).returncode == 0


@pytest.mark.parametrize("step", WEB_KEY_STEPS)
def test_web_key_rotate_killed_at_a_step_goes_on(
    small: Place, tmp_path: Path, step: str
) -> None:
    """All rows are signed under the old key or all under the new one."""
    place = copy(small, tmp_path / "place")
    killed = place.ops("web-key", "rotate", kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    done = step == "web-key-committed"
    new = {"VAULT_WEB_KEY": f"{place.folder}/web.key.new"}
    assert place.ops("verify", **(new if done else {})).returncode == 0
    assert place.ops("web-key", "rotate").returncode == 0
    assert place.ops("verify", **new).returncode == 0


def test_ctrl_c_stops_at_a_batchs_end_and_says_how_to_go_on(
    small: Place, tmp_path: Path
) -> None:
    """Exit code 3, and the same command goes on at once."""
    place = copy(small, tmp_path / "place")
    run = subprocess.Popen(
        [BIN / "cardvault", "rotate", "--batch", "10", "--max-rate", "50"],
        env=place.environ(VAULT_ROOT_KEY=f"{place.folder}/root.key"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 20
    while old_cards(place)[0] == 300 and time.monotonic() < until:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert run.returncode == 3
    assert "go on with: cardvault rotate" in said
    assert 0 < old_cards(place)[0] < 300
    assert place.ops("rotate").returncode == 0
