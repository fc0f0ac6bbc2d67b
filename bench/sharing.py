"""Re-encrypting on PostgreSQL: one process, and two side by side on one rotation.

Each has a fresh copy of the same database, as does the raw loop: read, open, seal,
UPDATE FROM unnest, commit, and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine, select, text

from vault.commands.rotate import BATCH
from vault.ops import OpenVault
from vault.ops.rotation.rotation import Rotation
from vault.ops.rotation.start import take_up
from vault.ops.rotation.workers import WorkerProcesses
from vault.store.database import connect
from vault.store.schema import CARD, DATA_KEY

from .cards import BY, filled
from .rotating import OLD, plainly
from .server import Server

WRITE = """
    UPDATE card SET envelope = new.envelope, data_key_id = 2, rev = card.rev + 1
    FROM unnest(%b::bigint[], %b::bigint[], %b::bytea[]) AS new (id, rev, envelope)
    WHERE card.id = new.id AND card.rev = new.rev AND card.id > %b AND card.id <= %b
"""
SEAL = """
    UPDATE card SET envelope = new.envelope
    FROM unnest(%b::bigint[], %b::bytea[]) AS new (id, envelope)
    WHERE card.id = new.id
"""


def ours(vault: OpenVault, workers: int) -> float:
    """Seconds ``workers`` processes need to re-encrypt every card, from their start
    to their end; one is this process."""
    rotation = take_up(vault, BY, "bench")
    began = time.perf_counter()
    if workers == 1:
        _through(rotation, None)
        return time.perf_counter() - began
    processes = WorkerProcesses(
        vault.engine, workers, rotation.work_on_ranges, BATCH, None, lambda: False
    )
    with processes:
        _through(rotation, processes)
    return time.perf_counter() - began


def _through(rotation: Rotation, processes: WorkerProcesses | None) -> None:
    for _ in rotation.reencrypt(BATCH, None, processes):
        pass


def raw(engine: Engine) -> float:
    """Seconds of the raw loop, one process."""
    opening, sealing, last = AESGCM(OLD), AESGCM(b"\x01" * 32), 0
    query = select(CARD.c.id, CARD.c.token, CARD.c.rev, CARD.c.envelope)
    query = query.order_by(CARD.c.id).limit(BATCH)
    began = time.perf_counter()
    while True:
        with engine.begin() as db:
            rows = db.execute(query.where(CARD.c.id > last)).all()
            if not rows:
                return time.perf_counter() - began
            fresh = []
            for row in rows:
                aad, nonce = row.token.encode(), os.urandom(12)
                plain = opening.decrypt(row.envelope[:12], row.envelope[12:], aad)
                fresh.append(nonce + sealing.encrypt(nonce, plain, aad))
            written = [row.id for row in rows], [row.rev for row in rows], fresh
            db.exec_driver_sql(WRITE, (*written, last, rows[-1].id))
        last = rows[-1].id


def _make_plain(db: Connection) -> None:
    """Every envelope as the raw loop opens it, and a second data key."""
    used = db.execute(select(DATA_KEY)).one()
    db.execute(DATA_KEY.insert(), {**used._mapping, "id": 2, "opens": 2})
    rows = db.execute(select(CARD.c.id, CARD.c.token)).all()
    number = b"4810000000020000"
    sealed = [plainly(number, row.token.encode()) for row in rows]
    db.exec_driver_sql(SEAL, ([row.id for row in rows], sealed))


@contextmanager
def _copy(server: Server, of: str) -> Iterator[Engine]:
    with server.database("copy", of) as url:
        engine = connect(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("CHECKPOINT"))
        yield engine
        engine.dispose()


def _settle(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM FULL ANALYZE"))
    engine.dispose()


def measure(folder: Path, count: int, rounds: int) -> dict[str, list[float]]:
    """Cards a second of each, ``rounds`` times in turn."""
    server = Server().make()
    try:
        return _measured(server, folder, count, rounds)
    finally:
        server.remove()


def _measured(
    server: Server, folder: Path, count: int, rounds: int
) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {}
    with server.database("ours") as url:
        vault = filled(folder, count, url)
        _settle(vault.engine)
        with server.database("plain", "ours") as plain:
            bare = connect(plain)
            with bare.begin() as db:
                _make_plain(db)
            _settle(bare)

            def rotated(workers: int) -> Callable[[Engine], float]:
                def run(engine: Engine) -> float:
                    vault.engine = engine
                    return ours(vault, workers)

                return run

            contenders = (
                ("raw psycopg + AESGCM", "plain", raw),
                ("cardvault rotate", "ours", rotated(1)),
                ("cardvault rotate --workers 2", "ours", rotated(2)),
            )
            for _ in range(rounds):
                for name, of, run in contenders:
                    with _copy(server, of) as engine:
                        rates.setdefault(name, []).append(count / run(engine))
    return rates
