"""What the writers' queue costs a registration, and how long one waits for its turn:
beside a rotation, and in a crowd."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from vault import Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

from .cards import BY, filled
from .rotating import ours

PAUSE_SECONDS = 0.02
WARM_SECONDS = 1.0
# Two web processes' threads, with the settings of gunicorn.conf.py and a few more.
PROCESSES = 2
THREADS = 10
CROWD_SECONDS = 5.0
REGISTRATIONS = 200
# The site's own part of a request, in which it holds the lock too.
HELD_SECONDS = 0.005


@dataclass(frozen=True)
class Crowd:
    """Milliseconds each registration waited, and how many were refused ("locked")."""

    waits: list[float]
    refused: int


def _vault(folder: Path, *, queued: bool = True) -> Vault:
    """A web role on the vault in ``folder``."""
    engine = connect(f"sqlite:///{folder}/vault.db", alone=not queued)
    return Vault(WebKey.read(folder / "web.key"), engine, system_clock)


def _register(vault: Vault, engine: Engine, held: float = 0.0) -> float:
    """Register a card; seconds that it waited for its turn."""
    began = time.perf_counter()
    with engine.begin() as db:
        waited = time.perf_counter() - began
        vault.tokenize(db, Pan.parse("4810000000020000"), Expiry(2030, 1), BY)
        time.sleep(held)
    return waited


def write(folder: str, stop: Any, told: Any) -> None:
    """Register a card every 20 ms; tell how long each waited for its turn."""
    vault, waits = _vault(Path(folder)), []
    while not stop.is_set():
        waits.append(_register(vault, vault.engine))
        time.sleep(PAUSE_SECONDS)
    told.put(waits)


def measure(folder: Path, count: int) -> list[float]:
    """Milliseconds each registration beside a rotation of ``count`` cards waited."""
    vault = filled(folder, count)
    spawn = multiprocessing.get_context("spawn")
    stop, told = spawn.Event(), spawn.Queue()
    writer = spawn.Process(target=write, args=(str(folder), stop, told))
    writer.start()
    time.sleep(WARM_SECONDS)
    ours(vault)
    stop.set()
    waits: list[float] = told.get(timeout=30)
    writer.join()
    return [1000 * wait for wait in waits]


def cost(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a registration takes in the vault when nobody else is there,
    without the queue and with it, once a round."""
    vault = filled(folder, 1)
    engines = {
        name: connect(f"sqlite:///{folder}/vault.db", alone=alone)
        for name, alone in (("without the queue", True), ("in the queue", False))
    }
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds + 1):
        for name, engine in engines.items():
            began = time.perf_counter()
            for _ in range(REGISTRATIONS):
                _register(vault, engine)
            took = time.perf_counter() - began
            spent[name].append(1000 * took / REGISTRATIONS)
    for engine in engines.values():
        engine.dispose()
    # The first round warms up.
    return {name: taken[1:] for name, taken in spent.items()}


def crowd(folder: Path, *, queued: bool) -> Crowd:
    """Two processes of ten threads each, which register one card after the other."""
    filled(folder, 1).engine.dispose()
    spawn = multiprocessing.get_context("spawn")
    told = spawn.Queue()
    start = spawn.Barrier(PROCESSES)
    given = (str(folder), queued, start, told)
    processes = [spawn.Process(target=_throng, args=given) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    told_all: list[Crowd] = [told.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    waits = [wait for one in told_all for wait in one.waits]
    return Crowd(waits, sum(one.refused for one in told_all))


def _throng(folder: str, queued: bool, start: Any, told: Any) -> None:
    vault = _vault(Path(folder), queued=queued)
    waits: list[float] = []
    refused: list[float] = []
    together = Barrier(THREADS)

    def one() -> None:
        together.wait()
        stop = time.perf_counter() + CROWD_SECONDS
        while time.perf_counter() < stop:
            try:
                waits.append(1000 * _register(vault, vault.engine, HELD_SECONDS))
            except OperationalError:
                refused.append(time.perf_counter())

    threads = [Thread(target=one) for _ in range(THREADS)]
    start.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(Crowd(waits, len(refused)))
