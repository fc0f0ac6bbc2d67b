"""Several processes on one rotation: what one leaves another takes, and no more."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select

from tests.kill_points import points_in
from tests.lengths import at_length
from tests.postgres.many import CARDS, Many, Run, until
from vault import Actor, Expiry, Pan, Token, Vault
from vault.clock import system_clock
from vault.store.schema import CARD

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

WRITERS = 4
KILLS = at_length(3, 6)
TRIES = 10
# Those of ranges and batches; the last one comes when no range is left.
STEPS = [
    step
    for step in points_in("vault/ops/rotation/*.py")
    if step.startswith(("range-", "batch-"))
]
STEPS.append("ranges-done")


class Writer:
    """An operator who registers, edits and deletes until he is told to go home."""

    def __init__(self, vault: Vault, seed: int, tokens: list[str]) -> None:
        self._vault = vault
        self._draw = random.Random(seed)
        self._by = Actor(f"writer {seed}", "192.0.2.1")
        self._untouched = tokens
        self.left: dict[str, int | None] = {}

    def write(self, home: Event) -> None:
        """Act after act, each in a transaction; every one must succeed."""
        while not home.is_set():
            token = self._untouched.pop(self._draw.randrange(len(self._untouched)))
            self._draw.choice([self._edit, self._delete, self._replace])(Token(token))

    def _edit(self, token: Token) -> None:
        with self._vault.engine.begin() as db:
            self._vault.set_expiry(db, token, Expiry(2040, 1), self._by)
        self.left[token] = 204001

    def _delete(self, token: Token) -> None:
        with self._vault.engine.begin() as db:
            self._vault.delete(db, token, self._by)
        self.left[token] = None

    def _replace(self, token: Token) -> None:
        pan = Pan.parse("4810000000020000")
        with self._vault.engine.begin() as db:
            new = self._vault.replace(db, token, pan, Expiry(2041, 1), self._by)
        with self._vault.engine.begin() as db:
            self._vault.delete(db, token, self._by)
        self.left |= {token: None, new: 204101}


def writers(many: Many) -> Iterator[Writer]:
    """Each with the tokens of his own customers."""
    with many.engine.connect() as db:
        tokens = list(db.execute(select(CARD.c.token)).scalars())
    for seed in range(WRITERS):
        vault = Vault(many.web_key, many.engine, system_clock)
        yield Writer(vault, seed, tokens[seed::WRITERS])


def test_two_workers_under_writers_lose_nothing(many: Many) -> None:
    """No error, no deadlock, every edit kept, the census at zero."""
    crowd, home = list(writers(many)), Event()
    with ThreadPoolExecutor(WRITERS) as threads:
        writing = [threads.submit(writer.write, home) for writer in crowd]
        ran = many.rotate("--workers", "2", "--batch", "500", "--json")
        home.set()
        for done in writing:
            done.result()
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    left = {token: key for writer in crowd for token, key in writer.left.items()}
    kept = {token: key for token, key in left.items() if key is not None}
    with many.engine.connect() as db:
        cards = {
            r.token: r.expiry for r in db.execute(select(CARD.c.token, CARD.c.expiry))
        }
    assert (told["left"], told["quarantined"]) == (0, 0)
    assert {token: cards.get(token) for token in left} == {
        **dict.fromkeys(left),
        **kept,
    }
    assert len(kept) > 10
    many.require_whole(len(cards))


def test_every_process_killed_at_each_step_the_next_command_finishes(
    many: Many,
) -> None:
    """Both workers die there, then the first process; step after step, on what the
    step before has left, and nothing is lost."""
    for step in STEPS:
        words = ("--workers", "2", "--batch", "100")
        killed = many.start(*words, kill_at=step)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL, step
    ran = many.rotate("--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["reencrypted"] == CARDS
    many.require_whole()


def test_killed_at_random_instants_the_same_command_finishes(many: Many) -> None:
    """The first process or one of its workers, whoever it hits."""
    draw, words = random.Random(20261128), ("--workers", "2", "--batch", "100")
    for _ in range(KILLS):
        goal, run = many.batches() + draw.randrange(1, 5), many.start(*words)
        until(partial(many.has_come_to, goal, run))
        many.kill(draw.choice(sorted({run.pid, *many.holders()})))
        many.kill(run.pid)
        run.communicate()
    ran = many.rotate(*words, "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["reencrypted"] == CARDS
    many.require_whole()


def test_workers_end_when_the_first_process_is_gone(many: Many) -> None:
    """At a batch's end, their ranges free: nothing goes on behind anybody's back."""
    run = many.start("--workers", "2", "--batch", "20", "--max-rate", "40")
    until(lambda: len(many.holders()) == 2)
    workers = many.holders()
    many.kill(run.pid)
    run.wait()
    until(lambda: not [pid for pid in workers if Path(f"/proc/{pid}/exe").exists()])
    assert set(many.leases()) == {""}
    assert many.done() < CARDS


def two_at_work(many: Many, *words: str) -> tuple[Run, set[int]]:
    """A rotation and its two workers, each of which has a range; begun anew when it
    had ended before anybody looked."""
    for _ in range(TRIES):
        run = many.start("--workers", "2", *words)
        while run.poll() is None:
            if len(holders := many.holders()) == 2:
                return run, holders
        run.communicate()
    raise AssertionError("two were never seen at work")


@pytest.mark.parametrize("count", [1, 2])
def test_a_dead_workers_range_is_taken_by_who_is_left(many: Many, count: int) -> None:
    """By the other one, or by the first process when no worker is left."""
    run, holders = two_at_work(many, "--batch", "100", "--json")
    for process in sorted(holders)[:count]:
        many.kill(process)
    out, err = run.communicate()
    assert run.returncode == 0, err
    assert json.loads(out)["reencrypted"] == CARDS
    many.require_whole()


def test_a_stop_ends_every_process_at_a_batchs_end(many: Many) -> None:
    """Exit 3 counts what all did, every range is free, and the next one goes on."""
    run = many.start("--workers", "2", "--batch", "20", "--max-rate", "40")
    until(lambda: len(many.holders()) == 2)
    run.terminate()
    _, err = run.communicate()
    assert run.returncode == 3
    assert f"stopped: {many.done():,} cards re-encrypted so far" in err
    assert 0 < many.done() < CARDS
    assert set(many.leases()) == {""}
    assert many.rotate("--workers", "2").returncode == 0
    many.require_whole()


def test_the_root_key_is_in_no_workers_arguments_or_environment(many: Many) -> None:
    """It reaches them through memory; and one rate is for all of them together."""
    seed = json.loads((many.place.folder / "root.key").read_text())["seed"]
    began = time.monotonic()
    run = many.start("--workers", "2", "--batch", "100", "--max-rate", "200")
    until(lambda: len(many.holders()) == 2 and many.done() >= 800)
    done = many.done()
    # Each one's first batch starts its clock, and the second doesn't wait.
    assert done <= 4 * 100 + 200 * (time.monotonic() - began)
    for process in many.holders():
        assert process != run.pid
        for name in ("cmdline", "environ"):
            assert seed.encode() not in Path(f"/proc/{process}/{name}").read_bytes()
    run.terminate()
    run.communicate()
