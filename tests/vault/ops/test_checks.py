"""What the trail is asked about checks, backups and the last day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event, text

from tests.places.vault import VaultPlace
from vault import Actor
from vault.clock import DAY_SECONDS
from vault.ops.checks import (
    BACKUP_SECONDS,
    DONE,
    Done,
    LastDay,
    last_day,
    newest_backup,
    newest_checks,
)

BY = Actor("taro", "192.0.2.1")


def record(
    place: VaultPlace,
    event: str,
    outcome: str = "success",
    of: str = "",
    **detail: str,
) -> None:
    """Add an entry, at the clock's time."""
    with place.engine.begin() as db:
        place.vault().record(db, event, BY, outcome=outcome, subject=of, detail=detail)


def counted(place: VaultPlace) -> LastDay:
    """The last day's counts, now."""
    with place.engine.connect() as db:
        return last_day(db, place.clock())


def test_the_last_of_each_check_counts(place: VaultPlace) -> None:
    """A later result replaces an earlier one; what was never done is not there."""
    record(place, DONE, "failure", "verify")
    place.clock.advance(60)
    record(place, DONE, "success", "verify")
    record(place, DONE, "failure", "pan-scan")
    # A login ID may be called as a check is.
    record(place, "login.password", "failure", "duplicates")
    now = place.clock()
    with place.engine.connect() as db:
        assert newest_checks(db) == {
            "verify": Done(now, well=True),
            "pan-scan": Done(now, well=False),
        }


def test_a_day_is_counted_and_no_more(place: VaultPlace) -> None:
    """What is older is left out, to the second; every way to fail a login counts."""
    assert counted(place) == LastDay(0, 0, 0)
    for _ in range(5):
        record(place, "login.password", "failure")
    place.clock.advance(1)
    for way in ("password", "code", "totp", "passkey"):
        record(place, f"login.{way}", "failure")
        record(place, f"login.{way}")
    record(place, "login.locked")
    refused = {"server": "mail.example:25", "cause": "SMTPDataError"}
    record(place, "login.code_sent", "failure", **refused)
    record(place, "login.code_sent", "failure", cause="a newer code was asked for")
    record(place, "login.code_sent")
    place.clock.advance(DAY_SECONDS)
    assert counted(place) == LastDay(failed_logins=4, locks=1, mails_given_up=1)
    place.clock.advance(1)
    assert counted(place) == LastDay(0, 0, 0)


def test_a_gap_or_a_damaged_time_stops_nobody(place: VaultPlace) -> None:
    """Nobody has checked these entries."""
    for _ in range(20):
        record(place, "login.locked")
    with place.engine.begin() as db:
        last = db.execute(text("SELECT max(seq) FROM audit_entry")).scalar_one()
        db.execute(text(f"DELETE FROM audit_entry WHERE seq = {last - 9}"))
        db.execute(text(f"UPDATE audit_entry SET at = 'x' WHERE seq = {last - 4}"))
    assert counted(place).locks <= 19


def test_a_backup_of_the_last_forty_days_is_found(place: VaultPlace) -> None:
    """The newest, and an older one is not."""
    record(place, "backup.made", of="a")
    place.clock.advance(60)
    record(place, "backup.made", of="b")
    made = place.clock()
    for later, found in ((0, made), (BACKUP_SECONDS, made), (BACKUP_SECONDS + 1, None)):
        with place.engine.connect() as db:
            assert newest_backup(db, made + later) == found


@contextmanager
def plans(place: VaultPlace) -> Iterator[list[str]]:
    """How SQLite finds the rows of each statement that is executed meanwhile."""
    found: list[str] = []

    def explain(
        _db: Connection, cursor: Any, statement: str, given: Any, *_: Any
    ) -> None:
        if statement.startswith("SELECT"):
            rows = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
            found.extend(row[3] for row in rows)

    event.listen(place.engine, "before_cursor_execute", explain)
    yield found
    event.remove(place.engine, "before_cursor_execute", explain)


def test_no_question_reads_the_trail_from_its_start(place: VaultPlace) -> None:
    """Each goes by the numbers or by the index on subjects."""
    record(place, DONE, "success", "verify")
    with plans(place) as found, place.engine.connect() as db:
        newest_checks(db)
        newest_backup(db, place.clock())
        last_day(db, place.clock())
    about = [plan for plan in found if "audit_entry" in plan]
    assert len(about) > 8
    assert [plan for plan in about if not plan.startswith("SEARCH")] == []
