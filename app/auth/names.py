"""Says who is behind the names that stand in the trail."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from .models import Operator


def names_of(site: Session, people: Iterable[str]) -> dict[str, str]:
    """The names of those of ``people`` that are login IDs, as they are today.  An
    address behind a shared ID, and an account of the system, have none."""
    wanted = Operator.login_id.in_(sorted(set(people)))
    rows = site.execute(select(Operator.login_id, Operator.name).where(wanted))
    return {row.login_id: row.name for row in rows}
