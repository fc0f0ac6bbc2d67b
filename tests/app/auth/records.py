"""What a test reads behind the pages' backs: the trail and the site's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app.auth import logins
from app.auth.models import Login, Operator
from app.auth.trace import Trace
from tests.actors.operator_client import ADDRESS
from tests.places.vault import NOON
from vault import Actor, Vault

ORIGIN = "192.0.2.7"
KEY = b"k" * 32


def trail(app: Flask) -> list[tuple[str, str, str]]:
    """(event, outcome, actor) of every entry, oldest first."""
    query = text("SELECT event, outcome, actor FROM audit_entry ORDER BY seq")
    with app.extensions["vault"].engine.connect() as db:
        return [(row.event, row.outcome, row.actor) for row in db.execute(query)]


def change(app: Flask, statement: str, **values: Any) -> None:
    """Run a statement on the site's database."""
    with app.extensions["site_engine"].begin() as db:
        db.execute(text(statement), values)


def scalar(app: Flask, query: str) -> Any:
    """The one value a query on the site's database gives."""
    with app.extensions["site_engine"].connect() as db:
        return db.execute(text(query)).scalar_one()


@dataclass(frozen=True)
class Pen:
    """What enters into the trail at once, in a transaction of its own."""

    vault: Vault
    db: Connection

    def __call__(self, event: str, by: Actor, **more: Any) -> None:
        """As ``Work.record``."""
        self.vault.record(self.db, event, by, **more)
        self.vault.enter(self.db)


def entries(trace: Trace) -> list[tuple[Any, ...]]:
    """(event, outcome, actor, origin, subject, detail) of all but the first."""
    query = (
        "SELECT event, outcome, actor, origin, subject, detail FROM audit_entry"
        " WHERE origin = ? ORDER BY seq"
    )
    assert isinstance(trace.enter, Pen)
    return [tuple(row) for row in trace.enter.db.exec_driver_sql(query, (ORIGIN,))]


def begin(site: Session, of: Operator, address: str = ADDRESS) -> Login:
    """A login of ``of`` to whom a code is to be sent."""
    login = logins.named(site, logins.begin(site, of, ORIGIN, NOON))
    assert login is not None
    login.step, login.address = "code", address
    site.flush()
    return login
