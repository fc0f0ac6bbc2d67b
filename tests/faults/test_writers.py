"""Eight processes write while the keys change under them, and a crowd in turn."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.lengths import at_length
from tests.places.filled_vault import fill
from tests.places.processes import forking
from tests.places.site import Place
from vault import Actor, Expiry, Pan, Token, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = pytest.mark.faults

WRITERS = 8
ACTS = at_length(30, 60)
CARDS = at_length(6_000, 20_000)
# A machine that does other work besides may keep a single turn longer than a page
# would wait.
OVERLOADED_SECONDS = 60.0
# Twenty writers, each of which keeps the others waiting so long that the last waits
# longer than anybody would for one.
CROWD = 20
PROCESSES = 2
HELD_SECONDS = 0.15
CROWD_WAIT_SECONDS = 2.5


def write(folder: str, seed: int, told: Any) -> None:
    """One web process: registers, edits and deletes, and tells what it left."""
    vault = Vault(
        WebKey.read(Path(folder) / "web.key"),
        connect(f"sqlite:///{folder}/vault.db"),
        system_clock,
    )
    patient = vault.engine.execution_options(lock_wait=OVERLOADED_SECONDS)
    draw, by = random.Random(seed), Actor(f"writer {seed}", "192.0.2.1")
    mine: dict[str, int] = {}
    for number in range(ACTS):
        with patient.begin() as db:
            act = draw.random()
            if act < 0.5 or not mine:
                expiry = Expiry(2030, number % 12 + 1)
                pan = Pan.parse("4810000000020000")
                mine[vault.tokenize(db, pan, expiry, by)] = expiry.key
            elif act < 0.8:
                token = draw.choice(sorted(mine))
                expiry = Expiry(2040, number % 12 + 1)
                vault.set_expiry(db, Token(token), expiry, by)
                mine[token] = expiry.key
            else:
                token = draw.choice(sorted(mine))
                vault.delete(db, Token(token), by)
                del mine[token]
        time.sleep(draw.random() / 50)
    told.put(mine)


def test_rotating_under_eight_writers_loses_nothing(tmp_path: Path) -> None:
    """No error, no edit lost, and the census ends at zero."""
    place = Place(tmp_path).make()
    fill(place, CARDS)
    context = forking()
    told = context.Queue()
    writers = [
        context.Process(target=write, args=(str(tmp_path), seed, told))
        for seed in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    done = place.ops("rotate", "--json")
    left = [told.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["left"] == 0
    expected = {token: key for mine in left for token, key in mine.items()}
    assert place.ops("verify").returncode == 0
    vault = Vault(
        WebKey.read(tmp_path / "web.key"),
        connect(f"sqlite:///{tmp_path}/vault.db"),
        system_clock,
    )
    with vault.engine.connect() as db:
        kept = {t: vault.describe(db, Token(t)).expiry.key for t in expected}
    assert kept == expected


def stand(path: str, start: Any, told: Any) -> None:
    """One web process: each of its threads writes once and takes its time; tells how
    many were refused."""
    engine = connect(f"sqlite:///{path}").execution_options(
        lock_wait=CROWD_WAIT_SECONDS
    )
    refused: list[str] = []

    def one() -> None:
        try:
            with engine.begin() as db:
                db.execute(text("INSERT INTO kept VALUES (1)"))
                time.sleep(HELD_SECONDS)
        except OperationalError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(CROWD // PROCESSES)]
    start.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(refused)


def test_a_crowd_of_slow_writers_is_waited_for(tmp_path: Path) -> None:
    """The last waits longer than anybody waits for one, for the queue moves."""
    assert CROWD * HELD_SECONDS > CROWD_WAIT_SECONDS
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE kept (what INTEGER)")
    context = forking()
    told, start = context.Queue(), context.Barrier(PROCESSES)
    given = (str(path), start, told)
    processes = [context.Process(target=stand, args=given) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    assert [told.get(timeout=120) for _ in processes] == [[], []]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM kept").fetchone() == (CROWD,)
