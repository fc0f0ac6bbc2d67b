"""パスキー: WebAuthn on the code page, against a passkey in software."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from markupsafe import escape
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth import logins
from app.auth.factors import passkeys
from app.auth.models import Login
from tests.actors.forms import csrf
from tests.actors.operator_client import LOGIN_ID, Auth
from tests.places.vault import FakeClock

from .authenticator import (
    USER_PRESENT,
    USER_VERIFIED,
    Authenticator,
    enrol_app,
    enrol_passkey,
    give_passkey,
    operator_of,
    options_on,
)
from .records import change, scalar, trail

pytestmark = pytest.mark.mutation("app/auth/answers.py", area="code check")

NOT_MADE = "パスキーを追加できませんでした。もう一度お試しください。"
WRONG = "パスキーを確認できませんでした。"
UNREADABLE = (
    "パスキーの応答を読み取れませんでした。ブラウザーの拡張機能（パスワード管理など）を"
    "無効にして、もう一度お試しください。"
)
ENDED = "入力回数が上限に達しました。30分後にもう一度ログインしてください。"


@pytest.fixture
def passkey(auth: Auth) -> Authenticator:
    """The operator's passkey, enrolled; he is logged out."""
    made = Authenticator()
    auth.login()
    assert enrol_passkey(auth, made).location == "/factors"
    auth.logout()
    return made


# --- Enrolling one.


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (None, "このパソコン"),
        ("", "このパソコン"),
        (" \u3000", "このパソコン"),
        (" 事務所 2\u200b ", "事務所 2"),
        ("あ" * 30, "あ" * 30),
        ("<b>&\"'", "<b>&\"'"),
    ],
)
def test_a_passkey_has_a_name(auth: Auth, typed: str | None, kept: str) -> None:
    """What was typed, without what nobody sees; it is shown as text."""
    auth.login()
    assert enrol_passkey(auth, Authenticator(), typed).location == "/factors"
    assert operator_of(auth.app).passkeys[0].name == kept
    page = auth.get("/factors").text
    assert f"<p>{escape(kept)}<br>" in page
    assert "2026/11/23追加" in page
    assert '<input id="name" name="name" type="text" value="このパソコン"' in page


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("あ" * 31, "パスキーの名前は30文字以内で入力してください。"),
        ("a\0b", "パスキーの名前に使用できない文字が含まれています。"),
        ("a\nb", "パスキーの名前に使用できない文字が含まれています。"),
        ("4810 0000 0002 0000", "パスキーの名前にカード番号は使用できません。"),
    ],
)
def test_a_name_that_is_none_is_refused(auth: Auth, typed: str, said: str) -> None:
    """Beside its box, and no passkey is kept."""
    auth.login()
    answer = enrol_passkey(auth, Authenticator(), typed)
    assert answer.status_code == 422
    assert f'<a href="#name">{said}</a>' in answer.text
    assert "4810" not in answer.text
    assert operator_of(auth.app).passkeys == []


def test_one_from_before_the_names_is_told_by_its_days(
    auth: Auth, clock: FakeClock
) -> None:
    """When it was added and last used."""
    auth.login()
    enrol_passkey(auth, Authenticator())
    enrol_passkey(auth, Authenticator())
    change(auth.app, "UPDATE passkey SET name = '', used_at = :now", now=clock())
    page = auth.get("/factors").text
    said = "<p>パスキー<br><small>2026/11/23追加（最終使用日 2026/11/23）</small>"
    assert said in page
    assert 'aria-label="パスキー「2026/11/23追加」を削除"' in page


def test_the_browser_is_asked_for_a_verified_user(auth: Auth) -> None:
    """This site's host, a finger, face or PIN, nothing about the make, the
    operator by a number."""
    auth.login()
    options = options_on(auth.get("/factors"))
    assert options["rp"] == {
        "id": "localhost",
        "name": "オフィス24クレジットカード登録",
    }
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "preferred"
    assert options["attestation"] == "none"
    assert len(options["challenge"]) == 43
    assert options["excludeCredentials"] == []


@pytest.mark.usefixtures("passkey")
def test_a_passkey_is_kept_as_its_public_key(app: Flask) -> None:
    """Nothing on the site can sign; the trail tells of it."""
    kept = operator_of(app).passkeys
    assert len(kept) == 1
    assert kept[0].sign_count == 1
    assert ("operator.passkey_enrolled", "success", LOGIN_ID) in trail(app)


