"""How long an operator's registration waits for the lock while cards are rotated."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

from vault import Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

from .cards import BY, filled
from .rotating import ours

PAUSE_SECONDS = 0.02
WARM_SECONDS = 1.0


def write(folder: str, stop: Any, told: Any) -> None:
    """Register a card every 20 ms; tell how long each waited for the lock."""
    web_key = WebKey.read(Path(folder) / "web.key")
    vault = Vault(web_key, connect(f"sqlite:///{folder}/vault.db"), system_clock)
    waits = []
    while not stop.is_set():
        began = time.perf_counter()
        with vault.engine.begin() as db:
            waits.append(time.perf_counter() - began)
            vault.tokenize(db, Pan.parse("4810000000020000"), Expiry(2030, 1), BY)
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
