"""Takes the site's requests off the socket's queue one at a time, under gunicorn.

Outside of functions it imports nothing of this project, because gunicorn.conf.py loads
it by its path: the master process must not hold the site's code, or a reload would go
on serving that.
"""

from __future__ import annotations

import math
import select
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, ThreadWorker


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

    longest_turn = 0.05

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
        # Not above, for the master loads this file.
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
