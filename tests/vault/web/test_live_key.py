"""The live data key leaves memory when it is dropped."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from tests.places.vault import VISA, VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault
from vault.crypto import Cipher
from vault.ops.rotation.start import take_up
from vault.store.schema import DATA_KEY
from vault.web.data_keys import DATA_KEY_SEALS
from vault.web.live_key import DATA_KEY_SECONDS, KeyMemory, LiveKey

Register = Callable[..., Token]
OPS = Actor("ops", "command")


@dataclass
class Hours:
    """A monotonic clock and the timers that go by it."""

    now: float = 1000.0
    waiting: list[tuple[float, Callable[..., None], list[Any]]] = field(
        default_factory=list
    )

    def timer(
        self, seconds: float, act: Callable[..., None], words: list[Any]
    ) -> threading.Thread:
        """Stand for ``threading.Timer``; the thread does nothing when started."""
        self.waiting.append((self.now + seconds, act, words))
        return threading.Thread()

    def advance(self, seconds: float) -> None:
        """Let time pass and every timer that is due go off."""
        self.now += seconds
        due = [timer for timer in self.waiting if timer[0] <= self.now]
        self.waiting = [timer for timer in self.waiting if timer[0] > self.now]
        for _, act, words in due:
            act(*words)


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    """Timers that go off when the test says so."""
    hours = Hours()
    clock = SimpleNamespace(monotonic=lambda: hours.now)
    monkeypatch.setattr("vault.web.live_key.time", clock)
    monkeypatch.setattr("vault.web.live_key.threading.Timer", hours.timer)
    return hours


@pytest.fixture
def held() -> Callable[[], list[int]]:
    """The numbers of the live keys in memory that were made since."""
    before = {id(kept) for kept in _live_keys()}

    def held() -> list[int]:
        return sorted(key.id for key in _live_keys() if id(key) not in before)

    return held


def _live_keys() -> list[LiveKey]:
    gc.collect()
    return [kept for kept in gc.get_objects() if type(kept) is LiveKey]


def a_key(number: int) -> LiveKey:
    """A key nobody else has."""
    return LiveKey(number, Cipher(bytes(32)), b"", 0)


def test_an_idle_process_drops_its_key_after_a_day(
    hours: Hours, register: Register, held: Callable[[], list[int]]
) -> None:
    """Not a second earlier, and nobody has to ask."""
    register()
    hours.advance(DATA_KEY_SECONDS - 1)
    assert held() == [1]
    hours.advance(1)
    assert (held(), hours.waiting) == ([], [])


def test_one_timer_waits_for_all_keys_one_after_the_other(
    hours: Hours, held: Callable[[], list[int]]
) -> None:
    """A key that came later has its own whole day."""
    memory = KeyMemory()
    for number in range(1, 6):
        memory.keep(a_key(number))
        hours.advance(3600)
    assert (held(), len(hours.waiting)) == ([5], 1)
    hours.advance(DATA_KEY_SECONDS - 3600 - 1)
    assert (held(), len(hours.waiting)) == ([5], 1)
    hours.advance(1)
    assert (held(), hours.waiting) == ([], [])
    memory.keep(a_key(6))
    assert (held(), len(hours.waiting)) == ([6], 1)


@pytest.mark.parametrize(
    "wear", [{"seals": DATA_KEY_SEALS}, {"state": "retired"}, {"generation": 0}]
)
def test_a_worn_key_leaves_memory_at_the_next_seal(
    hours: Hours,
    place: VaultPlace,
    register: Register,
    held: Callable[[], list[int]],
    wear: dict[str, Any],
) -> None:
    """And not at its day's end: nothing but the new one is there."""
    for _ in range(5):
        register()
        with place.engine.begin() as db:
            newest = db.execute(select(DATA_KEY).order_by(DATA_KEY.c.id.desc())).first()
            assert newest is not None
            place.vault().set_key(db, newest, **wear)
    register()
    assert held() == [6]
    assert len(hours.waiting) == 1


def test_a_key_of_an_older_generation_leaves_memory(
    place: VaultPlace, register: Register, held: Callable[[], list[int]]
) -> None:
    """With the first seal after a rotation began."""
    register()
    take_up(place.open_vault(), OPS, "")
    assert 1 in held()
    register()
    assert 1 not in held()


def test_a_key_goes_before_another_is_minted(
    place: VaultPlace,
    register: Register,
    held: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the minting fails the worn one is gone all the same."""
    register()
    with place.engine.begin() as db:
        place.vault().set_key(
            db, db.execute(select(DATA_KEY)).one(), seals=DATA_KEY_SEALS
        )

    def fails(*_: object, **__: object) -> None:
        raise SQLAlchemyError("no room")

    with monkeypatch.context() as here:
        here.setattr(Vault, "mint_key", fails)
        with pytest.raises(SQLAlchemyError):
            register()
    assert held() == []


def test_mints_that_are_rolled_back_leave_nothing(
    vault: Vault,
    operator_actor: Actor,
    held: Callable[[], list[int]],
) -> None:
    """Twenty registrations that fail: one key, one thread, as after one that didn't."""
    threads = threading.active_count()
    for _ in range(20):
        with vault.engine.connect() as db:
            db.begin()
            vault.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
            db.rollback()
    assert len(held()) == 1
    assert threading.active_count() == threads + 1


def test_a_vault_that_is_gone_takes_its_key_along(
    hours: Hours, held: Callable[[], list[int]]
) -> None:
    """The timer that still waits for it holds nothing."""
    memory = KeyMemory()
    memory.keep(a_key(1))
    assert held() == [1]
    del memory
    assert held() == []
    hours.advance(DATA_KEY_SECONDS)
    assert hours.waiting == []
