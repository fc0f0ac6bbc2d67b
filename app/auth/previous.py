"""Makes the line 前回ログイン, which shows operators if somebody else used their ID."""

from __future__ import annotations

from datetime import datetime

from . import guard
from .shared_ids import JAPAN


def line() -> dict[str, str | int] | None:
    """When (Japan) and from where the operator logged in before this login, and
    how many failures came between; None without a login that is in."""
    login = guard.login_or_none()
    if login is None or login.step != "in":
        return None
    at = login.previous_at
    when = datetime.fromtimestamp(at, JAPAN).strftime("%Y/%m/%d %H:%M") if at else ""
    return {
        "when": when,
        "origin": login.previous_origin,
        "failures": login.failures_before,
    }
