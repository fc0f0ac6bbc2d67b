"""Formats times and months as the pages show them, in Japan time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from vault.clock import JAPAN_OFFSET

JAPAN = timezone(timedelta(seconds=JAPAN_OFFSET), "JST")


def japan_time(at: int) -> str:
    """``at`` (seconds since 1970 UTC) as ``2026/11/23 12:00`` in Japan."""
    return _in_japan(at).strftime("%Y/%m/%d %H:%M")


def japan_date(at: int) -> str:
    """``at`` (seconds since 1970 UTC) as ``2026/11/23`` in Japan."""
    return _in_japan(at).strftime("%Y/%m/%d")


def month_key(now: int, *, later: int = 0) -> int:
    """The month ``later`` months after the one ``now`` lies in, as YYYYMM."""
    today = _in_japan(now)
    year, month = divmod(12 * today.year + today.month - 1 + later, 12)
    return 100 * year + month + 1


def _in_japan(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(JAPAN)
