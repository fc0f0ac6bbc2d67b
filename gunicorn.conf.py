"""Sets how gunicorn serves the site; read by gunicorn itself from this folder."""

from __future__ import annotations

import gc
import os
import resource
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from gunicorn import glogging


def _of_app(name: str) -> ModuleType:
    """A file of app/, beside this one or where the site is installed, as a module that
    is none of the site's: the master reads it, and a reload would go on serving
    whatever code of the site the master holds."""
    path = Path(__file__).with_name("app") / name
    installed = find_spec("app") if not path.exists() else None
    if installed and installed.origin:
        path = Path(installed.origin).with_name(name)
    spec = spec_from_file_location(f"_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not there; put the project's files back")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_lines = _of_app("log_lines.py")


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


def post_worker_init(_worker: Any) -> None:
    """Leave what a worker has loaded out of every later search for garbage, which would
    go through all of it in the middle of a page."""
    gc.collect()
    gc.freeze()


# A core file of any of these processes would hold what an operator just typed.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

worker_class = _of_app("worker.py").Worker
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