def test_the_same_one_is_not_added_twice(auth: Auth, passkey: Authenticator) -> None:
    """The browser is told to leave it out, and the site refuses it."""
    auth.password()
    give_passkey(auth, passkey)
    excluded = options_on(auth.get("/factors"))["excludeCredentials"]
    assert len(excluded) == 1
    answer = enrol_passkey(auth, passkey)
    assert answer.status_code == 422
    assert NOT_MADE in answer.text


@pytest.mark.parametrize(
    "bend",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://localhost"},
        {"host": "evil.example"},
        {"flags": USER_PRESENT},
        {"flags": USER_VERIFIED},
    ],
    ids=["origin", "scheme", "host", "user not verified", "user not there"],
)
def test_a_bent_passkey_is_not_kept(
    auth: Auth, app: Flask, bend: dict[str, Any]
) -> None:
    """Another site's, or nobody's finger: refused."""
    auth.login()
    assert NOT_MADE in enrol_passkey(auth, Authenticator(**bend)).text
    assert operator_of(app).passkeys == []


def test_a_passkeys_name_is_as_long_as_the_standard_says(
    auth: Auth, app: Flask
) -> None:
    """A longer one fits no column, and PostgreSQL would answer with an error."""
    auth.login()
    assert NOT_MADE in enrol_passkey(auth, Authenticator(id=bytes(1024))).text
    assert operator_of(app).passkeys == []
    assert enrol_passkey(auth, Authenticator(id=bytes(1023))).location == "/factors"


def test_an_old_challenge_makes_no_passkey(auth: Auth, app: Flask) -> None:
    """It is the login row's own and used once, right or wrong."""
    auth.login()
    passkey, options = Authenticator(), options_on(auth.get("/factors"))
    auth.post("/factors/passkey", page="/factors", credential="{}")
    again = auth.post(
        "/factors/passkey", page="/factors", credential=passkey.make(options)
    )
    assert NOT_MADE in again.text
    assert operator_of(app).passkeys == []


def test_ten_are_enough(auth: Auth, app: Flask) -> None:
    """The eleventh is refused with what to do."""
    auth.login()
    for _ in range(10):
        assert enrol_passkey(auth, Authenticator()).location == "/factors"
    answer = enrol_passkey(auth, Authenticator())
    assert "パスキーは10個まで追加できます。" in answer.text
    assert len(operator_of(app).passkeys) == 10


# --- Logging in with one.


def test_the_passkey_takes_the_codes_place(auth: Auth, passkey: Authenticator) -> None:
    """Password, then the code page with its button and no box; the list."""
    auth.mailbox.empty()
    assert auth.password().location == "/login/code"
    page = auth.get("/login/code").text
    assert "パスキーでログイン" in page
    assert "JavaScriptを有効にしてください。" in page
    assert 'name="code"' not in page
    assert give_passkey(auth, passkey).location == "/cards"
    assert auth.get("/cards").status_code == 200
    assert auth.mailbox.is_empty()
    assert ("login.passkey", "success", LOGIN_ID) in trail(auth.app)


def test_both_stand_on_one_page(
    auth: Auth, passkey: Authenticator, clock: FakeClock
) -> None:
    """The app's box and the passkey's button; either lets in."""
    auth.password()
    give_passkey(auth, passkey)
    enrol_app(auth)
    auth.logout()
    clock.advance(60)
    auth.password()
    page = auth.get("/login/code").text
    assert 'name="code"' in page
    assert "パスキーでログイン" in page
    assert give_passkey(auth, passkey).location == "/cards"


def test_a_code_is_nothing_where_a_passkey_is_asked(
    auth: Auth, passkey: Authenticator
) -> None:
    """Nor does typing one count as a failure."""
    assert passkey
    auth.password()
    answer = auth.post("/login/code", code="123456")
    assert "「パスキーでログイン」を押してください。" in answer.text
    assert scalar(auth.app, "SELECT failures FROM operator") == 0


@pytest.mark.parametrize(
    "bend",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://localhost"},
        {"host": "evil.example"},
        {"flags": USER_PRESENT},
        {"flags": USER_VERIFIED},
        {"step": 0},
        {"count": -1},
    ],
    ids=[
        "origin",
        "scheme",
        "host",
        "user not verified",
        "user not there",
        "a copy's count",
        "no count after one",
    ],
)
def test_a_bent_answer_lets_nobody_in(
    auth: Auth, passkey: Authenticator, bend: dict[str, Any]
) -> None:
    """Each counts as a failure, in the trail too."""
    auth.password()
    for name, value in bend.items():
        setattr(passkey, name, value)
    answer = give_passkey(auth, passkey)
    assert answer.status_code == 422
    assert WRONG in answer.text
    assert scalar(auth.app, "SELECT failures FROM operator") == 1
    assert ("login.passkey", "failure", LOGIN_ID) in trail(auth.app)


