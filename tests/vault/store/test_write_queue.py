"""The writers' queue: who came first writes first, and nothing holds it up for long."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from tests.forked import Piped, typist
from tests.places.site import ROOT
from tests.places.site import Place as TheirPlace
from vault.store import write_queue
from vault.store.database import connect, reading
from vault.store.sqlite import checkpoint
from vault.store.write_queue import Place, WriteQueue

# Long enough for any machine: a test that waits for it has failed.
PATIENCE = 60.0

# What another process does: it stands in the queue, tells so, tells when it is its
# turn, and leaves when it is told to.
STANDS = """
import sys
from pathlib import Path
from vault.store.write_queue import WriteQueue
place = WriteQueue(Path(sys.argv[1])).stand()
print("stands", flush=True)
place.await_turn(60)
with open(sys.argv[1] + ".turns", "a") as turns:
    turns.write(sys.argv[2] + " ")
print("turn", flush=True)
sys.stdin.readline()
place.leave()
"""
# Another that writes to the database, and ends its transaction when told to.
WRITES = """
import sys
from sqlalchemy import text
from vault.store.database import connect
with connect("sqlite:///" + sys.argv[1]).begin() as db:
    db.execute(text("INSERT INTO kept VALUES ('theirs')"))
    print("writes", flush=True)
    sys.stdin.readline()
print("wrote", flush=True)
"""
# Another that forks while it stands; the one that it forked outlives it.
FORKS = """
import os, sys
from pathlib import Path
from vault.store.write_queue import WriteQueue
place = WriteQueue(Path(sys.argv[1])).stand()
if os.fork() == 0:
    place.leave()
    print("forked", flush=True)
    sys.stdin.readline()
    print("outlived it", flush=True)
    os._exit(0)
os.wait()
"""


@dataclass
class Others:
    """Other processes at ``path``, ended with the test."""

    path: Path
    running: list[Piped] = field(default_factory=list)

    def start(self, script: str, *words: str) -> Piped:
        """Start one and return when it has said its first line."""
        other = typist().pipe(
            *("python", "-c", script, str(self.path), *words),
            folder=ROOT,
            environ=os.environ,
        )
        self.running.append(other)
        assert said(other)
        return other

    def end(self) -> None:
        """Kill what still runs."""
        for other in self.running:
            other.kill()
            other.communicate()


def said(other: Piped) -> str:
    """The next line that a process says."""
    return other.stdout.readline().decode().strip()


def tell(other: Piped) -> None:
    """Let a process go on."""
    other.stdin.write(b"\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a table."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE kept (what TEXT)")
    return path


@pytest.fixture
def queue(path: Path) -> WriteQueue:
    """Its queue."""
    return WriteQueue(path)


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    """An engine on it."""
    engine = connect(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture
def others(path: Path) -> Iterator[Others]:
    """Other processes on it."""
    others = Others(path)
    yield others
    others.end()


def stand(queue: WriteQueue) -> Place:
    """Take a place that there must be."""
    place = queue.stand()
    assert place is not None
    return place


@contextmanager
def standing(queue: WriteQueue) -> Iterator[Place]:
    """A place, left at the block's end."""
    place = stand(queue)
    yield place
    place.leave()


def begun(act: Callable[[], None]) -> threading.Thread:
    """A thread that does something."""
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def ended(*threads: threading.Thread) -> bool:
    """Say whether all of them came to their end."""
    for thread in threads:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in threads)


def write(engine: Engine, what: str = "ours") -> None:
    """Write one row."""
    with engine.begin() as db:
        db.execute(text("INSERT INTO kept VALUES (:what)"), {"what": what})


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def kept(path: Path) -> list[str]:
    """Every row, in the order of writing."""
    with closing(sqlite3.connect(path)) as db:
        return [what for (what,) in db.execute("SELECT what FROM kept ORDER BY rowid")]


def next_place(queue: WriteQueue) -> int:
    """The place that will be given next, as the file says it; 0 when there is none."""
    content = queue.path.read_bytes() if queue.path.exists() else b""
    return int.from_bytes(content[:8], "little")


