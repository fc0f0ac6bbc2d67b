"""SIGKILL while cards are purged or exported: all or nothing, and once more does it."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyrage
import pytest

from tests.forked import Forks
from tests.kill_points import points_in
from tests.killer import Killer
from tests.lengths import at_length
from tests.places.filled_vault import copy
from tests.places.site import Place
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = pytest.mark.faults

KILLS = at_length(8, 15)
# A batch is a thousand.
DUE, GOOD = at_length(4_000, 12_000), at_length(1_000, 3_000)
PURGE_STEPS = points_in("vault/ops/purge.py")
EXPORT_STEPS = points_in("vault/ops/export.py")
PURGE = ("purge", "--expired-for", "90")
IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with cards that are due and some that are not, to be copied."""
    place = Place(tmp_path_factory.mktemp("filled")).make()
    url = f"sqlite:///{place.folder}/vault.db"
    vault = Vault(WebKey.read(place.folder / "web.key"), connect(url), system_clock)
    pan, by = Pan.parse("4810000000020000"), Actor("taro", "192.0.2.1")
    for expiry, count in ((Expiry(2020, 1), DUE), (Expiry(2040, 1), GOOD)):
        with vault.engine.begin() as db:
            vault.tokenize_many(db, [(pan, expiry)] * count, by)
    vault.engine.dispose()
    return place


def column(place: Place, query: str) -> list[Any]:
    """One column of the vault's database."""
    with closing(sqlite3.connect(place.folder / "vault.db")) as db:
        return [row[0] for row in db.execute(query)]


def require_whole_batches(place: Place) -> int:
    """Every card is there, or marked and in one entry of the trail; returns how many
    are left."""
    cards = set(column(place, "SELECT token FROM card"))
    marked = set(column(place, "SELECT token FROM purged"))
    entries = column(
        place, "SELECT detail FROM audit_entry WHERE event = 'card.purged'"
    )
    batches = [json.loads(detail)["cards"] for detail in entries]
    assert not cards & marked
    assert len(cards) + len(marked) == DUE + GOOD
    assert sum(map(len, batches)) == len(marked)
    assert set().union(*batches) == marked
    return len(cards)


def test_a_purge_killed_at_random_instants_is_finished_by_the_next(
    filled: Place, forks: Forks, tmp_path: Path
) -> None:
    """After each kill whole batches are gone; at the end verify has nothing to say."""
    killer = Killer(forks, copy(filled, tmp_path / "whole"), *PURGE, seed=3)
    killer.run()
    killer.place = copy(filled, tmp_path / "0")
    for number in range(1, KILLS):
        killer.kill()
        if require_whole_batches(killer.place) == GOOD:
            killer.place = copy(filled, tmp_path / str(number))
    killer.run()
    assert require_whole_batches(killer.place) == GOOD
    assert killer.place.ops("verify").returncode == 0


@pytest.mark.parametrize("step", PURGE_STEPS)
def test_a_purge_killed_at_a_step_leaves_no_ciphertext_when_done(
    filled: Place, tmp_path: Path, step: str
) -> None:
    """Nothing of a batch before its commit, all of it after; the next run empties
    the log that the killed one left."""
    place = copy(filled, tmp_path / "place")
    (envelope,) = column(place, "SELECT envelope FROM card WHERE id = 1")
    killed = place.ops(*PURGE, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    gone = 1000 if step == "purge-committed" else 0
    assert require_whole_batches(place) == GOOD + DUE - gone
    assert place.ops(*PURGE).returncode == 0
    assert require_whole_batches(place) == GOOD
    files = [path for path in place.folder.iterdir() if path.is_file()]
    assert not [p.name for p in files if envelope in p.read_bytes()]


def export(out: str) -> list[str]:
    """The words of an export to IDENTITY."""
    recipient = str(IDENTITY.to_public())
    return ["export", "--recipient", recipient, "--reason", "billing", "--out", out]


def is_whole(path: Path) -> bool:
    """Say whether an export opens and holds every card."""
    plain: bytes = pyrage.decrypt(path.read_bytes(), [IDENTITY])
    return plain.count(b",4810000000020000,") == DUE + GOOD


def write_amounts(place: Place) -> None:
    """A file that names every card, the newest first."""
    tokens = column(place, "SELECT token FROM card ORDER BY id DESC")
    rows = "".join(f"{token},{number}\n" for number, token in enumerate(tokens))
    (place.folder / "amounts.csv").write_text(f"token,amount\n{rows}")


@pytest.mark.parametrize("more", [[], ["--with", "amounts.csv"]], ids=["all", "with"])
def test_an_export_killed_at_random_instants_is_whole_or_absent(
    filled: Place, forks: Forks, tmp_path: Path, more: list[str]
) -> None:
    """What has the name is whole, what has not holds no number in the clear; the
    next run makes it and leaves nothing beside it."""
    place = copy(filled, tmp_path / "place")
    place.more["VAULT_ROOT_KEY"] = "root.key"
    path = place.folder / "cards.age"
    write_amounts(place)
    killer = Killer(forks, place, *export("cards.age"), *more, seed=5)
    killer.run()
    path.unlink()
    for _ in range(KILLS):
        killer.kill()
        parts = list(place.folder.glob("cards.age.*"))
        assert not any(b"48100000000" in part.read_bytes() for part in parts)
        assert not path.exists() or is_whole(path)
        path.unlink(missing_ok=True)
    killer.run()
    assert is_whole(path)
    assert list(place.folder.glob("cards.age*")) == [path]


@pytest.mark.parametrize("step", EXPORT_STEPS)
def test_an_export_killed_at_a_step(filled: Place, tmp_path: Path, step: str) -> None:
    """No name before the trail says so; the next run ends what it left."""
    place = copy(filled, tmp_path / "place")
    killed = place.ops(*export("cards.age"), kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    named = (place.folder / "cards.age").exists()
    exported = "SELECT event FROM audit_entry WHERE event = 'cards.exported'"
    assert named == (step == "export-named")
    assert len(column(place, exported)) == (step != "export-written")
    if not named:
        assert place.ops(*export("cards.age")).returncode == 0
        assert not (place.folder / "cards.age.part").exists()