def test_another_key_does_not_fit(auth: Auth, passkey: Authenticator) -> None:
    """The right name and the wrong signature."""
    auth.password()
    passkey.key = Authenticator().key
    assert WRONG in give_passkey(auth, passkey).text


def test_an_answer_for_enrolling_lets_nobody_in(
    auth: Auth, passkey: Authenticator
) -> None:
    """What was signed says what for."""
    auth.password()
    options = options_on(auth.get("/login/code"))
    answer = passkey.sign(options, kind="webauthn.create")
    assert (
        WRONG in auth.post("/login/passkey", page="/login/code", credential=answer).text
    )


def test_somebody_elses_passkey_is_nobodys(auth: Auth, passkey: Authenticator) -> None:
    """Only the operator's own are looked at."""
    auth.password()
    other = Authenticator()
    assert WRONG in give_passkey(auth, other).text
    assert give_passkey(auth, passkey).location == "/cards"


def test_an_answer_is_looked_at_once(
    auth: Auth, app: Flask, passkey: Authenticator
) -> None:
    """Neither for the same login again nor for another one."""
    auth.password()
    answer = passkey.sign(options_on(auth.get("/login/code")))
    auth.post("/login/passkey", page="/login/code", credential="{}")
    again = auth.post("/login/passkey", page="/login/code", credential=answer)
    assert WRONG in again.text
    other = Auth(app, app.test_client(), auth.mailbox)
    other.password()
    elsewhere = other.post("/login/passkey", page="/login/code", credential=answer)
    assert WRONG in elsewhere.text


def test_a_challenge_is_taken_by_one_request(auth: Auth, app: Flask) -> None:
    """By a conditional UPDATE: who read it before another took it gets nothing."""
    auth.password()
    with Session(app.extensions["site_engine"]) as site:
        login = site.scalars(select(Login)).one()
        asked = login.challenge
        assert logins.take_challenge(site, login) == asked
        assert login.challenge not in ("", asked)
        site.execute(text("UPDATE login SET challenge = 'taken by another'"))
        assert logins.take_challenge(site, login) == ""


def test_a_passkey_that_does_not_count_may_stay_at_nought(
    auth: Auth, app: Flask
) -> None:
    """As those that are kept in step between devices do."""
    passkey = Authenticator(count=0, step=0)
    auth.login()
    enrol_passkey(auth, passkey)
    for _ in range(2):
        auth.logout()
        auth.password()
        assert give_passkey(auth, passkey).location == "/cards"
    assert operator_of(app).passkeys[0].sign_count == 0


def test_the_count_is_kept(auth: Auth, app: Flask, passkey: Authenticator) -> None:
    """A copy made before the last login is behind from then on."""
    auth.password()
    assert give_passkey(auth, passkey).location == "/cards"
    assert operator_of(app).passkeys[0].sign_count == passkey.count == 2
    auth.logout()
    auth.password()
    passkey.step = 0
    assert WRONG in give_passkey(auth, passkey).text


def test_the_count_is_changed_by_one_request(
    auth: Auth, app: Flask, passkey: Authenticator
) -> None:
    """By a conditional UPDATE: who read it before another used the passkey is
    refused."""
    auth.password()
    answer = passkey.sign(options_on(auth.get("/login/code")))
    party = passkeys.Party("localhost", "http://localhost", "site")
    with Session(app.extensions["site_engine"]) as site:
        login = site.scalars(select(Login)).one()
        given = site, login.operator, party, login.challenge, answer, 0
        assert [key.sign_count for key in login.operator.passkeys] == [1]
        site.execute(text("UPDATE passkey SET sign_count = 50"))
        assert not passkeys.verify_login(*given)
        site.execute(text("UPDATE passkey SET sign_count = 1"))
        assert passkeys.verify_login(*given)


def test_five_wrong_answers_lock(auth: Auth, passkey: Authenticator) -> None:
    """Together with passwords, as codes do (AUT-05)."""
    for _ in range(2):
        auth.password(password="wrong password 123")
    auth.password()
    passkey.flags = USER_PRESENT
    for _ in range(2):
        assert WRONG in give_passkey(auth, passkey).text
    assert give_passkey(auth, passkey).location == "/login"
    assert ENDED in auth.get("/login").text
    assert auth.password().status_code == 422


