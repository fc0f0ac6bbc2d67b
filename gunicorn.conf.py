"""How gunicorn serves the site; read by gunicorn itself from this folder."""

from __future__ import annotations

import gc
import resource
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):  # type: ignore[misc]  # untyped library
    """gthread, whose own answers look like the site's."""

    def handle_error(
        self, _req: Any, client: socket.socket, _addr: Any, exc: Exception
    ) -> None:
        """Answer what is no request with 400, a fault of ours with 500; the log has
        the kind of the first alone, for its text quotes what was sent."""
        # Not above: the master reads this file, and a reload would go on serving
        # whatever code of the site the master holds.
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


def post_worker_init(_worker: Any) -> None:
    """Leave what a worker has loaded out of every later search for garbage, which would
    go through all of it in the middle of a page."""
    gc.collect()
    gc.freeze()


# A core file of any of these processes would hold what an operator just typed.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

worker_class = Worker
workers = 2
threads = 8
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
