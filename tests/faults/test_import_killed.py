"""SIGKILL while a file is imported: run again, each row is there once."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.forked import Forks
from tests.kill_points import points_in
from tests.killer import Killer
from tests.lengths import at_length
from tests.places.site import Place

pytestmark = pytest.mark.faults

ROWS = at_length(2000, 6000)
KILLS = int(os.environ.get("IMPORT_KILLS", at_length(10, 25)))
# A kill comes within so small a part of a whole import.
KILLS_AN_IMPORT = at_length(3, 5)
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


def count(place: Place, database: str, query: str) -> int:
    """One number out of a database."""
    db = sqlite3.connect(place.folder / database)
    found: int = db.execute(query).fetchone()[0]
    db.close()
    return found


def test_an_import_killed_at_random_instants_takes_each_row_once(
    forks: Forks, tmp_path: Path
) -> None:
    """KILLS of it, each on what the one before has left: the same command finishes
    it; only cards without a customer are left over, for reconcile to remove."""
    whole, place = Place(tmp_path / "whole"), Place(tmp_path / "place")
    for one in (whole, place):
        one.folder.mkdir()
    whole.make()
    shutil.copytree(whole.folder, place.folder, dirs_exist_ok=True)
    file = tmp_path / "customers.csv"
    rows = [f"客{n % 7},090-{n:08},5555555555554444,12,2030\n" for n in range(ROWS)]
    file.write_text(HEADING + "".join(rows))
    words = ["--app", "wsgi", "cards", "import", str(file)]
    killer = Killer(forks, whole, *words, command="flask", seed=25)
    killer.run()
    killer.place = place
    for _ in range(KILLS):
        killer.kill(KILLS_AN_IMPORT)
    out = tmp_path / "results.csv"
    done = place.run("flask", *words, "--results", str(out))
    assert done.returncode == 0, done.stderr
    customers = "SELECT count(DISTINCT phone) FROM customer"
    assert count(place, "site.db", customers) == ROWS
    assert count(place, "site.db", "SELECT count(*) FROM customer") == ROWS
    with out.open(newline="", encoding="utf-8-sig") as results:
        tokens = [row["token"] for row in csv.DictReader(results)]
    assert len(set(tokens)) == ROWS
    assert count(place, "vault.db", "SELECT count(*) FROM card") >= ROWS
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("step", points_in("vault/store/files.py"))
@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["import", "dry-run"])
def test_an_import_killed_while_it_tells_its_results_is_not_refused(
    tmp_path: Path, flags: tuple[str, ...], step: str
) -> None:
    """What it left of the file is written over, and each row is told once."""
    place = Place(tmp_path).make()
    file, out = tmp_path / "customers.csv", tmp_path / "results.csv"
    rows = [f"客,090-{n:08},5555555555554444,12,2030\n" for n in range(3)]
    file.write_text(HEADING + "".join(rows))
    words = ("cards", "import", str(file), *flags, "--results", str(out))
    killed = place.run("flask", "--app", "wsgi", *words, kill_at=step)
    assert killed.returncode == -signal.SIGKILL
    assert out.exists() == (step == "part-named")
    done = place.run("flask", "--app", "wsgi", *words)
    assert done.returncode == 0, done.stderr
    with out.open(newline="", encoding="utf-8-sig") as results:
        assert [row["line"] for row in csv.DictReader(results)] == ["2", "3", "4"]
    assert not list(tmp_path.glob("*.part"))
    assert count(place, "site.db", "SELECT count(*) FROM customer") == (
        0 if flags else 3
    )
