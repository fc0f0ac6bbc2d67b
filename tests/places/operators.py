"""Many operators of a place, added without a command for each."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.auth.passwords import Hasher
from app.auth.service import add_operator
from vault.clock import system_clock
from vault.store.database import connect

from .site import PASSWORD, Place


def hire(place: Place, count: int) -> list[str]:
    """Add operators with PASSWORD, hashed once."""
    names = [f"operator{number}" for number in range(count)]
    hashed = Hasher(19456).hash(PASSWORD)
    engine = connect(place.environ()["DATABASE_URL"])
    with Session(engine) as site:
        for name in names:
            addresses = [f"{name}@example.co.jp"]
            now = system_clock()
            add_operator(
                site, name, "山田", addresses, hashed, must_change=False, now=now
            )
        site.commit()
    engine.dispose()
    return names
