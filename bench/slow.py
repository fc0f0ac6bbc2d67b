"""The site with a search that takes a second: it is asked for ``q=sleep``, which waits in
the database, or ``q=compute``, which keeps a core busy there.

gunicorn serves it as it serves the site.  The seconds are spent in the search's own
transaction, so that whatever it holds it holds that long.
"""

from __future__ import annotations

import time
from typing import Any

from flask import g, has_request_context, request
from sqlalchemy import event

from wsgi import app

SECONDS = 1
# About a second of one core each.
ROUNDS = {"sqlite": 7_000_000, "postgresql": 9_000_000}
COMPUTE = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n"
    " WHERE x < {}) SELECT count(*) FROM n",
    "postgresql": "SELECT count(*) FROM generate_series(1, {})",
}
SLEEP = {
    "sqlite": f"SELECT sleep({SECONDS})",
    "postgresql": f"SELECT pg_sleep({SECONDS})",
}

engine = app.extensions["site_engine"]
name = engine.dialect.name

if name == "sqlite":

    @event.listens_for(engine, "connect")
    def _can_sleep(raw: Any, _record: Any) -> None:
        raw.create_function("sleep", 1, time.sleep)


@event.listens_for(engine, "before_cursor_execute")
def _take_time(_db: Any, cursor: Any, statement: str, *_rest: Any) -> None:
    """Take a second before a slow search's first look at the customers."""
    if not has_request_context() or "customer" not in statement or "slow" in g:
        return
    slow = {"sleep": SLEEP[name], "compute": COMPUTE[name].format(ROUNDS[name])}
    asked = request.args.get("q", "")
    if asked in slow:
        g.slow = True
        cursor.execute(slow[asked])
        cursor.fetchall()
