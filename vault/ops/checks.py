"""Reads from the trail when what should be done was last done, and how it came out.

Every reader here goes by an index, or from the trail's end backwards as far as a day:
a trail of a million entries is asked as fast as a short one.  Nothing is checked, so
what it says is a reminder and no proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ..clock import DAY_SECONDS
from ..store.schema import AUDIT_ENTRY

DONE = "check.done"
"""The event of a check's result; the subject says of which."""
CHECKS = ("verify", "audit verify", "restore --drill", "duplicates", "pan-scan")
_BACKUP = "backup.made"
BACKUP_SECONDS = 40 * DAY_SECONDS
"""How far back a backup is looked for: its entries have no index."""
# Every way to fail a login, each with the outcome "failure".
_LOGINS = ("login.password", "login.code", "login.totp", "login.passkey")
_LOCKED = "login.locked"
# A code mail that no server took names the server; one that a newer code replaced
# does not.
_MAIL = "login.code_sent"
_BY_SERVER = '%"server":%'


@dataclass(frozen=True)
class Done:
    """When (seconds since 1970 UTC) a check last ended, and whether all was well."""

    at: int
    well: bool


@dataclass(frozen=True)
class LastDay:
    """How many entries of the last 24 hours tell of these."""

    failed_logins: int
    locks: int
    mails_given_up: int


def newest_checks(db: Connection) -> dict[str, Done]:
    """The last result of each of CHECKS; those never done are left out."""
    found = {name: _newest(db, name) for name in CHECKS}
    return {name: done for name, done in found.items() if done is not None}


def _newest(db: Connection, subject: str) -> Done | None:
    query = select(AUDIT_ENTRY.c.at, AUDIT_ENTRY.c.outcome).where(
        AUDIT_ENTRY.c.subject == subject, AUDIT_ENTRY.c.event == DONE
    )
    row = db.execute(query.order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)).first()
    if row is None or not isinstance(row.at, int):
        return None
    return Done(row.at, row.outcome == "success")


def newest_backup(db: Connection, now: int) -> int | None:
    """When ``cardvault backup`` last began to write a file, in seconds since 1970 UTC;
    None when it did not in the BACKUP_SECONDS before ``now``.  PostgreSQL's own tools
    leave no entry."""
    query = select(AUDIT_ENTRY.c.at).where(
        AUDIT_ENTRY.c.seq >= _first_since(db, now - BACKUP_SECONDS),
        AUDIT_ENTRY.c.event == _BACKUP,
    )
    row = db.execute(query.order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)).first()
    return row.at if row is not None and isinstance(row.at, int) else None


def last_day(db: Connection, now: int) -> LastDay:
    """Count the last 24 hours before ``now``.  Where the clock was set back in that
    time, entries from before that may be missing."""
    since = now - DAY_SECONDS
    columns = (AUDIT_ENTRY.c.event, AUDIT_ENTRY.c.outcome)
    of_a_mail = (AUDIT_ENTRY.c.event == _MAIL) & (AUDIT_ENTRY.c.detail.like(_BY_SERVER))
    query = select(*columns, func.count()).where(
        AUDIT_ENTRY.c.seq >= _first_since(db, since),
        AUDIT_ENTRY.c.at >= since,
        AUDIT_ENTRY.c.event.in_((*_LOGINS, _LOCKED)) | of_a_mail,
    )
    rows = db.execute(query.group_by(*columns)).all()
    counts = {(event, outcome): count for event, outcome, count in rows}
    return LastDay(
        failed_logins=_sum(counts, _LOGINS, "failure"),
        locks=_sum(counts, (_LOCKED,), "success"),
        mails_given_up=_sum(counts, (_MAIL,), "failure"),
    )


def _sum(
    counts: Mapping[tuple[str, str], int], events: tuple[str, ...], outcome: str
) -> int:
    return sum(counts.get((event, outcome), 0) for event in events)


def _first_since(db: Connection, since: int) -> int:
    """The number of the first entry at ``since`` or later, halving the trail each time,
    because the entries' times have no index and their numbers have."""
    low, high = 1, (db.execute(select(func.max(AUDIT_ENTRY.c.seq))).scalar() or 0) + 1
    query = select(AUDIT_ENTRY.c.seq, AUDIT_ENTRY.c.at)
    while low < high:
        middle = (low + high) // 2
        at_or_after = query.where(AUDIT_ENTRY.c.seq >= middle)
        row = db.execute(at_or_after.order_by(AUDIT_ENTRY.c.seq).limit(1)).first()
        if row is None or (isinstance(row.at, int) and row.at >= since):
            high = middle
        else:
            low = row.seq + 1
    return low
