"""The site that is attacked, and those who come to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.places.site import PASSWORD, Place, processes

from .mail import Mails
from .visitor import Visitor


@dataclass
class Target:
    """A site, and what is known of it: its files, its mails and the process of its
    gunicorn when it is our own."""

    url: str
    place: Place | None = None
    mails: Mails | None = None
    operators: int = 0
    master: int = 0

    def stranger(self) -> Visitor:
        """Somebody who has nothing yet."""
        return Visitor(self.url)

    def new_operator(self) -> str:
        """A login ID nobody has used; only on a site of our own."""
        assert self.place is not None
        self.operators += 1
        login_id = f"operator{self.operators}"
        self.place.add_operator(login_id)
        return login_id

    def to_code(self, login_id: str) -> tuple[Visitor, str]:
        """A visitor at the code page, and the code that was mailed."""
        assert self.mails is not None
        visitor = self.stranger()
        visitor.post("/login", {"login_id": login_id, "password": PASSWORD})
        address = f"{login_id}@example.co.jp"
        visitor.post("/login/email", {"email": address})
        return visitor, self.mails.code(address)

    def logged_in(self, login_id: str | None = None) -> Visitor:
        """An operator at the list."""
        visitor, code = self.to_code(login_id or self.new_operator())
        assert visitor.post("/login/code", {"code": code}).location == "/cards"
        return visitor

    def processor_seconds(self) -> float:
        """What the processes of our own site have computed so far."""
        ticks = 0
        for process in processes(self.master):
            stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(stat[11]) + int(stat[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def count(self, table: str) -> int:
        """How many rows a table of our own site has."""
        assert self.place is not None
        with closing(sqlite3.connect(self.place.folder / "site.db")) as db:
            number: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return number
