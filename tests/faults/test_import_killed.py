"""SIGKILL while a file is imported: run again, each row is there once."""

from __future__ import annotations

import csv
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.places.site import BIN, Place

pytestmark = pytest.mark.faults

ROWS = 6000
KILLS = 25
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


def count(place: Place, database: str, query: str) -> int:
    """One number out of a database."""
    db = sqlite3.connect(place.folder / database)
    found: int = db.execute(query).fetchone()[0]
    db.close()
    return found


def test_an_import_killed_at_random_instants_takes_each_row_once(
    tmp_path: Path,
) -> None:
    """Whatever was cut off, the same command finishes it; only cards without a
    customer are left over, for reconcile to remove."""
    place = Place(tmp_path).make()
    file = tmp_path / "customers.csv"
    rows = [f"客{n % 7},090-{n:08},5555555555554444,12,2030\n" for n in range(ROWS)]
    file.write_text(HEADING + "".join(rows))
    words = ["--app", "wsgi", "cards", "import", str(file)]
    draw, cut_off = random.Random(25), 0
    for _ in range(KILLS):
        run = subprocess.Popen(
            [BIN / "flask", *words],
            env=place.environ(),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.5 + draw.random() * 0.6)
        run.send_signal(signal.SIGKILL)
        cut_off += run.wait() == -signal.SIGKILL
    assert cut_off > KILLS // 2
    out = tmp_path / "results.csv"
    done = place.run("flask", *words, "--results", str(out))
    assert done.returncode == 0, done.stderr
    customers = "SELECT count(DISTINCT phone) FROM customer"
    assert count(place, "site.db", customers) == ROWS
    assert count(place, "site.db", "SELECT count(*) FROM customer") == ROWS
    with out.open(newline="") as results:
        tokens = [row["token"] for row in csv.DictReader(results)]
    assert len(set(tokens)) == ROWS
    assert count(place, "vault.db", "SELECT count(*) FROM card") >= ROWS
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("step", ["part-opened", "part-synced", "part-named"])
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
    with out.open(newline="") as results:
        assert [row["line"] for row in csv.DictReader(results)] == ["2", "3", "4"]
    assert not list(tmp_path.glob("*.part"))
    assert count(place, "site.db", "SELECT count(*) FROM customer") == (
        0 if flags else 3
    )
