"""What a new password must be, and パスワードの変更."""

from __future__ import annotations

import math
import random
import unicodedata
from itertools import pairwise
from typing import Any

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse
from zxcvbn import matching

from app.auth import first_password, passwords, texts, views
from app.auth.new_password import Fault, find_fault, word_lists
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock

from .records import change, scalar, trail

NEW = "another horse battery 6"
SITE = "オフィス24クレジットカード登録"
EASY_REPEAT = (
    "推測されやすいパスワードです（同じ文字や言葉のくり返し）。"
    "互いに関係のない、あまり使われない言葉と数字を組み合わせてください。"
)
EASY_OWN = EASY_REPEAT.replace(
    "同じ文字や言葉のくり返し", "ログインID・お名前・メールアドレス・サイト名"
)
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
        ("correct\u3000horse 7 🐎", None),
        ("k7Jq-vb93-xm2w-Qp", None),
        ("4@8({[<3691!|0$5+7%2aceilostxz" * 4, None),
        ("correct horse 7"[:14], Fault.LENGTH),
        ("abcdefgh " * 14 + "123", Fault.LENGTH),
        ("correct horse\x007", Fault.UNPRINTABLE),
        ("correct horse 7\x1b", Fault.UNPRINTABLE),
        ("\u200bcorrect horse 7", Fault.UNPRINTABLE),
        ("\u202ecorrect horse 7", Fault.UNPRINTABLE),
        ("correct horse 7\ud800", Fault.UNPRINTABLE),
        ("correct horse battery", Fault.KINDS),
        ("314159265358979", Fault.KINDS),
        ("card 4810-0000-0002-0000", Fault.CARD_NUMBER),
        ("password1password1", Fault.REPEAT),
        ("password-password-1", Fault.REPEAT),
        ("p@ssw0rdp@ssw0rd1", Fault.REPEAT),
        ("a1a1a1a1a1a1a1a1", Fault.REPEAT),
        ("sakura123sakura123", Fault.REPEAT),
        ("nekonekonekoneko2024", Fault.REPEAT),
        ("パスワードパスワードパスワード1", Fault.REPEAT),
        ("password1234567", Fault.WORD),
        ("PassWord1234567", Fault.WORD),
        ("ｐａｓｓｗｏｒｄ１２３４５６７", Fault.WORD),
        ("2026-password-2026", Fault.WORD),
        ("2024クレジットカード2024", Fault.WORD),
        ("suzukihanako1985", Fault.WORD),
        ("qwertyuiop12345", Fault.WORD),
        ("asdfghjkl;12345", Fault.KEYBOARD),
        ("abcdefghijklmnop1", Fault.ORDER),
        ("sato 1985/11/29", Fault.DATE),
        ("taro-12345-67890", Fault.OWN),
        ("TARO2024taro2024", Fault.OWN),
        ("ｔａｒｏｔａｒｏｔａｒｏ１２３４", Fault.OWN),
        ("山田太郎2024山田太郎2024", Fault.OWN),
        ("yamada.t@1985-1985", Fault.OWN),
        (SITE, Fault.OWN),
        ("オフィス24オフィス24オフィス24", Fault.OWN),
    ],
)
def test_the_rules(password: str, fault: Fault | None) -> None:
    """15 to 128 characters, a letter and a digit, nothing that is soon guessed, however
    it is spelled (PCI DSS 8.3.6)."""
    own = (LOGIN_ID, "山田 太郎", "yamada.t@office.example.jp", SITE)
    assert find_fault(password, own) == fault


def test_length_is_counted_after_composing() -> None:
    """NFC: a letter and its mark are one character."""
    composed = "ばびぶべぼぱぴぷぺぽがぎぐ1"
    assert len(composed) == 14
    decomposed = unicodedata.normalize("NFD", composed)
    assert len(decomposed) > 15
    assert find_fault(decomposed, ()) == Fault.LENGTH


def test_the_block_list_bites() -> None:
    """Every tenth of the library's 3,000 most common passwords and every word of our own
    list, as often as it takes to be long enough, with digits at both ends."""
    theirs = list(word_lists()["passwords"])[:3000:10]
    ours = list(word_lists()["japanese"])
    assert len(ours) > 500
    for word in [*theirs, *ours]:
        password = f"1{word * math.ceil(13 / len(word))}a1"
        assert find_fault(password, ()) is not None, password


def test_what_the_site_makes_is_never_easy() -> None:
    """The random first passwords of the commands."""
    for _ in range(50):
        assert find_fault(first_password.random(), (LOGIN_ID, SITE)) is None


@given(st.text(min_size=15, max_size=128))
@settings(max_examples=100, deadline=None)
def test_every_text_is_judged(text: str) -> None:
    """Whatever is typed, the library finds an answer."""
    assert find_fault(f"{text[:126]}a1", (text[:20],)) in {None, *Fault}


@pytest.mark.parametrize("faults", [views.FAULTS, first_password.FAULTS])
def test_every_fault_has_words_of_its_own(faults: dict[Fault, str]) -> None:
    """On the page and at the command."""
    assert set(faults) == set(Fault)
    assert len(set(faults.values())) == len(faults)


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
        ({"current": ""}, "現在のパスワードを入力してください。"),
        ({"new": ""}, "新しいパスワードを入力してください。"),
        ({"again": "something else 9"}, texts.AGAIN_DIFFERS),
        ({"new": "short 1"}, texts.PASSWORD_LENGTH),
        ({"new": PASSWORD}, texts.PASSWORD_USED),
        ({"new": "password1password1"}, EASY_REPEAT),
        ({"new": "太郎2024-太郎2024-x"}, EASY_OWN),
        ({"new": f"{ADDRESS}2024"}, EASY_OWN),
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
    for path in ("/cards", "/cards.csv", "/cards.xlsx"):
        assert auth.get(path).location == "/password"
    page = auth.get("/password").text
    assert (
        "初回のログインです。「現在のパスワード」には管理者から受け取ったものを" in page
    )
    assert ">戻る</a>" not in page
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


@pytest.mark.parametrize(
    "signs", ["4@8({[<3691!|0$5+7%2a", "4@1!$569e", "1!|7", "abcdefg1", "ab"]
)
def test_no_password_takes_the_library_long(
    signs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries each way to read signs as letters, at each place: both are bounded,
    whatever is typed."""
    asked: list[str] = []
    omnimatch = matching.omnimatch

    def counting(text: str, *lists: object) -> object:
        asked.append(text)
        return omnimatch(text, *lists)

    monkeypatch.setattr(matching, "omnimatch", counting)
    chosen = random.Random(7).choices(signs, k=126)
    find_fault(f"{''.join(chosen)}a1", ())
    text = asked[0]
    ways = matching.relevant_l33t_subtable(text, matching.L33T_TABLE).values()
    assert math.prod(map(len, ways)) <= 16
    assert len(text) <= 48
