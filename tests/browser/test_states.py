"""axe on the pages and states that no walk comes to, at both widths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.actors.operator_browser import Desk
from tests.places.site import PASSWORD


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """An operator at a browser, not logged in."""
    return new_desk()


def look_at(desk: Desk, **paths: str) -> None:
    """Open each page and look at it."""
    for name, path in paths.items():
        desk.open(path)
        desk.look(name)


def test_the_login_pages_states(desk: Desk) -> None:
    """Every error of a login's steps."""
    login_id = desk.site.operator()
    desk.open("/login")
    desk.fill(login_id=login_id, password="wrong password 1")
    desk.press("ログイン")
    desk.look("wrong-password")
    desk.fill(login_id=login_id, password=PASSWORD)
    desk.press("ログイン")
    desk.press("送信")
    desk.look("no-address")
    desk.fill(email="nobody")
    desk.press("送信")
    desk.look("no-such-address")
    desk.fill(email=f"{login_id}@example.co.jp")
    desk.press("送信")
    desk.press("ログイン")
    desk.look("no-code")
    desk.press("認証コードを再送信")
    desk.look("too-early")
    desk.fill(code=desk.site.mails.code())
    desk.press("ログイン")
    assert "クレジットカード情報の一覧" in desk.text()
    assert desk.wrong == []


def test_the_other_pages_states(desk: Desk) -> None:
    """Pages of one's own, and what answers a wrong address or a deletion."""
    desk.enter()
    look_at(desk, password="/password", factors="/factors", nothing="/cards?q=zzz")
    desk.open("/password")
    desk.press("変更")
    desk.look("password-errors")
    look_at(
        desk,
        gone="/cards/nobody/edit",
        nowhere="/nowhere",
        expired="/cards?expiry=expired",
    )
    desk.open("/cards")
    desk.press("登録")
    desk.look("all-empty")
    desk.fill(customer_name="状態", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    desk.press("続けて登録")
    desk.press("編集")
    desk.press("更新")
    desk.look("unchanged")
    desk.card("4111", "13", "")
    desk.press("更新")
    desk.look("edit-errors")
    assert desk.wrong == []
