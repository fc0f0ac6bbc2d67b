"""Shared IDs, which several persons use: an exception with an end (PCI DSS 8.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from app.japan_time import JAPAN

MAX_DAYS = 90
MAX_REASON, MAX_APPROVER = 200, 100


@dataclass(frozen=True)
class Sharing:
    """Why an ID is shared, who allowed it, and until when (seconds UTC)."""

    reason: str
    approver: str
    until: int

    @classmethod
    def allow(cls, reason: str, approver: str, last_day: str, now: int) -> Sharing:
        """A sharing to the end of ``last_day`` (YYYY-MM-DD) in Japan; raises
        ValueError saying what is missing, in the past or more than 90 days off."""
        for what, text, most in (
            ("reason", reason, MAX_REASON),
            ("approver", approver, MAX_APPROVER),
        ):
            if not text.strip() or not text.isprintable() or len(text) > most:
                raise ValueError(
                    f"a shared ID needs its {what}, {most} characters at most"
                )
        today = datetime.fromtimestamp(now, UTC).astimezone(JAPAN).date()
        try:
            days = (date.fromisoformat(last_day) - today).days
        except ValueError:
            raise ValueError(f"{last_day!r} is not a date") from None
        if not 0 <= days <= MAX_DAYS:
            raise ValueError(f"a shared ID ends within {MAX_DAYS} days")
        return cls(reason, approver, _end_of(date.fromisoformat(last_day)))


def last_day(until: int) -> str:
    """The last day of a sharing as YYYY-MM-DD in Japan."""
    return datetime.fromtimestamp(until - 1, JAPAN).date().isoformat()


def _end_of(day: date) -> int:
    after = datetime(day.year, day.month, day.day, tzinfo=JAPAN) + timedelta(days=1)
    return int(after.timestamp())
