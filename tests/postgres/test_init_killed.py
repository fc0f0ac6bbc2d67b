"""SIGKILL while a vault is made on a server: its commit is the first name."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.places.site import Place
from vault.store.database import connect
from vault.store.migrations import HISTORY

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

KEYED = ("init", "--no-passphrase")
SHARED = ("init", "--shares", "3", "--threshold", "2")
BEFORE = ["part-synced:2", "init-keys-written"]
AFTER = ["init-founded", "part-named:1", "init-named:1"]
KEYS = {"root.key", "web.key"}


@pytest.fixture
def place(databases: tuple[str, str], tmp_path: Path) -> Place:
    """A folder with nothing in it and an empty database."""
    return Place(tmp_path, more={"VAULT_DATABASE_URL": databases[1]})


def names(place: Place) -> set[str]:
    """What lies in the place's folder."""
    return {path.name for path in place.folder.iterdir()}


@pytest.mark.parametrize("step", [*BEFORE, *AFTER])
def test_init_killed_at_a_step_is_finished_by_the_same_command(
    place: Place, step: str
) -> None:
    """Before the commit the vault is made anew; after it the keys get their names."""
    assert place.ops(*KEYED, kill_at=step).returncode == -signal.SIGKILL
    left = {p.read_bytes() for p in place.folder.iterdir()}
    done = place.ops(*KEYED)
    assert done.returncode == 0, done.stderr
    assert names(place) == KEYS
    assert ({p.read_bytes() for p in place.folder.iterdir()} == left) == (step in AFTER)
    assert place.ops("verify").returncode == 0
    again = place.ops(*KEYED)
    assert (again.returncode, "is in the way" in again.stderr) == (2, True)


def test_tables_without_a_row_are_as_good_as_none(place: Place) -> None:
    """As ``migrate``, or an init killed after it, leaves them."""
    engine = connect(place.more["VAULT_DATABASE_URL"])
    HISTORY.upgrade(engine)
    engine.dispose()
    assert place.ops(*KEYED).returncode == 0
    assert place.ops("verify").returncode == 0


def test_a_vault_on_the_server_is_never_founded_again(place: Place) -> None:
    """Its keys moved away: exit 2, and nothing is written beside it."""
    assert place.ops(*KEYED).returncode == 0
    for name in KEYS:
        (place.folder / name).unlink()
    for words in (KEYED, SHARED):
        ran = place.ops(*words)
        assert ran.returncode == 2
        assert "the database already holds a vault" in ran.stderr
        assert names(place) == set()


def test_shares_of_a_vault_that_is_made_are_good(place: Place) -> None:
    """They can't be shown again: the hint says what to type with them and without."""
    killed = place.ops(*SHARED, kill_at="init-founded")
    shares = killed.stdout.splitlines()[:3]
    ran = place.ops(*SHARED)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "its shares were shown" in ran.stderr
    beside, path = place.folder / "web.key.part", place.folder / "web.key"
    assert f"with those shares: mv {beside} {path};" in ran.stderr
    beside.rename(path)
    verified = place.run("cardvault", "verify", given="\n".join([*shares[1:], "", ""]))
    assert verified.returncode == 0, verified.stderr
