"""SIGKILL while keys change: the same command finishes the work."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.forked import Forks
from tests.kill_points import points_in
from tests.killer import Killer
from tests.lengths import at_length
from tests.places.filled_vault import copy, fill
from tests.places.site import Place
from vault import WebKey
from vault.clock import system_clock
from vault.ops import OpenVault, RootKey
from vault.store.database import connect
from vault.store.schema import CARD

pytestmark = pytest.mark.faults

CARDS = at_length(4_000, 20_000)
RANDOM_KILLS = at_length(40, 200)
# A kill comes within so small a part of a whole rotation.
KILLS_A_ROTATION = at_length(10, 50)
# No range is taken by one process alone; tests/postgres kills at those.
ROTATE_STEPS = [
    step
    for step in points_in("vault/ops/rotation/*.py")
    if not step.startswith("range")
]
# While a new key file is written; the second that `root rotate` writes is the web key.
PART_STEPS = points_in("vault/store/files.py")
ROOT_STEPS = points_in("vault/ops/root_rotation.py")
FINALIZE_STEPS = [step for step in ROOT_STEPS if step.startswith("root-finalize")]
# Those of --abandon are killed at in test_root_killed.py.
PREPARE_STEPS = [
    *PART_STEPS,
    *(f"{step}:2" for step in PART_STEPS),
    *(s for s in ROOT_STEPS if not s.startswith(("root-finalize", "root-abandon"))),
]
WEB_KEY_STEPS = [*PART_STEPS, *points_in("vault/ops/web_key_rotation.py")]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with CARDS cards, to be copied."""
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
    filled: Place, forks: Forks, tmp_path: Path
) -> None:
    """RANDOM_KILLS over CARDS cards, each on what the one before has left, then one
    run to the end."""
    place = copy(filled, tmp_path / "place")
    before = dump(place)
    whole = copy(filled, tmp_path / "whole")
    killer = Killer(forks, whole, "rotate", "--batch", "50", seed=20261123)
    for one in (whole, place):
        one.more["VAULT_ROOT_KEY"] = "root.key"
    killer.run()
    killer.place = place
    for _ in range(RANDOM_KILLS):
        killer.kill(KILLS_A_ROTATION)
    done = place.ops("rotate")
    assert done.returncode == 0, done.stderr
    assert dump(place) == before
    assert place.ops("verify").returncode == 0


@pytest.mark.parametrize("step", [*PREPARE_STEPS, *FINALIZE_STEPS])
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
    ran = place.ops("rotate", "--batch", "10", kill_at="batch-ready:3:SIGINT")
    assert ran.returncode == 3, ran.stderr
    assert "go on with: cardvault rotate" in ran.stderr
    assert old_cards(place)[0] == 300 - 3 * 10
    assert place.ops("rotate").returncode == 0
