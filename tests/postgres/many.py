"""A vault of many cards on PostgreSQL: filled once, copied for each test."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from tests.forked import Piped, typist
from tests.places.filled_vault import fill
from tests.places.site import BIN, Place
from vault import WebKey
from vault.clock import Clock, system_clock
from vault.ops import OpenVault, RootKey
from vault.ops.verify import verify
from vault.store.database import connect
from vault.store.schema import AUDIT_ENTRY, CARD, DATA_KEY, ROTATION_RANGE

Run = subprocess.Popen[str] | Piped
"""A command that goes on beside the test."""
CARDS = 6_000
NUMBER = b"4810000000020000"
PATIENCE_SECONDS = 180


def make(folder: Path, url: str) -> Place:
    """Keys, and a database of 6,000 cards."""
    place = Place(folder, more={"VAULT_DATABASE_URL": url})
    done = place.ops("init", "--no-passphrase")
    assert done.returncode == 0, done.stderr
    fill(place, CARDS)
    return place


@dataclass(frozen=True)
class Many:
    """A copy of it, to be rotated."""

    place: Place
    engine: Engine
    runs: list[Run] = field(default_factory=list)

    @property
    def web_key(self) -> WebKey:
        """Its web key."""
        return WebKey.read(self.place.folder / "web.key")

    def open_vault(self, clock: Clock = system_clock) -> OpenVault:
        """The ops role on it."""
        text = (self.place.folder / "root.key").read_text()
        return OpenVault(
            self.web_key, RootKey.parse(text, "root.key", None), self.engine, clock
        )

    def start(
        self,
        *words: str,
        before: tuple[str, ...] = (),
        kill_at: str = "",
        **more: str,
    ) -> Run:
        """Type ``cardvault rotate WORDS`` and don't wait."""
        root = f"{self.place.folder}/root.key"
        environ = self.place.environ(VAULT_ROOT_KEY=root, **more)
        if before:
            run: Run = subprocess.Popen(
                [*before, BIN / "cardvault", "rotate", *words],
                env=environ,
                cwd=self.place.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        else:
            run = typist().pipe(
                *("cardvault", "rotate", *words),
                folder=self.place.folder,
                environ=environ,
                kill_at=kill_at,
            )
        self.runs.append(run)
        return run

    def end(self) -> None:
        """Let nothing that was started outlive its test."""
        for run in self.runs:
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
        self.engine.dispose()

    def rotate(
        self, *words: str, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Type it and wait for its end."""
        if not before:
            return self.place.ops("rotate", *words)
        run = self.start(*words, before=before)
        out, err = run.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(words, run.wait(), out, err)

    def done(self) -> int:
        """How many cards are under a key of the newest generation."""
        newest = select(func.max(DATA_KEY.c.generation)).scalar_subquery()
        query = select(func.count()).select_from(CARD).join(DATA_KEY)
        return self._scalar(query.where(DATA_KEY.c.generation == newest))

    def kill_at(self, step: str) -> None:
        """Type it and have it killed at ``step``; with workers ``start`` it and wait
        for their end too."""
        killed = self.place.ops("rotate", kill_at=step)
        assert killed.returncode == -signal.SIGKILL, step

    def batches(self) -> int:
        """How many batches were ever committed."""
        of_one = AUDIT_ENTRY.c.event == "card.re-encrypted"
        return self._scalar(select(func.count()).where(of_one))

    def has_come_to(self, batches: int, run: Run) -> bool:
        """Say whether so many were and somebody is at the next; or the run has ended
        before anybody looked."""
        if run.poll() is not None:
            return True
        return self.batches() >= batches and bool(self.holders())

    def _scalar(self, query: Any) -> int:
        with self.engine.connect() as db:
            return int(db.execute(query).scalar_one())

    def leases(self) -> list[str]:
        """Who holds a range, range by range."""
        query = select(ROTATION_RANGE.c.lease).order_by(ROTATION_RANGE.c.id)
        with self.engine.connect() as db:
            return list(db.execute(query).scalars())

    def holders(self) -> set[int]:
        """The numbers of the processes that hold a range."""
        return {int(lease.split()[1]) for lease in self.leases() if lease}

    def kill(self, process: int) -> None:
        """SIGKILL a process that holds a range, or one of ours; it may be gone."""
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    def require_whole(self, cards: int = CARDS) -> None:
        """Every card is there and opens, of the newest generation alone, and
        everything verifies."""
        ops = self.open_vault()
        with self.engine.connect() as db:
            assert {f.subject: f.problem for f in verify(ops, db)} == {}
            rows = db.execute(select(CARD)).all()
            opened = [ops.digits(db, row) for row in rows]
            kept = set(db.execute(select(DATA_KEY.c.state)).scalars())
        assert (len(rows), set(opened)) == (cards, {NUMBER})
        assert self.done() == cards
        assert "destroyed" in kept
        assert self.leases() == []


def until(true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that others bring about."""
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, "it did not come to pass"
        time.sleep(0.03)


def connected(place: Place) -> Many:
    """A place with an engine on its vault."""
    return Many(place, connect(place.environ()["VAULT_DATABASE_URL"]))
