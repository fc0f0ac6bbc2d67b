"""Times as the commands and the papers show them."""

from __future__ import annotations

from typing import Any

import pytest

from vault.clock import age, japan_stamp
from vault.ops.evidence.page import japan_time

NOW = 1772290800


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, "1970-01-01T09:00:00+09:00"),
        (1772290799, "2026-02-28T23:59:59+09:00"),
        (1772290800, "2026-03-01T00:00:00+09:00"),
    ],
)
def test_a_day_begins_at_midnight_in_japan(at: int, shown: str) -> None:
    """The zone stands behind the time."""
    assert japan_stamp(at) == shown


@pytest.mark.parametrize(
    "at",
    [2**63 - 1, -(2**63), "yesterday", 1.5],
    ids=["far ahead", "far behind", "a word", "a fraction"],
)
def test_what_is_no_time_is_shown_as_it_is(at: Any) -> None:
    """An edited row ends neither a command nor a page of the evidence."""
    assert japan_stamp(at) == japan_time(at) == f"second {at}"


@pytest.mark.parametrize(
    ("seconds", "days"),
    [
        (0, "0 days"),
        (86399, "0 days"),
        (86400, "1 day"),
        (86400000, "1,000 days"),
        (-90000, "0 days"),
    ],
)
def test_an_age_is_in_whole_days(seconds: int, days: str) -> None:
    """What the clock has not reached yet is no age."""
    at = NOW - seconds
    assert age(at, NOW) == f"{japan_stamp(at)}, {days} old"
