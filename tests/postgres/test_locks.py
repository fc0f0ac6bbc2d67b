"""Who waits for whom on PostgreSQL: never one for the other in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from app.cards.models import Customer
from tests.places.postgres_cluster import Cluster
from tests.places.site import Place
from tests.places.vault import FakeClock, VaultPlace
from tests.postgres.many import until
from vault import Actor, Expiry, Pan, Token, Vault, WebKey
from vault.clock import system_clock
from vault.ops import RootKey
from vault.ops.create import create_vault
from vault.ops.rotation import workers
from vault.ops.rotation.batches import Batches
from vault.ops.rotation.ranges import take
from vault.ops.rotation.rotation import Rotation
from vault.ops.rotation.start import take_up
from vault.store.database import connect
from vault.store.schema import CARD
from vault.web.live_key import DATA_KEY_SECONDS

pytestmark = pytest.mark.postgres

HANGS = 120
OPS, TARO = Actor("ops", "command"), Actor("taro", "192.0.2.1")
# Long enough for a slow machine; a test that fails ends, and leaves nobody waiting.
PATIENT = "?options=-c%20lock_timeout%3D60s%20-c%20statement_timeout%3D60s"
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def place(
    server: Cluster, tmp_path: Path, keys: tuple[WebKey, RootKey], clock: FakeClock
) -> Iterator[VaultPlace]:
    """A vault just founded."""
    with server.database("locks") as url:
        engine = connect(url + PATIENT)
        create_vault(*keys, engine, clock, OPS)
        yield VaultPlace(tmp_path, url, *keys, engine, clock)
        engine.dispose()


@contextmanager
def beside(
    place: VaultPlace, *acts: Callable[[], object], already: int = 0
) -> Iterator[None]:
    """Each act in a thread of its own; all of them wait for a lock when the block
    begins, as ``already`` others do, and have to succeed when it is over."""
    with ThreadPoolExecutor(len(acts)) as threads:
        running = [threads.submit(act) for act in acts]
        until(lambda: waiting(place) == len(acts) + already)
        yield
    for act in running:
        act.result()


def waiting(place: VaultPlace) -> int:
    """How many wait for a lock."""
    with place.engine.connect() as db:
        return int(db.execute(text(WAITING)).scalar_one())


def register(vault: Vault, db: Connection) -> Token:
    """A card as the site seals it."""
    return vault.tokenize(db, Pan.parse("4810000000020000"), Expiry(2030, 1), TARO)


def register_customer(url: str) -> None:
    """A customer newer than every card, as where a crash left those without one."""
    names = ("public_id", "name", "name_folded", "phone", "phone_digits", "token")
    words = dict.fromkeys((*names, "brand", "prefix", "last4", "created_by"), "x")
    numbers = {"length": 16, "expiry": 203001, "rev": 1, "created_at": system_clock()}
    row = {**words, **numbers, "updated_at": system_clock()}
    engine = connect(url)
    with Session(engine) as site:
        site.add(Customer(**row))
        site.commit()
    engine.dispose()


def begun(place: VaultPlace, cards: int) -> tuple[Vault, Rotation]:
    """A web process that sealed ``cards``, and a rotation of them."""
    web = place.vault()
    for _ in range(cards):
        with place.engine.begin() as db:
            register(web, db)
    return web, take_up(place.open_vault(), OPS, "")


def test_a_registration_while_the_old_keys_go(place: VaultPlace) -> None:
    """A process that sealed before the rotation registers, and holds its key, while
    that is to be destroyed: who comes second waits for the first and for nothing
    else."""
    web, rotation = begun(place, 1)
    for _ in (*rotation.reencrypt(10), *rotation.read_back()):
        pass
    with place.engine.connect() as db:
        register(web, db)
        with beside(place, lambda: rotation.finish(OPS)):
            db.commit()
    assert rotation.row["keys_destroyed"] == 1
    assert place.findings() == {}


def test_a_registration_while_a_days_old_rotation_seals(place: VaultPlace) -> None:
    """The rotation's key is a day old and is retired by whoever registers, while a
    batch was written under it and waits for the trail."""
    web, rotation = begun(place, 4)
    place.clock.advance(DATA_KEY_SECONDS + 1)

    def seal() -> None:
        with place.engine.begin() as db:
            register(web, db)

    with place.engine.connect() as db:
        web.trail.lock(db)
        with (
            beside(place, lambda: next(rotation.reencrypt(2))),
            beside(place, seal, already=1),
        ):
            db.commit()
    for _ in (*rotation.reencrypt(10), *rotation.read_back()):
        pass
    rotation.finish(OPS)
    assert place.findings() == {}


def test_workers_wait_only_for_the_trail(place: VaultPlace) -> None:
    """Two have re-encrypted their cards while somebody holds it; then they go on one
    after the other."""
    _, rotation = begun(place, 6)
    ops = place.open_vault()
    batches = Batches(ops, rotation.row, OPS)

    def write(after: int) -> None:
        with place.engine.begin() as db:
            batches.run(db, after, 2)

    with place.engine.connect() as db:
        ops.trail.lock(db)
        with beside(place, lambda: write(0), lambda: write(2)):
            free = select(CARD.c.id).with_for_update(skip_locked=True)
            assert sorted(db.execute(free).scalars()) == [5, 6]
            db.commit()
    assert place.findings() == {}


def test_a_batch_that_waits_for_the_trail_gives_its_cards_up(
    place: VaultPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit of one of them goes on as soon as the batch has waited its first time,
    and the batch begins anew."""
    _, rotation = begun(place, 2)
    monkeypatch.setattr(workers, "PATIENCE", (0.01,) * 1000)
    tried: list[int] = []
    run = Batches.run

    def count(batches: Batches, *args: object) -> object:
        tried.append(len(tried))
        return run(batches, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Batches, "run", count)
    with ThreadPoolExecutor(1) as thread, place.engine.connect() as db:
        place.open_vault().trail.lock(db)
        batch = thread.submit(lambda: next(rotation.reencrypt(2)))
        until(lambda: len(tried) > 1)
        # Whoever has the trail gets the cards too, which a batch that kept them while
        # it waits for the trail would never let happen.
        db.execute(select(CARD.c.id).with_for_update())
        db.commit()
        batch.result(HANGS)
    for _ in (*rotation.reencrypt(10), *rotation.read_back()):
        pass
    rotation.finish(OPS)
    assert rotation.row["reencrypted"] == 2
    assert place.findings() == {}


