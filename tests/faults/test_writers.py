"""Eight processes write while the keys change under them."""

from __future__ import annotations

import json
import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_rotation_killed import fill
from tests.site import Place
from vault import Actor, Expiry, Pan, Token, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import LOCK_WAIT_SECONDS, connect

pytestmark = pytest.mark.faults

WRITERS = 8
ACTS = 60
# A machine that does other work besides may make one of them wait longer than a
# page would.
OVERLOADED_SECONDS = 15.0


def write(folder: str, seed: int, told: Any) -> None:
    """One web process: registers, edits and deletes, and tells what it left and
    the longest it waited for the lock."""
    vault = Vault(
        WebKey.read(Path(folder) / "web.key"),
        connect(f"sqlite:///{folder}/vault.db"),
        system_clock,
    )
    patient = vault.engine.execution_options(lock_wait=OVERLOADED_SECONDS)
    draw, by = random.Random(seed), Actor(f"writer {seed}", "192.0.2.1")
    mine: dict[str, int] = {}
    waits: list[float] = []
    for number in range(ACTS):
        began = time.perf_counter()
        with patient.begin() as db:
            waits.append(time.perf_counter() - began)
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
    told.put((mine, waits))


def test_rotating_under_eight_writers_loses_nothing(tmp_path: Path) -> None:
    """No error, no edit lost, the census ends at zero, and nobody waits long."""
    place = Place(tmp_path).make()
    fill(place, 20_000)
    context = multiprocessing.get_context("spawn")
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
    expected = {token: key for mine, _ in left for token, key in mine.items()}
    assert place.ops("verify").returncode == 0
    vault = Vault(
        WebKey.read(tmp_path / "web.key"),
        connect(f"sqlite:///{tmp_path}/vault.db"),
        system_clock,
    )
    with vault.engine.connect() as db:
        kept = {t: vault.describe(db, Token(t)).expiry.key for t in expected}
    assert kept == expected
    waits = sorted(wait for _, waits in left for wait in waits)
    # A page that waits longer is refused with 503; how long they wait in quiet is
    # measured in bench/.
    assert waits[len(waits) * 95 // 100] < LOCK_WAIT_SECONDS
