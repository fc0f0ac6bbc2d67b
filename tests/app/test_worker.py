"""Each worker works on one request at a time, and nobody keeps the others waiting."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.places.site import BIN, ROOT, free_port

FOR_EVER = 600.0
HANGS = 120
TRIES = 20

APPLICATION = '''
from pathlib import Path

here = Path(__file__).parent

def app(environ, start_response):
    """Note who came, and keep those with a pipe until it is written to."""
    name = environ["PATH_INFO"].strip("/")
    with (here / "came").open("a") as came:
        came.write(name)
    if (here / name).exists():
        (here / name).read_bytes()
    start_response("200 OK", [("Content-Length", str(len(name)))])
    return [name.encode()]
'''

SETTINGS = """
from runpy import run_path

globals().update(run_path({ours!r}))
workers, threads = {workers}, {threads}
worker_class.longest_turn = {longest}
"""


@dataclass
class Served:
    """gunicorn, set as the site sets it, on an application that waits when told to."""

    folder: Path
    port: int = field(default_factory=free_port)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def keep(self, *names: str) -> None:
        """Let the application keep each of ``names`` until ``let_go``."""
        for name in names:
            os.mkfifo(self.folder / name)

    def let_go(self, name: str) -> None:
        """Wait until ``name`` has come, and let them be answered."""
        (self.folder / name).write_bytes(b"")

    def came(self, *orders: str) -> None:
        """Wait until just those have come who are named, in one of the ``orders``."""
        noted = self.folder / "came"
        _until(lambda: noted.exists() and len(noted.read_text()) >= len(orders[0]))
        assert noted.read_text() in orders

    def came_again(self, name: str) -> None:
        """Wait until the last to come is ``name``, and forget who has come."""
        noted = self.folder / "came"
        _until(lambda: noted.exists() and noted.read_text().endswith(name))
        noted.unlink()

    def asks(self, name: str) -> Future[bytes]:
        """Send a request."""
        return self.pool.submit(self._ask, name)

    def _ask(self, name: str) -> bytes:
        to = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS)
        with closing(to) as line:
            line.request("GET", f"/{name}")
            answer = line.getresponse()
            # Or their next request would be this worker's, whichever is free then.
            assert answer.getheader("Connection") == "close"
            return answer.read()

    def wait_for_queue(self, length: int) -> None:
        """Wait until so many connections stand in the socket's own queue."""
        _until(lambda: _queues(self.port) == [length])


def _queues(port: int) -> list[int]:
    """How many connections stand in the queue of each socket that listens there."""
    return [
        int(row[4][-8:], 16) for row in _sockets() if row[1:4:2] == [_hex(port), "0A"]
    ]


def _is_held(port: int, client: socket.socket) -> bool:
    """Say whether a process of the server's still has this client's connection."""
    ends = [_hex(port), _hex(client.getsockname()[1])]
    return any(row[1:3] == ends and row[9] != "0" for row in _sockets())


def _sockets() -> list[list[str]]:
    # proc(5): local and remote address, state, sizes of the queues, ..., inode.
    return [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]


def _hex(port: int) -> str:
    return f"0100007F:{port:04X}"


def _until(true: Callable[[], bool]) -> None:
    stop = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < stop
        time.sleep(0.005)


@contextmanager
def served(
    folder: Path, longest: float, *, workers: int = 1, threads: int = 8
) -> Iterator[tuple[Served, subprocess.Popen[bytes]]]:
    """Serve for the length of the block."""
    (folder / "asked.py").write_text(APPLICATION)
    ours = str(ROOT / "gunicorn.conf.py")
    said = SETTINGS.format(ours=ours, workers=workers, threads=threads, longest=longest)
    (folder / "settings.py").write_text(said)
    site = Served(folder)
    words = ("--bind", f"127.0.0.1:{site.port}", "--config", "settings.py")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [BIN / "gunicorn", *words, "asked:app"],
            cwd=folder,
            stderr=log,
            start_new_session=True,
        )
    try:
        booted = b"Booting worker"
        _until(lambda: (folder / "log").read_bytes().count(booted) == workers)
        yield site, process
    finally:
        # A worker whose thread waits at a pipe would outlive the master.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        site.pool.shutdown()


