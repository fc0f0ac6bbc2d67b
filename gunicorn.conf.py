"""How gunicorn serves the site; read by gunicorn itself from this folder."""

from __future__ import annotations

import resource
from pathlib import Path

# A core file of any of these processes would hold what an operator just typed.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

worker_class = "gthread"
workers = 2
threads = 8
# A data key is never shared across a fork: each worker loads the site itself.
preload_app = False

timeout = 30
graceful_timeout = 20
limit_request_line = 4094
limit_request_fields = 50

# No access log: an address may hold what was searched for.
accesslog = None
# Nothing is left outside the places the settings name.
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108
