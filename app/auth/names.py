"""Says who is behind the names that stand in the trail."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from .models import Operator

MARK_LETTERS = 32


def mark_of(secret: str, person: str) -> str:
    """A value that tells one person from another and nothing else, for a browser to
    keep beside what that person typed.  It changes with ``secret``."""
    made = hmac.new(secret.encode(), f"typed by {person}".encode(), "sha512")
    return made.hexdigest()[:MARK_LETTERS]


def names_of(site: Session, people: Iterable[str]) -> dict[str, str]:
    """The names of those of ``people`` that are login IDs, as they are today.  An
    address behind a shared ID, and an account of the system, have none."""
    wanted = Operator.login_id.in_(sorted(set(people)))
    rows = site.execute(select(Operator.login_id, Operator.name).where(wanted))
    return {row.login_id: row.name for row in rows}
