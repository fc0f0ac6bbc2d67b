"""Formats times and months as the pages show them, in Japan time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from vault import Expiry

from . import texts

JAPAN = timezone(timedelta(hours=9), "JST")
SOON_MONTHS = 2


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


def badge(expiry: Expiry, now: int) -> str:
    """期限切れ, 期限間近 (this month or the next) or nothing."""
    if expiry.is_over(now):
        return texts.EXPIRED
    soon = expiry.key <= month_key(now, later=SOON_MONTHS - 1)
    return texts.EXPIRES_SOON if soon else ""


def _in_japan(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(JAPAN)
