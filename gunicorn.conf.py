"""Sets how gunicorn serves the site; read by gunicorn itself from this folder."""

from __future__ import annotations

import gc
import math
import os
import resource
import select
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from gunicorn import glogging, util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, ThreadWorker


def _by_its_path(path: Path) -> ModuleType:
    """A module that is none of the site's: the master reads this file, and a reload
    would go on serving whatever code of the site the master holds."""
    spec = spec_from_file_location(f"_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not there; put the project's files back")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _lines_of_the_log() -> ModuleType:
    """app/log_lines.py beside this file, or where the site is installed."""
    beside = Path(__file__).with_name("app") / "log_lines.py"
    installed = find_spec("app") if not beside.exists() else None
    home = installed.origin if installed else None
    return _by_its_path(Path(home).with_name(beside.name) if home else beside)


_lines = _lines_of_the_log()


class Logger(glogging.Logger):  # type: ignore[misc]  # untyped library
    """gunicorn's own lines, as LOG_FORMAT says; plain text off the journal stays as
    gunicorn writes it."""

    def setup(self, cfg: Any) -> None:
        """Set up the error log; called again at each reload."""
        super().setup(cfg)
        kind = os.environ.get("LOG_FORMAT") or "text"
        journal = _lines.is_journal(os.environ)
        if kind != "json" and not journal:
            return
        handler = self._get_gunicorn_handler(self.error_log)
        if handler is not None:
            handler.setFormatter(_lines.formatter(kind, journal=journal))


class Worker(ThreadWorker):  # type: ignore[misc]  # untyped library
    """gthread that works on one request at a time, and whose own answers look like the
    site's.

    A page is mostly Python, and the threads of a worker share one interpreter, which
    goes round among them: of four pages begun together each ends when nearly all four
    do.  So a worker takes the next connection when it has answered the one before.  All
    who wait stand in the socket's queue, in the order they came, and whichever worker
    is free takes the first; that needs a connection for each request.

    A turn lasts ``longest_turn`` seconds at most.  Who waits for a lock, for the disk
    or for a far database longer than that, or computes or sends that long, goes on
    beside the others, by as many as the worker has threads.
    """

    longest_turn = 0.1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Of each connection that has a thread, until when its turn lasts at most.
        self._turns: dict[Any, float] = {}

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take connections if none has its turn; before a worker stops, all who wait."""
        if not self.alive:
            for listener in self.sockets:
                self._take_all(listener)
        super().set_accept_enabled(enabled and self._until_next() <= 0)

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection its turn, and a thread, as soon as it has sent something:
        a browser opens connections before it needs them."""
        if not _has_sent(conn.sock):
            self._wait_for_data(conn)
            return
        conn.data_ready = True
        self._turns[conn] = time.monotonic() + self.longest_turn
        super().set_accept_enabled(False)
        super().enqueue_req(conn)

    def _wait_for_data(self, conn: Any) -> None:
        conn.timeout = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        self.pending_conns.append(conn)
        then = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, then)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for what happens next: a turn that has lasted long enough, too."""
        left = self._until_next()
        super().wait_for_and_dispatch_events(
            min(timeout, left) if left > 0 else timeout
        )

    def handle(self, conn: Any) -> Any:
        """Answer a request in a thread of its own, and end its turn."""
        try:
            kept = super().handle(conn)
        finally:
            self.method_queue.defer(self._end_turn, conn)
        if kept is False:
            # It waits for a client to hang up. gthread would let everybody wait for it.
            util.close_graceful(conn.sock)
        return kept

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Keep or close the connection of an answered request."""
        self._turns.pop(conn, None)
        if fs.exception() is None and fs.result() is False:
            self.nr_conns -= 1
            conn.close()
        else:
            super().finish_request(conn, fs)

    def _take_all(self, listener: socket.socket) -> None:
        before = -1
        while before < self.nr_conns:
            before = self.nr_conns
            self.accept(listener)

    def _end_turn(self, conn: Any) -> None:
        if conn in self._turns:
            self._turns[conn] = 0.0

    def _until_next(self) -> float:
        """In how many seconds the next connection may be taken, unless it may earlier
        because a request is answered."""
        if len(self._turns) >= self.cfg.threads:
            return math.inf
        return max(self._turns.values(), default=0.0) - time.monotonic()

    def handle_error(
        self, _req: Any, client: socket.socket, _addr: Any, exc: Exception
    ) -> None:
        """Answer what is no request with 400, a fault of ours with 500; the log has
        the kind of the first alone, for its text quotes what was sent."""
        # Not above, for the master reads this file too.
        from app.errors import answer_broken  # noqa: PLC0415

        if isinstance(exc, ParseException):
            status = HTTPStatus.BAD_REQUEST
            self.log.warning("no HTTP request: %s", type(exc).__name__)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("a request was not answered", exc_info=exc)
        try:
            util.write_nonblock(client, answer_broken(status))
        except OSError:
            self.log.debug("the sender hung up first")


def _has_sent(client: socket.socket) -> bool:
    """Say whether there is something to read."""
    looks = select.poll()
    looks.register(client, select.POLLIN)
    return bool(looks.poll(0))


def post_worker_init(_worker: Any) -> None:
    """Leave what a worker has loaded out of every later search for garbage, which would
    go through all of it in the middle of a page."""
    gc.collect()
    gc.freeze()


# A core file of any of these processes would hold what an operator just typed.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

worker_class = Worker
logger_class = Logger
workers = 2
threads = 8
# Whoever kept a connection would wait for the worker that has it, however long others
# wait there, while another worker is free.
keepalive = 0
# A data key is never shared across a fork: each worker loads the site itself.
preload_app = False

timeout = 30
graceful_timeout = 20
limit_request_line = 4094
limit_request_fields = 50

# gunicorn believes no header about who asks and how they came: PROXY_HOPS says whose
# word counts, and the site reads it. By itself it would believe any proxy on this host.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# No access log: an address may hold what was searched for.
accesslog = None
# Nothing is left outside the places the settings name.
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108
