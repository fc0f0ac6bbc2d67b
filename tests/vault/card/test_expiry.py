"""Expiry dates as typed and as time passes."""

from __future__ import annotations

import pytest

from tests.places.vault import NOON
from vault import Expiry, errors

# 2026-12-01 00:00:00 in Japan.
DECEMBER = 1796050800


@pytest.mark.parametrize(
    ("month", "year", "expected"),
    [
        ("1", "2030", Expiry(2030, 1)),
        ("01", "30", Expiry(2030, 1)),
        ("１２", "２０３０", Expiry(2030, 12)),
        ("11", "2026", Expiry(2026, 11)),
        ("11", "2046", Expiry(2046, 11)),
        ("12/30", "", Expiry(2030, 12)),
        ("１２／２０３０", "", Expiry(2030, 12)),
        ("1 / 30", "", Expiry(2030, 1)),
        ("12/30", "2030", Expiry(2030, 12)),
        ("１２月", "２０３０年", Expiry(2030, 12)),
        ("\u200b1\u202c", "\ufeff30", Expiry(2030, 1)),
    ],
)
def test_a_good_expiry_is_read(month: str, year: str, expected: Expiry) -> None:
    """One or two digits of month, two or four of year, full-width too."""
    assert Expiry.parse(month, year, NOON) == expected


@pytest.mark.parametrize(
    ("month", "year", "reason"),
    [
        ("", "", "empty"),
        ("1", "", "half"),
        ("", "2030", "half"),
        ("13", "2030", "month"),
        ("0", "2030", "month"),
        ("x", "2030", "month"),
        ("-1", "2030", "month"),
        ("－1", "2030", "month"),
        ("12-", "2030", "month"),
        ("-", "2030", "month"),
        ("12/30", "2031", "month"),
        ("13/30", "", "month"),
        ("1230", "", "half"),
        ("月", "2030", "half"),
        ("1", "-2030", "year"),
        ("²", "2030", "month"),
        ("1", "203", "year"),
        ("1", "20300", "year"),
        ("10", "2026", "past"),
        ("01", "2017", "past"),
        ("12", "2046", "far"),
    ],
)
def test_a_bad_expiry_is_refused(month: str, year: str, reason: str) -> None:
    """The first fault is the one named."""
    with pytest.raises(errors.InputError) as refused:
        Expiry.parse(month, year, NOON)
    assert refused.value.reason == reason


def test_a_card_is_good_to_the_end_of_its_month_in_japan() -> None:
    """The last second of November is good, the first of December is not."""
    assert not Expiry(2026, 11).is_over(DECEMBER - 1)
    assert Expiry(2026, 11).is_over(DECEMBER)


def test_the_stored_form_reads_back() -> None:
    """YYYYMM and back, and shown as the manual shows it."""
    assert Expiry.from_key(Expiry(2030, 1).key) == Expiry(2030, 1)
    assert str(Expiry(2030, 1)) == "01/2030"