def wait_until_stands(queue: WriteQueue, number: int) -> None:
    """Return when the place ``number`` was given, as the file says it."""
    give_up = time.monotonic() + PATIENCE
    while next_place(queue) <= number:
        assert time.monotonic() < give_up
        time.sleep(0.001)


def test_threads_write_in_the_order_they_came(
    path: Path, queue: WriteQueue, engine: Engine
) -> None:
    """One that comes back at once stands behind those who were there."""
    threads = []
    with engine.begin() as db:
        db.execute(text("INSERT INTO kept VALUES ('first')"))
        for number in range(8):
            name = f"thread {number}"
            threads.append(begun(partial(write, engine, name)))
            wait_until_stands(queue, number + 2)
    write(engine, "first again")
    assert ended(*threads)
    names = [f"thread {number}" for number in range(8)]
    assert kept(path) == ["first", *names, "first again"]


def test_processes_and_threads_have_one_order(
    path: Path, queue: WriteQueue, others: Others
) -> None:
    """Whoever stood first has its turn first, wherever it runs."""
    turns = path.with_name(path.name + ".turns")
    holder, threads = stand(queue), []
    for number in range(0, 6, 2):
        others.start(STANDS, str(number))
        place = stand(queue)

        def take_turn(place: Place = place, name: int = number + 1) -> None:
            assert place.await_turn(PATIENCE)
            with turns.open("a") as file:
                file.write(f"{name} ")
            place.leave()

        threads.append(begun(take_turn))
    for other in others.running:
        tell(other)
    assert not turns.exists()
    holder.leave()
    assert ended(*threads)
    assert turns.read_text().split() == [str(number) for number in range(6)]


def test_a_dead_holders_place_is_free(queue: WriteQueue, others: Others) -> None:
    """The kernel frees it: nobody has to notice."""
    holder, place = others.start(STANDS, "0"), stand(queue)
    assert said(holder) == "turn"
    assert not place.await_turn(0)
    holder.kill()
    assert place.await_turn(PATIENCE)


def test_a_dead_waiters_place_lets_nobody_past_the_holder(
    queue: WriteQueue, others: Others
) -> None:
    """Who stood behind it waits for the one that stood before it."""
    holder = stand(queue)
    waiter = others.start(STANDS, "1")
    place, turns = stand(queue), []
    thread = begun(lambda: turns.append(place.await_turn(PATIENCE)))
    waiter.kill()
    waiter.wait()
    assert not place.await_turn(0)
    holder.leave()
    assert ended(thread)
    assert turns == [True]


def test_one_stopped_while_it_writes_is_nothing_moves(
    path: Path, engine: Engine, others: Others
) -> None:
    """Whoever waits is told "locked", and when it goes on nothing is lost."""
    writer = others.start(WRITES)
    os.kill(writer.pid, signal.SIGSTOP)
    hasty = engine.execution_options(lock_wait=0.05)
    for _ in range(2):
        with pytest.raises(OperationalError, match="database is locked"):
            write(hasty)
    os.kill(writer.pid, signal.SIGCONT)
    tell(writer)
    assert said(writer) == "wrote"
    write(engine)
    assert kept(path) == ["theirs", "ours"]


def test_one_stopped_before_it_writes_is_passed(
    path: Path, queue: WriteQueue, engine: Engine, others: Others
) -> None:
    """The first behind it waits two seconds, and from then on nobody does."""
    stopped = others.start(STANDS, "1")
    os.kill(stopped.pid, signal.SIGSTOP)
    write(engine.execution_options(lock_wait=0.05))
    place = stand(queue)
    assert place.await_turn(0)
    place.leave()
    write(engine)
    assert kept(path) == ["ours", "ours"]


