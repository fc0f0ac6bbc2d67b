"""SIGKILL while a vault is made: the same command makes it, and leaves nothing else."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.forked import Forks
from tests.kill_points import points_in
from tests.killer import Killer
from tests.lengths import at_length
from tests.places.site import Place
from vault.ops.root_shares import combine
from vault.store.files import NewFile
from vault.store.write_queue import SUFFIX

pytestmark = pytest.mark.faults

KILLS = at_length(30, 100)
FILES = {"root.key", "web.key", "vault.db"}
KEYED = ("init", "--no-passphrase")
SHARED = ("init", "--shares", "3", "--threshold", "2")
# Each file's three; a fourth in either has to be told where it belongs.
OPENED, SYNCED, PART_NAMED = points_in("vault/store/files.py")
WRITTEN, FOUNDED, NAMED = points_in("vault/ops/new_place.py")
STEPS = [
    *(f"{OPENED}:{time}" for time in (1, 2, 3)),
    *(f"{SYNCED}:{time}" for time in (1, 2, 3)),
    WRITTEN,
    FOUNDED,
]
NAMING = [f"{name}:{time}" for time in (1, 2) for name in (PART_NAMED, NAMED)]
# One piece less, and the first of them is the web key.
SHARED_NAMING = NAMING[:2]
LAST = [f"{PART_NAMED}:3", f"{NAMED}:3"]


def names(place: Place) -> set[str]:
    """What lies in the place's folder."""
    return {path.name for path in place.folder.iterdir()}


def require_vault(place: Place) -> None:
    """The vault is whole and opens, and nothing lies beside it but the writers'
    queue, which verify makes."""
    assert names(place) - {f"vault.db{SUFFIX}"} == FILES
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("step", [*STEPS, *NAMING])
def test_init_killed_at_a_step_is_finished_by_the_same_command(
    tmp_path: Path, step: str
) -> None:
    """Before the first name the vault is made anew; after it, it is that one."""
    place = Place(tmp_path)
    killed = place.ops(*KEYED, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == ""
    named = names(place) & FILES
    kept = {name: (tmp_path / name).read_bytes() for name in named}
    assert bool(named) == (step in NAMING)
    done = place.ops(*KEYED)
    assert done.returncode == 0, done.stderr
    assert ("finished an init that was cut off" in done.stdout) == (step in NAMING)
    require_vault(place)
    assert kept == {name: (tmp_path / name).read_bytes() for name in named}


@pytest.mark.parametrize("step", LAST)
def test_init_killed_when_all_is_named_has_made_the_vault(
    tmp_path: Path, step: str
) -> None:
    """The same command says what is there, as after any other init."""
    place = Place(tmp_path)
    assert place.ops(*KEYED, kill_at=step).returncode == -signal.SIGKILL
    require_vault(place)
    again = place.ops(*KEYED)
    assert (again.returncode, "is in the way" in again.stderr) == (2, True)
    require_vault(place)


@pytest.mark.parametrize("step", [*STEPS[:2], STEPS[3], *STEPS[6:], *SHARED_NAMING])
def test_init_by_shares_killed_at_a_step_begins_anew(tmp_path: Path, step: str) -> None:
    """What it showed can't be shown again: the same command says that the earlier
    shares open nothing, and its own open the vault."""
    place = Place(tmp_path)
    killed = place.run("cardvault", *SHARED, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    assert bool(killed.stdout) == (step in (FOUNDED, *SHARED_NAMING))
    done = place.run("cardvault", *SHARED)
    assert done.returncode == 0, done.stderr
    assert "shares it may have shown open nothing" in done.stderr
    assert names(place) == {"web.key", "vault.db"}
    shares = done.stdout.splitlines()[:3]
    verified = place.run("cardvault", "verify", given="\n".join([*shares[:2], "", ""]))
    assert verified.returncode == 0, verified.stderr
    earlier = killed.stdout.splitlines()[:3]
    if earlier:
        assert combine(earlier[:2], "a").seed != combine(shares[:2], "a").seed


def test_init_killed_at_random_instants_is_finished_by_the_same_command(
    forks: Forks, tmp_path: Path
) -> None:
    """KILLS of it, each on what the one before has left, until it is made."""
    killer = Killer(forks, Place(tmp_path / "0"), *KEYED, seed=6)
    killer.place.folder.mkdir()
    killer.place.more["VAULT_ROOT_KEY"] = "root.key"
    killer.run()
    require_vault(killer.place)
    for number in range(1, KILLS + 1):
        if names(killer.place) >= FILES:
            killer.place = Place(tmp_path / str(number), more=killer.place.more)
            killer.place.folder.mkdir()
        killer.kill()
        left = names(killer.place) & FILES
        assert left in (set(), {"root.key"}, FILES - {"vault.db"}, FILES)
    if not names(killer.place) >= FILES:
        killer.run()
    require_vault(killer.place)


def test_what_is_not_an_inits_own_is_never_taken_for_it(tmp_path: Path) -> None:
    """Keys of a vault in use beside what a killed restore left of its database, or
    beside another init's parts: in the way, and not a byte is changed."""
    place, other = Place(tmp_path / "a"), Place(tmp_path / "b")
    for one in (place, other):
        one.folder.mkdir()
    place.make()
    assert place.run("cardvault", "backup", "kept").returncode == 0
    (place.folder / "vault.db").unlink()
    (place.folder / "site.db").unlink()
    killed = place.run("cardvault", "restore", "kept", kill_at="restore-written")
    assert killed.returncode == -signal.SIGKILL
    assert other.ops(*KEYED, kill_at=FOUNDED).returncode == -signal.SIGKILL
    require_refused(place)
    for name in ("vault.db", "web.key"):
        (other.folder / f"{name}.part").replace(place.folder / f"{name}.part")
        require_refused(place)


def require_refused(place: Place) -> None:
    """init says that something is in the way, however it is asked, and changes
    nothing."""
    before = {p.name: p.read_bytes() for p in place.folder.iterdir()}
    for words in (KEYED, SHARED):
        ran = place.ops(*words)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "is in the way" in ran.stderr
    assert before == {p.name: p.read_bytes() for p in place.folder.iterdir()}


def test_an_init_that_still_runs_is_not_disturbed(tmp_path: Path) -> None:
    """A second one is refused while the first holds its parts."""
    place = Place(tmp_path)
    with NewFile(tmp_path / "web.key"):
        ran = place.ops(*KEYED)
        assert ran.returncode == 2
        assert "web.key.part is being written by another process" in ran.stderr
        assert names(place) == {"web.key.part"}
    assert place.ops(*KEYED).returncode == 0
    require_vault(place)
