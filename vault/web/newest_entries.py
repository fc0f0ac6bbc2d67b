"""Reads from the trail when something was last done to each of several subjects."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, select

from ..store.schema import AUDIT_ENTRY

SUBJECTS_A_QUERY = 500


def newest_entries(
    db: Connection, subjects: Sequence[str], events: Collection[str]
) -> dict[tuple[str, str], int]:
    """When (seconds since 1970 UTC) the newest entry of each of ``events`` about each of
    ``subjects`` was made, by subject and event; what never was is left out.

    The entries are not checked, so this is a reminder and no proof.
    """
    found: dict[tuple[str, str], int] = {}
    columns = (AUDIT_ENTRY.c.subject, AUDIT_ENTRY.c.event)
    for start in range(0, len(subjects), SUBJECTS_A_QUERY):
        some = subjects[start : start + SUBJECTS_A_QUERY]
        query = select(*columns, func.max(AUDIT_ENTRY.c.at)).where(
            AUDIT_ENTRY.c.subject.in_(some), AUDIT_ENTRY.c.event.in_(events)
        )
        for subject, event, at in db.execute(query.group_by(*columns)):
            if isinstance(at, int):
                found[subject, event] = at
    return found