def test_of_all_that_give_up_at_one_instant_one_passes(
    queue: WriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others see that it moved, and come in their turn."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.monotonic_ns", lambda: int(now[0] * 1e9))
    still, first, second = (stand(queue) for _ in range(3))
    tried: list[str] = []
    now[0] += 2.1
    assert not first.await_turn(2.0)
    assert not second.await_turn(2.0)
    assert first.pass_by(lambda: tried.append("first"), 2.0)
    assert not second.pass_by(lambda: tried.append("second"), 2.0)
    assert tried == ["first"]
    first.leave()
    assert second.await_turn(0)
    still.leave()


def test_a_queue_that_moves_is_waited_for(
    queue: WriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds without a turn are too long, and no time with one in each two."""
    now = [1000.0]
    monkeypatch.setattr(write_queue, "LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.monotonic_ns", lambda: int(now[0] * 1e9))
    before = [stand(queue) for _ in range(5)]
    place = stand(queue)
    for earlier in before:
        earlier.begun()
        now[0] += 1.9
        assert place.give_up_at(2.0) > now[0]
    now[0] += 0.2
    assert not place.await_turn(2.0)
    before[-1].begun()
    assert place.give_up_at(2.0) == pytest.approx(now[0] + 2.0)


def test_nothing_said_before_one_came_makes_it_wait_longer(
    queue: WriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an older turn nor one that hasn't come yet, as after a restart."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    holder = stand(queue)
    place = stand(queue)
    for moved in (999.0, 5000.0):
        with queue.path.open("r+b") as file:
            file.seek(16)
            file.write(int(moved * 1e9).to_bytes(8, "little"))
        assert place.give_up_at(2.0) == 1002.0
    holder.leave()


def test_one_out_of_a_crowd_of_threads_that_wait_still_has_its_turn(
    queue: WriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a thread to wait in the kernel it looks now and then."""
    monkeypatch.setattr(write_queue, "LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(write_queue, "_helpers", threading.BoundedSemaphore(1))
    holder, waiting, last = stand(queue), stand(queue), stand(queue)
    turns: list[bool] = []

    def take_turn(place: Place) -> None:
        turns.append(place.await_turn(PATIENCE))
        place.leave()

    threads = [begun(lambda: take_turn(waiting)), begun(lambda: take_turn(last))]
    holder.leave()
    assert ended(*threads)
    assert turns == [True, True]


def test_who_waits_in_vain_leaves_nothing_behind(
    queue: WriteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread and its file are gone when the one before it is."""
    monkeypatch.setattr(write_queue, "LOOK_AGAIN_SECONDS", 0.01)
    files, threads = open_files(), threading.active_count()
    holder = stand(queue)
    for _ in range(3):
        place = stand(queue)
        assert not place.await_turn(0.05)
        place.leave()
    holder.leave()
    give_up = time.monotonic() + PATIENCE
    while threading.active_count() > threads and time.monotonic() < give_up:
        time.sleep(0.001)
    assert open_files() == files


def test_one_that_was_forked_holds_no_place(queue: WriteQueue, others: Others) -> None:
    """It can't leave its parent's, nor keep it when the parent is dead."""
    parent, place = others.start(FORKS), stand(queue)
    assert not place.await_turn(0)
    parent.kill()
    parent.wait()
    assert place.await_turn(PATIENCE)
    tell(parent)
    assert said(parent) == "outlived it"


def test_the_file_is_its_owners_alone_and_may_go(
    path: Path, queue: WriteQueue, engine: Engine
) -> None:
    """Removed while somebody writes, it is made anew, and SQLite keeps the order."""
    path.chmod(0o600)
    with engine.begin() as db:
        db.execute(text("INSERT INTO kept VALUES ('first')"))
        assert queue.path.stat().st_mode & 0o777 == 0o600
        queue.path.unlink()
        thread = begun(lambda: write(engine, "second"))
        give_up = time.monotonic() + PATIENCE
        while not queue.path.exists():
            assert time.monotonic() < give_up
    assert ended(thread)
    assert kept(path) == ["first", "second"]


@pytest.mark.parametrize(
    ("mode", "own"), [(0o600, 0o600), (0o644, 0o600), (0o660, 0o660), (0o666, 0o660)]
)
def test_who_may_write_to_the_database_may_stand(
    path: Path, queue: WriteQueue, mode: int, own: int
) -> None:
    """Nobody else: one who can read it could stand in the way."""
    path.chmod(mode)
    stand(queue).leave()
    assert queue.path.stat().st_mode & 0o777 == own


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 24, b"short", b"\x00" * 24, b"\x01" * 4096]
)
def test_whatever_stands_in_the_file_spoils_nothing(
    path: Path, queue: WriteQueue, engine: Engine, content: bytes
) -> None:
    """Everybody writes, and a place is given after the other again."""
    queue.path.write_bytes(content)
    for _ in range(3):
        write(engine)
    first, second = stand(queue), stand(queue)
    assert first.await_turn(0)
    assert not second.await_turn(0)
    assert kept(path) == ["ours"] * 3


PUT: dict[str, Callable[[Path, Path], object]] = {
    "folder": lambda place, _other: place.mkdir(),
    "pipe": lambda place, _other: os.mkfifo(place),
    "link": lambda place, other: place.symlink_to(other),
    "second name": lambda place, other: place.hardlink_to(other),
}


@pytest.mark.parametrize("what", PUT)
def test_what_is_no_queue_is_left_alone(
    path: Path,
    queue: WriteQueue,
    engine: Engine,
    tmp_path: Path,
    what: str,
) -> None:
    """SQLite's own lock is enough then, and no other file is written into."""
    other = tmp_path / "other"
    other.write_bytes(b"something else")
    PUT[what](queue.path, other)
    write(engine)
    assert queue.stand() is None
    assert other.read_bytes() == b"something else"
    assert kept(path) == ["ours"]


def test_a_file_system_without_such_locks_will_do(
    path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer asks until it gets SQLite's lock, and gives up in the same time."""

    def refuse(*_: object) -> bytes:
        raise OSError("no locks available")

    monkeypatch.setattr("fcntl.fcntl", refuse)
    write(engine)
    hasty = engine.execution_options(lock_wait=0.05)
    with engine.begin(), pytest.raises(OperationalError, match="locked"):
        write(hasty)
    assert kept(path) == ["ours"]


# Another that is not root, whom nothing is refused.
NOT_ROOT = """
import os, sys
from sqlalchemy import text
from vault.store.database import connect
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
with connect("sqlite:///" + sys.argv[1]).begin() as db:
    db.execute(text("INSERT INTO kept VALUES ('theirs')"))
print("wrote", flush=True)
"""


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A database in a folder that every account gets into."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE kept (what TEXT)")
        yield path


def test_a_folder_that_can_not_be_written_will_do(open_path: Path) -> None:
    """SQLite's files are there and may be written; the queue can't be made."""
    others = Others(open_path)
    with closing(sqlite3.connect(open_path)) as db:
        db.execute("SELECT * FROM kept").fetchall()
        for file in open_path.parent.iterdir():
            file.chmod(0o666)
        open_path.parent.chmod(0o555)
        others.start(NOT_ROOT)
        open_path.parent.chmod(0o700)
    others.end()
    assert kept(open_path) == ["theirs"]
    assert not WriteQueue(open_path).path.exists()


def test_the_databases_owner_takes_away_a_queue_they_can_not_open(
    open_path: Path,
) -> None:
    """root's command made it before the files were given to the site's account."""
    queue = WriteQueue(open_path)
    stand(queue).leave()
    queue.path.chmod(0)
    if os.geteuid() == 0:
        for file in (open_path, open_path.parent):
            os.chown(file, 65534, 65534)
    others = Others(open_path)
    others.start(NOT_ROOT)
    others.end()
    assert kept(open_path) == ["theirs"]
    assert queue.path.stat().st_uid == open_path.stat().st_uid
    assert queue.path.stat().st_mode & 0o777 == 0o600


def test_who_reads_stands_in_no_queue(
    path: Path, queue: WriteQueue, engine: Engine
) -> None:
    """Neither makes one, nor waits for those who stand."""
    engines = [connect(f"sqlite:///{path}", read_only=True), engine]
    for one in engines:
        with reading(one) as db:
            assert db.execute(text("SELECT count(*) FROM kept")).scalar() == 0
    with pytest.raises(OperationalError, match="readonly"):
        write(engines[0])
    assert not queue.path.exists()
    with standing(queue):
        for one in engines:
            with reading(one) as db:
                db.execute(text("SELECT count(*) FROM kept"))
    assert next_place(queue) == 2
    engines[0].dispose()


def test_a_stranger_to_the_queue_is_asked_after(path: Path, engine: Engine) -> None:
    """Somebody's shell holds the lock: the first asks until it goes, the others stand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("INSERT INTO kept VALUES ('shell')")
        with pytest.raises(OperationalError, match="locked"):
            write(engine.execution_options(lock_wait=0.05))
        patient = engine.execution_options(lock_wait=PATIENCE)
        threads = [begun(lambda: write(patient)) for _ in range(3)]
        wait_until_stands(WriteQueue(path), 4)
        shell.execute("COMMIT")
        assert ended(*threads)
    assert kept(path) == ["shell", "ours", "ours", "ours"]


def test_a_second_transaction_inside_the_first_is_locked_out(
    path: Path, engine: Engine
) -> None:
    """As SQLite has it; the first one keeps its place and is not spoiled."""
    hasty = engine.execution_options(lock_wait=0.05)
    with engine.begin() as db:
        with pytest.raises(OperationalError, match="locked"):
            write(hasty)
        with standing(WriteQueue(path)) as behind:
            assert not behind.await_turn(0)
        db.execute(text("INSERT INTO kept VALUES ('first')"))
    with standing(WriteQueue(path)) as after:
        assert after.await_turn(0)
    assert kept(path) == ["first"]


@pytest.mark.parametrize("end", ["commit", "rollback", "close", "forgotten"])
def test_however_a_transaction_ends_its_place_is_free(
    queue: WriteQueue, engine: Engine, end: str
) -> None:
    """Even when nobody ends it."""
    db = engine.connect()
    begun = db.begin()
    with standing(queue) as place:
        assert not place.await_turn(0)
        if end == "forgotten":
            db.detach()
            del db, begun
            gc.collect()
        elif end == "close":
            db.close()
        else:
            getattr(begun, end)()
        assert place.await_turn(0)


def test_a_commit_that_fails_keeps_its_place_until_it_is_rolled_back(
    path: Path, queue: WriteQueue, engine: Engine
) -> None:
    """SQLite's lock is held so long."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE one (id INTEGER PRIMARY KEY); CREATE TABLE two "
            "(id REFERENCES one DEFERRABLE INITIALLY DEFERRED)"
        )
    with engine.connect() as connection:
        begun = connection.begin()
        connection.execute(text("INSERT INTO two VALUES (1)"))
        with standing(queue) as place:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            with pytest.raises(sqlite3.IntegrityError):
                raw.commit()
            assert not place.await_turn(0)
            begun.rollback()
            assert place.await_turn(0)


def test_a_log_is_emptied_in_its_turn(
    path: Path, queue: WriteQueue, engine: Engine
) -> None:
    """In a crowd of writers its one try would find the lock taken."""
    write(engine)
    emptied = []
    with engine.begin() as db:
        db.execute(text("INSERT INTO kept VALUES ('first')"))
        thread = begun(lambda: emptied.append(checkpoint(engine)))
        wait_until_stands(queue, 3)
        after = begun(lambda: write(engine, "after"))
        wait_until_stands(queue, 4)
    assert ended(thread, after)
    assert emptied == [True]
    assert kept(path) == ["ours", "first", "after"]


def test_a_queue_is_in_the_way_of_no_init(tmp_path: Path) -> None:
    """It may be an older database's; and none is left of a part's."""
    left = tmp_path / "vault.db-queue"
    left.write_bytes(b"an older one's")
    made = TheirPlace(tmp_path).ops("init", "--no-passphrase")
    assert made.returncode == 0, made.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        "root.key",
        "vault.db",
        "vault.db-queue",
        "web.key",
    }