def test_an_id_locked_meanwhile_is_not_let_in(
    auth: Auth, app: Flask, passkey: Authenticator
) -> None:
    """The right answer doesn't help an ID that was locked elsewhere."""
    auth.password()
    other = Auth(app, app.test_client(), auth.mailbox)
    for _ in range(5):
        other.password(password="wrong password 123")
    assert give_passkey(auth, passkey).location == "/login"


@pytest.mark.parametrize(
    "path", ["/login/passkey", "/factors/passkey"], ids=["login", "enrolling"]
)
@pytest.mark.parametrize(
    "credential",
    [
        "",
        "null",
        "[]",
        "[" * 5000,
        '{"id": 5}',
        '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {}}',
        '{"id": "é", "rawId": "\\u0000", "type": [], "response": {"userHandle": "a"}}',
        "\0" * 50,
        "9" * 7000,
    ],
    ids=range(9),
)
def test_any_text_is_a_wrong_answer(
    auth: Auth, passkey: Authenticator, path: str, credential: str
) -> None:
    """Never an error (INP-01), and no try either, however often: an extension of the
    browser may have made it, and it can't be right."""
    auth.password()
    page = "/login/code"
    if path == "/factors/passkey":
        give_passkey(auth, passkey)
        page = "/factors"
    for _ in range(6):
        answer = auth.post(path, page=page, credential=credential)
        assert answer.status_code == 422
        assert UNREADABLE in answer.text
    assert scalar(auth.app, "SELECT failures_since FROM operator") == 0
    assert ("login.passkey", "failure", LOGIN_ID) not in trail(auth.app)
    if path == "/login/passkey":
        assert give_passkey(auth, passkey).location == "/cards"


def test_a_locked_id_is_told_so_whatever_was_sent(
    auth: Auth, app: Flask, passkey: Authenticator
) -> None:
    """What can't be read is no way to keep a login of a locked ID."""
    assert passkey
    auth.password()
    change(app, "UPDATE operator SET locked_until = 9999999999")
    answer = auth.post("/login/passkey", page="/login/code", credential="{}")
    assert answer.location == "/login"
    assert scalar(app, "SELECT count(*) FROM login") == 0


@pytest.mark.parametrize("whole", [True, False])
def test_a_broken_signature_is_a_wrong_answer(
    auth: Auth, passkey: Authenticator, whole: bool
) -> None:
    """Whatever has the form of an answer is counted."""
    auth.password()
    answer = json.loads(passkey.sign(options_on(auth.get("/login/code"))))
    answer["response"]["signature"] = "AAAA" if whole else ""
    sent = auth.post(
        "/login/passkey", page="/login/code", credential=json.dumps(answer)
    )
    assert WRONG in sent.text
    assert scalar(auth.app, "SELECT failures FROM operator") == 1


@pytest.mark.parametrize("broken", ["clientDataJSON", "authenticatorData", "signature"])
@pytest.mark.parametrize("value", ["", "A", "AAAA", "é", 5, None, "A" * 4000])
def test_any_part_may_be_broken(
    auth: Auth, passkey: Authenticator, broken: str, value: Any
) -> None:
    """A wrong answer, never an error (INP-01)."""
    auth.password()
    answer = json.loads(passkey.sign(options_on(auth.get("/login/code"))))
    answer["response"][broken] = value
    sent = auth.post(
        "/login/passkey", page="/login/code", credential=json.dumps(answer)
    )
    assert sent.status_code == 422


def test_nobody_without_a_passkey_is_asked(auth: Auth) -> None:
    """The address leads where the login belongs."""
    auth.password()
    answer = auth.post("/login/passkey", page="/login/email", credential="{}")
    assert answer.location == "/login/email"


def test_a_site_known_by_an_ip_address_offers_none(auth: Auth, make_app: Any) -> None:
    """A passkey belongs to a name."""
    app = make_app(TRUSTED_HOSTS="127.0.0.1")
    browser = app.test_client()
    kept = Auth(app, browser, auth.mailbox)
    base = "http://127.0.0.1"
    page = browser.get("/login", base_url=base).text
    fields = {"csrf_token": csrf(page)}
    fields |= {"login_id": LOGIN_ID, "password": "correct horse battery 5"}
    sent = browser.post("/login", data=fields, base_url=base)
    assert sent.location == "/login/email"
    change(app, "UPDATE login SET step = 'in', proved_at = seen_at")
    shown = browser.get("/factors", base_url=base).text
    assert "このサイトではパスキーを使用できません。" in shown
    assert kept.app is app
