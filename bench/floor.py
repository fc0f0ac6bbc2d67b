"""The least a site could be: a view that reads a row, one that inserts one durably.

gunicorn serves it as it serves the site; ``FLOOR_URL`` names its database.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, event

PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
INSERT = "INSERT INTO floor VALUES ('x')"

app = Flask(__name__)
engine = create_engine(os.environ["FLOOR_URL"], pool_size=8)


if engine.dialect.name == "sqlite":

    @event.listens_for(engine, "connect")
    def _set(raw: Any, _record: Any) -> None:
        for pragma in PRAGMAS:
            raw.execute(pragma)
        raw.execute("PRAGMA busy_timeout = 30000")


@app.get("/read")
def read() -> str:
    """One row."""
    with engine.connect() as db:
        return str(db.exec_driver_sql("SELECT 1").scalar_one())


@app.post("/write")
def write() -> str:
    """One row more, durable."""
    with engine.begin() as db:
        db.exec_driver_sql(INSERT)
    return "written"
