"""What a new password must be, and パスワードの変更."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from flask import Flask
from werkzeug.test import TestResponse

from app.auth import passwords, texts
from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock

from .records import change, scalar, trail

NEW = "another horse battery 6"
SITE = "オフィス24クレジットカード登録"
ENDED = "入力回数が上限に達しました。30分後にもう一度ログインしてください。"


def change_password(
    auth: Auth, new: str = NEW, current: str = PASSWORD, again: str | None = None
) -> TestResponse:
    """Fill in パスワードの変更 and press 変更."""
    return auth.post(
        "/password",
        current_password=current,
        new_password=new,
        new_password_again=new if again is None else again,
    )


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("correct horse 7", None),
        ("x7" + "ab cd ef" * 15 + "123456", None),
        ("ひらがなのながいぱすわーど12", None),
        ("correct horse 7"[:14], texts.PASSWORD_LENGTH),
        ("abcdefgh " * 14 + "123", texts.PASSWORD_LENGTH),
        ("correct\u3000horse 7 🐎", None),
        ("correct horse\x007", texts.PASSWORD_UNPRINTABLE),
        ("correct horse 7\x1b", texts.PASSWORD_UNPRINTABLE),
        ("\u200bcorrect horse 7", texts.PASSWORD_UNPRINTABLE),
        ("\u202ecorrect horse 7", texts.PASSWORD_UNPRINTABLE),
        ("correct horse battery", texts.PASSWORD_KINDS),
        ("314159265358979", texts.PASSWORD_KINDS),
        ("password1234567", texts.PASSWORD_COMMON),
        ("PassWord1234567", texts.PASSWORD_COMMON),
        ("qwertyuiop12345", texts.PASSWORD_COMMON),
        ("taro-12345-67890", texts.PASSWORD_COMMON),
        (SITE, texts.PASSWORD_COMMON),
        ("a1a1a1a1a1a1a1a1", texts.PASSWORD_COMMON),
        ("card 4810-0000-0002-0000", texts.PASSWORD_COMMON),
    ],
)
def test_the_rules(password: str, fault: str | None) -> None:
    """15 to 128 characters, a letter and a digit, nothing usual, not the login
    ID or the site's name (PCI DSS 8.3.6)."""
    assert passwords.fault(password, (LOGIN_ID, SITE)) == fault


def test_length_is_counted_after_composing() -> None:
    """NFC: a letter and its mark are one character."""
    composed = "ばびぶべぼぱぴぷぺぽがぎぐ1"
    assert len(composed) == 14
    decomposed = unicodedata.normalize("NFD", composed)
    assert len(decomposed) > 15
    assert passwords.fault(decomposed, ()) == texts.PASSWORD_LENGTH


def test_the_block_list_bites() -> None:
    """At least 3,000 entries that the other rules would let through."""
    biting = [
        text
        for text in passwords.blocked()
        if 15 <= len(text) <= 128
        and any(c.isalpha() for c in text)
        and any(c.isdigit() for c in text)
    ]
    assert len(biting) >= 3000
    assert all(passwords.fault(text, ()) == texts.PASSWORD_COMMON for text in biting)


def test_every_page_leads_to_the_change(auth: Auth) -> None:
    """Whoever fears that his password is known finds where to change it."""
    auth.login()
    for path in ("/cards", "/cards/deleted", "/factors/proof"):
        page = auth.client.get(path, follow_redirects=True).text
        assert '<a class="button quiet" href="/password">パスワードの変更</a>' in page


def test_a_password_is_changed(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """The browser stays in under a new id, the old password is dead."""
    auth.login()
    assert change_password(auth).location == "/cards"
    assert "パスワードを変更しました。" in auth.get("/cards").text
    assert ("operator.password_changed", "success", LOGIN_ID) in trail(app)
    auth.logout()
    clock.advance(60)
    assert auth.password().status_code == 422
    assert auth.password(password=NEW).location == "/login/email"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"current": ""}, "パスワードを入力してください。"),
        ({"new": ""}, "新しいパスワードを入力してください。"),
        ({"again": "something else 9"}, texts.AGAIN_DIFFERS),
        ({"new": "short 1"}, texts.PASSWORD_LENGTH),
        ({"new": PASSWORD}, texts.PASSWORD_USED),
        ({"current": "wrong password 123"}, "現在のパスワードが正しくありません。"),
    ],
)
def test_what_is_wrong_is_said(auth: Auth, fields: dict[str, Any], text: str) -> None:
    """Beside the field, and nothing changes."""
    auth.login()
    answer = change_password(auth, **fields)
    assert answer.status_code == 422
    assert text in answer.text
    assert scalar(auth.app, "SELECT password_epoch FROM operator") == 1


def test_the_last_four_are_not_taken(auth: Auth) -> None:
    """The current one and three before it; the fourth before it is (PCI 8.3.7)."""
    auth.login()
    used = [PASSWORD, *(f"horse number {number} here" for number in range(1, 5))]
    for current, new in pairwise(used):
        assert change_password(auth, new, current).location == "/cards"
    for recent in used[1:]:
        assert texts.PASSWORD_USED in change_password(auth, recent, used[-1]).text
    assert change_password(auth, used[0], used[-1]).location == "/cards"


def test_guessing_the_current_one_locks(auth: Auth) -> None:
    """Five wrong ones end the login and lock the ID, as at the door."""
    auth.login()
    for _ in range(4):
        assert change_password(auth, current="wrong password 123").status_code == 422
    assert change_password(auth, current="wrong password 123").location == "/login"
    assert ENDED in auth.get("/login").text
    assert auth.password().status_code == 422


def test_a_first_password_must_be_changed(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Every address leads to /password until it is (AUT-07)."""
    change(
        app,
        "UPDATE operator SET must_change = true, first_password_until = :until",
        until=clock() + 24 * 3600,
    )
    auth.login()
    for path in ("/cards", "/cards.csv"):
        assert auth.get(path).location == "/password"
    assert "はじめに新しいパスワードを設定してください。" in auth.get("/password").text
    change_password(auth)
    assert auth.get("/cards").status_code == 200


@pytest.mark.parametrize(("age", "let_in"), [(86400, True), (86401, False)])
def test_a_first_password_dies_after_a_day(
    auth: Auth, app: Flask, clock: FakeClock, age: int, let_in: bool
) -> None:
    """86,400 s yes, one more no."""
    change(
        app,
        "UPDATE operator SET must_change = true, first_password_until = :until",
        until=clock() + 86400,
    )
    clock.advance(age)
    assert (auth.password().location == "/login/email") is let_in


def test_a_password_may_be_typed_decomposed(auth: Auth) -> None:
    """Another keyboard's way of writing が logs in all the same."""
    auth.login()
    composed = "がぎぐげごとうま battery 8"
    assert change_password(auth, composed).location == "/cards"
    auth.logout()
    typed = unicodedata.normalize("NFD", composed)
    assert typed != composed
    assert auth.password(password=typed).location == "/login/email"


def test_an_unknown_operators_password_is_checked_by_as_much_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against a hash like any other, with the same costs; none is made for it."""
    with monkeypatch.context() as patched:
        patched.setattr(PasswordHasher, "hash", None)
        hasher = passwords.Hasher(1025)
    drawn = hasher._dummy
    assert not hasher.is_weak(drawn)
    assert len(drawn) == len(hasher.hash("correct horse 7"))
    with pytest.raises(VerifyMismatchError):
        hasher._argon2.verify(drawn, "correct horse 7")
    assert not hasher.agrees(None, "correct horse 7")
    assert passwords._dummy.__wrapped__(1025) != drawn
