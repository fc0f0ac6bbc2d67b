"""Backups while eight processes write, and SIGKILL while they are made."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.actors.writer import write
from tests.forked import Forks
from tests.kill_points import points_in
from tests.killer import Killer
from tests.lengths import at_length
from tests.places.filled_vault import elsewhere, fill
from tests.places.processes import forking
from tests.places.site import Place
from vault import WebKey
from vault.ops.backup.restore import opening

pytestmark = pytest.mark.faults

WRITERS = 8
PATIENCE_SECONDS = 180
BACKUPS = 3
KILLS = at_length(12, 40)
CARDS = at_length(2_000, 5_000)
BACKUP_STEPS = points_in("vault/ops/backup/make.py")
# The last one comes once for each database.
RESTORE_STEPS = points_in("vault/ops/backup/restore.py")
RESTORE_STEPS[-1:] = [f"{RESTORE_STEPS[-1]}{name}.db" for name in ("vault", "site")]


def column(path: Path, query: str) -> list[str]:
    """One column of a SQLite file."""
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute(query)]


def restored_whole(place: Place, backup: Path, folder: Path) -> list[str]:
    """Restore a backup elsewhere, verify it, and return its customers: each has
    his card, and there is hardly a card without a customer."""
    other = elsewhere(place, folder)
    done = other.run("cardvault", "restore", str(backup))
    assert done.returncode == 0, done.stderr
    verified = other.ops("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    tokens = set(column(folder / "site.db", "SELECT token FROM customer"))
    cards = set(column(folder / "vault.db", "SELECT token FROM card"))
    assert tokens <= cards
    # The old card of a number just replaced goes after both commits, in a
    # transaction of its own.
    assert len(cards - tokens) <= WRITERS
    return column(folder / "site.db", "SELECT public_id FROM customer")


def test_backups_under_eight_writers_restore_whole(tmp_path: Path) -> None:
    """Every one holds each customer with his card, though all is being written;
    the last, after them, holds exactly what was answered."""
    place = Place(tmp_path / "place")
    place.folder.mkdir()
    place.make()
    context = forking()
    begin, stop = context.Barrier(WRITERS + 1), context.Event()
    told: Any = context.Queue()
    writers = [
        context.Process(target=write, args=(str(place.folder), seed, begin, stop, told))
        for seed in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    begin.wait(PATIENCE_SECONDS)
    counts = []
    for number in range(BACKUPS):
        done = place.run("cardvault", "backup", f"{tmp_path}/{number}", "--json")
        assert done.returncode == 0, done.stderr
        counts.append(json.loads(done.stdout)["anchor"]["entries"])
    stop.set()
    left = [told.get(timeout=PATIENCE_SECONDS) for _ in writers]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    # They did write between one backup and the next.
    assert all(later - one > WRITERS for one, later in pairwise(counts))
    for number in range(BACKUPS):
        restored_whole(place, tmp_path / str(number), tmp_path / f"place {number}")
    assert place.run("cardvault", "backup", f"{tmp_path}/last").returncode == 0
    customers = restored_whole(place, tmp_path / "last", tmp_path / "place last")
    assert sorted(customers) == sorted(name for mine in left for name in mine)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with CARDS cards and a backup of it, ``kept``."""
    place = Place(tmp_path_factory.mktemp("filled")).make()
    fill(place, CARDS)
    assert place.run("cardvault", "backup", "kept").returncode == 0
    return place


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every database of a place, by name; of parts too."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.db*")
    }


def require_whole(path: Path, web_key: Path) -> None:
    """Read a backup to its end; raises when it is damaged."""
    with opening(path, WebKey.read(web_key)) as backup:
        backup.extract({})


@pytest.fixture
def good(filled: Place, tmp_path: Path) -> dict[str, str]:
    """What the databases of ``kept`` are."""
    other = elsewhere(filled, tmp_path / "good")
    done = other.run("cardvault", "restore", f"{filled.folder}/kept")
    assert done.returncode == 0, done.stderr
    return digests(other.folder)


def test_a_backup_killed_at_random_instants_is_whole_or_absent(
    filled: Place, forks: Forks
) -> None:
    """KILLS of it; the next run makes it and leaves nothing beside it."""
    path = filled.folder / "killed"
    killer = Killer(forks, filled, "backup", "killed", seed=1)
    killer.run()
    path.unlink()
    for _ in range(KILLS):
        killer.kill()
        if not path.exists():
            killer.run()
        require_whole(path, filled.folder / "web.key")
        assert {p.name for p in filled.folder.glob("killed*")} == {"killed"}
        path.unlink()
    assert filled.ops("verify").returncode == 0


def test_a_restore_killed_at_random_instants_is_finished_by_the_next(
    filled: Place, forks: Forks, tmp_path: Path, good: dict[str, str]
) -> None:
    """KILLS of it; whatever has its name is whole, and the same command ends it."""
    other = elsewhere(filled, tmp_path / "other")
    killer = Killer(forks, other, "restore", f"{filled.folder}/kept", seed=2)
    killer.run()
    for _ in range(KILLS):
        for path in other.folder.glob("*.db*"):
            path.unlink()
        killer.kill()
        named = {n: d for n, d in digests(other.folder).items() if n in good}
        assert named.items() <= good.items()
        killer.run()
        assert digests(other.folder) == good
    assert other.ops("verify").returncode == 0


@pytest.mark.parametrize("step", BACKUP_STEPS)
def test_a_backup_killed_at_a_step_is_made_by_the_next(
    filled: Place, step: str
) -> None:
    """At every named step: no file or a whole one, and the trail has an entry."""
    path = filled.folder / "stepped"
    killed = filled.run("cardvault", "backup", "stepped", kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    assert path.exists() == (step == "backup-named")
    assert "stepped" in filled.run("cardvault", "audit", "list").stdout
    if not path.exists():
        assert filled.run("cardvault", "backup", "stepped").returncode == 0
    require_whole(path, filled.folder / "web.key")
    for path in filled.folder.glob("stepped*"):
        path.unlink()


@pytest.mark.parametrize("step", RESTORE_STEPS)
def test_a_restore_killed_at_a_step_is_finished_by_the_next(
    filled: Place, tmp_path: Path, good: dict[str, str], step: str
) -> None:
    """The vault is named before the site; the next run ends what it left."""
    other = elsewhere(filled, tmp_path / "other")
    words = ("cardvault", "restore", f"{filled.folder}/kept")
    killed = other.run(*words, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    named = RESTORE_STEPS.index(step)
    assert set(digests(other.folder)) & set(good) == {*("vault.db", "site.db")[:named]}
    done = other.run(*words)
    assert done.returncode == 0, done.stderr
    assert digests(other.folder) == good


def test_a_drill_ended_by_sigterm_leaves_no_scratch(
    filled: Place, tmp_path: Path
) -> None:
    """Its folder goes when it is stopped, too."""
    drill, scratch = ("restore", "kept", "--drill"), {"TMPDIR": str(tmp_path)}
    killed = filled.ops(*drill, kill_at=RESTORE_STEPS[-1], **scratch)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("cardvault-drill-*")
    assert (left / "site.db").exists()
    shutil.rmtree(left)
    ended = filled.ops(*drill, kill_at=f"{RESTORE_STEPS[-1]}:1:SIGTERM", **scratch)
    assert (ended.returncode, list(tmp_path.iterdir())) == (3, []), ended.stderr