def test_requests_are_worked_on_in_the_order_they_came(tmp_path: Path) -> None:
    with served(tmp_path, FOR_EVER) as (site, _):
        site.keep("a", "b")
        first = site.asks("a")
        site.came("a")
        second = site.asks("b")
        site.wait_for_queue(1)
        third = site.asks("c")
        site.wait_for_queue(2)
        site.came("a")
        site.let_go("a")
        assert first.result(HANGS) == b"a"
        site.came("ab")
        site.wait_for_queue(1)
        site.let_go("b")
        assert second.result(HANGS) == b"b"
        assert third.result(HANGS) == b"c"


def test_whichever_worker_is_free_takes_the_next(tmp_path: Path) -> None:
    with served(tmp_path, FOR_EVER, workers=2) as (site, _):
        site.keep("a")
        slow = site.asks("a")
        site.came("a")
        for _ in range(TRIES):
            assert site.asks("c").result(HANGS) == b"c"
        site.let_go("a")
        assert slow.result(HANGS) == b"a"


def test_one_that_takes_long_holds_nobody_up(tmp_path: Path) -> None:
    with served(tmp_path, 0.01) as (site, _):
        site.keep("a")
        slow = site.asks("a")
        site.came("a")
        for _ in range(TRIES):
            assert site.asks("c").result(HANGS) == b"c"
        assert not slow.done()
        site.let_go("a")
        assert slow.result(HANGS) == b"a"


def test_a_worker_takes_no_more_than_it_has_threads(tmp_path: Path) -> None:
    with served(tmp_path, 0.0, threads=2) as (site, _):
        site.keep("a", "b")
        slow = [site.asks(name) for name in "ab"]
        site.came("ab", "ba")
        waits = site.asks("c")
        site.wait_for_queue(1)
        for name in "ab":
            site.let_go(name)
        assert [one.result(HANGS) for one in (*slow, waits)] == [b"a", b"b", b"c"]


def held_meanwhile(site: Served, sent: bytes) -> bool:
    """Say whether another was answered while a client, who sends this and reads what
    comes, still had their connection.  gunicorn lets go of it after some seconds, in
    which a busy machine may not be done."""
    before = site.asks("a")
    site.came_again("a")
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(sent)
        site.wait_for_queue(1)
        site.let_go("a")
        assert before.result(HANGS) == b"a"
        while sent and client.recv(4096):
            continue
        assert site.asks("c").result(HANGS) == b"c"
        return _is_held(site.port, client)


def test_nobody_waits_for_a_connection_that_asks_nothing(tmp_path: Path) -> None:
    with served(tmp_path, FOR_EVER) as (site, _):
        site.keep("a")
        assert any(held_meanwhile(site, b"") for _ in range(TRIES))


def test_nobody_waits_for_a_client_that_does_not_hang_up(tmp_path: Path) -> None:
    with served(tmp_path, FOR_EVER) as (site, _):
        asked = b"GET /b HTTP/1.0\r\n\r\n"
        site.keep("a")
        assert any(held_meanwhile(site, asked) for _ in range(TRIES))


def test_who_waits_when_a_worker_is_told_to_stop_is_answered(tmp_path: Path) -> None:
    with served(tmp_path, FOR_EVER) as (site, process):
        site.keep("a")
        first = site.asks("a")
        site.came("a")
        others = [site.asks(name) for name in "bc"]
        site.wait_for_queue(2)
        process.terminate()
        _until(lambda: not any(_queues(site.port)))
        site.let_go("a")
        assert [one.result(HANGS) for one in (first, *others)] == [b"a", b"b", b"c"]
        assert process.wait(HANGS) == 0
