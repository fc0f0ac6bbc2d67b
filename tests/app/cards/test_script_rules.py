"""What the card forms hand down to the script; tests/browser compares its findings."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from tests.actors.operator_client import Desk
from tests.places.vault import FakeClock


def rules_of(page: str) -> dict[str, Any]:
    """The rules in a page's one card form."""
    (found,) = re.findall(r"data-rules='([^']*)'", page)
    rules: dict[str, Any] = json.loads(unescape(found))
    return rules


def test_the_month_is_japans(clock: FakeClock, request: pytest.FixtureRequest) -> None:
    """Half past midnight of the first of the month there is still the last of the
    month in UTC."""
    clock.now = 1_796_052_600  # 2026-11-30 15:30 UTC
    desk: Desk = request.getfixturevalue("desk")
    desk.open("/cards")
    assert rules_of(desk.page)["month"] == 202612


def test_a_brand_without_check_digits_is_handed_down_as_one(
    desk: Desk, make_app: Any
) -> None:
    """The setting for UnionPay reaches the script."""
    desk.open("/cards")
    asked = {one["label"]: one["luhn"] for one in rules_of(desk.page)["brands"]}
    assert set(asked.values()) == {True}
    relaxed = make_app(LUHN_EXEMPT_UNIONPAY="1").test_client()
    relaxed._cookies = desk.client._cookies
    page = relaxed.get("/cards").get_data(as_text=True)
    asked = {one["label"]: one["luhn"] for one in rules_of(page)["brands"]}
    assert [label for label, luhn in asked.items() if not luhn] == ["UnionPay"]


def test_the_edit_page_hands_down_what_is_stored(desk: Desk) -> None:
    """So that a form that changes nothing is told before it is sent."""
    public_id = desk.register(customer_name="山田 太郎")
    desk.open(f"/cards/{public_id}/edit")
    stored = rules_of(desk.page)["stored"]
    assert (stored["name"], stored["phone"]) == ("山田 太郎", "090-0000-0000")
    assert (stored["expiry"], stored["over"], stored["readable"]) == (
        203001,
        False,
        True,
    )