def test_reconcile_beside_a_rotation(
    tmp_path: Path, databases: tuple[str, str]
) -> None:
    """It removes several cards in one transaction: it waits for the batch that has
    one of them, and the batch doesn't wait for it."""
    url = databases[1] + PATIENT
    more = {"DATABASE_URL": databases[0], "VAULT_DATABASE_URL": url}
    here = Place(tmp_path, more=more).make()
    engine, web_key = connect(url), WebKey.read(tmp_path / "web.key")
    root_key = RootKey.parse((tmp_path / "root.key").read_text(), "", None)
    ago = FakeClock(system_clock() - 2 * 3600)
    place = VaultPlace(tmp_path, url, web_key, root_key, engine, ago)
    _, rotation = begun(place, 2)
    register_customer(databases[0])
    with engine.connect() as db:
        last = select(CARD.c.id).order_by(CARD.c.token.desc()).limit(1)
        last_id = db.execute(last.with_for_update()).scalar_one()
        batches = Batches(place.open_vault(), rotation.row, OPS)

        def write() -> None:
            with engine.begin() as db:
                batches.run(db, last_id - 1, 1)

        def reconcile() -> None:
            words = ("flask", "--app", "wsgi", "cards", "reconcile", "--apply")
            done = here.run(*words)
            assert done.stdout.count("removed") == 2, done.stderr

        with beside(place, write), beside(place, reconcile, already=1):
            db.commit()
    assert place.findings() == {}
    engine.dispose()


def test_one_range_is_one_workers(place: VaultPlace) -> None:
    """Whoever reads it as free at the same moment is too late."""
    _, rotation = begun(place, 2)
    ops = place.open_vault()
    taken = take(ops, rotation.id)
    assert taken is not None
    assert taken.row["last_card"] == 2
    taken.release()
    with place.engine.connect() as db:
        taken.hold(db)
        late: list[object] = []
        with beside(place, lambda: late.append(take(ops, rotation.id))):
            db.commit()
    assert late == [None]
