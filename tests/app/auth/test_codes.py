"""認証コード: asking for one, getting it, and giving it back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth import codes
from app.auth.models import Login
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.vault import VISA, FakeClock

from .records import change, scalar, trail

NOT_SENT = "認証コードを送信できませんでした。"
LOGIN_LIMIT = (
    "1回のログインで送信できるのは3回までです。ログインからやり直してください。"
)
DAY_LIMIT = "本日の送信回数の上限（10回）に達しました。管理者に連絡してください。"
STILL_GOOD = "届いている認証コードは、そのまま使えます。"
EXPIRED = "認証コードの有効期限が切れています。「認証コードを再送信」を押してください。"
ENDED = "入力回数が上限に達しました。30分後にもう一度ログインしてください。"
WRONG = "22222222"


def resend(auth: Auth) -> Any:
    """Press 認証コードを再送信."""
    return auth.post("/login/code/resend", page="/login/code")


def minute_limit(seconds: int) -> str:
    """What is said within a minute of the last code."""
    return f"認証コードは1分に1回まで送信できます。あと{seconds}秒お待ちください。"


def refused(answer: Any, text: str) -> bool:
    """Say whether a page names the limit, in its summary and nowhere else: nothing
    that was typed is wrong."""
    page = answer.text
    assert answer.status_code == 429
    assert page.count("送信できませんでした。") == 1
    assert "<title>エラー：" in page
    assert "入力内容に誤りがあります。" not in page
    assert "aria-invalid" not in page
    summary = page.partition('id="summary"')[2].partition("</div>")[0]
    return NOT_SENT in summary and text in summary


def use_up_the_day(auth: Auth, clock: FakeClock, address: str = ADDRESS) -> None:
    """Ask for ten codes in four logins."""
    for times in (3, 3, 3, 1):
        auth.password()
        for _ in range(times):
            clock.advance(60)
            assert auth.address(address).location == "/login/code"
    clock.advance(60)


def wide(text: str) -> str:
    """Every character in full width."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


@pytest.mark.parametrize(
    "typed",
    [
        lambda code: code,
        lambda code: code.upper(),
        wide,
        lambda code: wide(code.upper()),
        lambda code: f" {code[:4]} {code[4:]}　",
        lambda code: f"{code[:4]}-{code[4:]}",
        lambda code: f"{code[:4]}ー{code[4:]}",
    ],
)
def test_a_code_is_taken_however_it_is_typed(auth: Auth, typed: Any) -> None:
    """Any case, full-width, with blanks or hyphens."""
    assert auth.code(typed(auth.to_code())).location == "/cards"


def test_a_code_is_spelled_in_letters_hard_to_mistake() -> None:
    """Eight of them, each of the thirty-one in use, none that looks like another."""
    drawn = [codes.new_code() for _ in range(500)]
    assert {len(code) for code in drawn} == {8}
    assert set("".join(drawn)) == set("23456789abcdefghjkmnpqrstuvwxyz")


@pytest.mark.parametrize(("age", "let_in"), [(1800, True), (1801, False)])
def test_a_code_is_good_for_half_an_hour(
    auth: Auth, clock: FakeClock, age: int, let_in: bool
) -> None:
    """1800 s yes, 1801 s no; an expired one costs no try."""
    code = auth.to_code()
    clock.advance(age)
    answer = auth.code(code)
    assert (answer.location == "/cards") is let_in
    assert (EXPIRED in answer.text) is not let_in
    assert scalar(auth.app, "SELECT tries FROM code") == 0


def test_a_shorter_setting_is_kept_and_told(
    auth: Auth, make_app: Any, clock: FakeClock
) -> None:
    """CODE_TTL ends the code and stands in the mail."""
    app = make_app(CODE_TTL="600")
    other = Auth(app, app.test_client(), auth.mailbox)
    other.password()
    other.address()
    assert "有効期限は10分間となります。" in other.mailbox.message().get_content()
    clock.advance(601)
    assert EXPIRED in other.code(WRONG).text


def test_a_clock_set_back_gives_no_code_more_time(auth: Auth, clock: FakeClock) -> None:
    """A code from the future is none (REL-05)."""
    code = auth.to_code()
    clock.advance(-120)
    assert auth.code(code).location != "/cards"


@pytest.mark.parametrize(
    "typed", ["１２３", "²²²²²²²²", "あいうえおかきく", "x" * 5000, "\0" * 8]
)
def test_any_text_is_a_wrong_code(auth: Auth, typed: str) -> None:
    """Nothing but a wrong code, and never an error (OTP-06)."""
    auth.to_code()
    answer = auth.code(typed)
    assert answer.status_code == 422
    assert "認証コードが正しくありません。（残り4回）" in answer.text


@pytest.mark.parametrize("typed", ["", "  ", "-"])
def test_an_empty_code_costs_no_try(auth: Auth, typed: str) -> None:
    """認証コードを入力してください。"""
    auth.to_code()
    assert "認証コードを入力してください。" in auth.code(typed).text
    assert scalar(auth.app, "SELECT tries FROM code") == 0


def test_five_wrong_codes_end_the_login_and_lock(auth: Auth, clock: FakeClock) -> None:
    """残り4回 down to 残り1回, then the login is over and the ID locked."""
    code = auth.to_code()
    for left in (4, 3, 2, 1):
        assert f"（残り{left}回）" in auth.code(WRONG).text
    assert auth.code(WRONG).location == "/login"
    assert ENDED in auth.get("/login").text
    assert auth.code(code).status_code in (303, 400)
    assert auth.password().status_code == 422
    clock.advance(1800)
    assert auth.password().status_code == 303


def test_a_fifth_try_locks_whatever_was_unlocked_before(auth: Auth, app: Flask) -> None:
    """An administrator's unlock between gives the code no sixth try."""
    auth.to_code()
    for _ in range(4):
        auth.code(WRONG)
    app.test_cli_runner().invoke(args=["operators", "unlock", LOGIN_ID])
    assert auth.code(WRONG).location == "/login"
    assert auth.password().status_code == 422


@pytest.mark.engines("sqlite", "postgres")
def test_an_id_locked_meanwhile_is_not_let_in(auth: Auth, app: Flask) -> None:
    """The right code doesn't help an ID that was locked elsewhere."""
    code = auth.to_code()
    other = Auth(app, app.test_client(), auth.mailbox)
    for _ in range(5):
        other.password(password="wrong password 123")
    assert auth.code(code).location == "/login"
    assert ENDED in auth.get("/login").text


@pytest.mark.engines("sqlite", "postgres")
def test_a_code_works_once(auth: Auth, app: Flask) -> None:
    """Neither the browser that used it nor the one before can use it again."""
    code = auth.to_code()
    cookie = auth.client.get_cookie("session")
    assert cookie is not None
    auth.code(code)
    other = app.test_client()
    other.set_cookie("session", cookie.value)
    again = Auth(app, other, auth.mailbox)
    assert again.get("/login/code").location == "/login"
    assert auth.post("/login/code", page="/cards", code=code).location == "/cards"
    assert scalar(app, "SELECT count(*) FROM login") == 1


def test_only_the_newest_code_counts(auth: Auth, clock: FakeClock) -> None:
    """After 認証コードを再送信 the code before is wrong."""
    old = auth.to_code()
    clock.advance(60)
    assert resend(auth).location == "/login/code"
    new = auth.mailbox.code()
    assert "残り4回" in auth.code(old).text
    assert auth.code(new).location == "/cards"


def test_a_code_is_bound_to_its_login(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """Another login of the same operator can't use it."""
    first = auth.to_code()
    clock.advance(60)
    other = Auth(app, app.test_client(), auth.mailbox)
    other.to_code()
    assert "残り4回" in other.code(first).text


def test_a_changed_password_kills_the_code(auth: Auth, app: Flask) -> None:
    """The epoch is bound in."""
    code = auth.to_code()
    change(app, "UPDATE operator SET password_epoch = password_epoch + 1")
    assert auth.post("/login/code", page="/login", code=code).location == "/login"


@pytest.mark.engines("sqlite", "postgres")
def test_twenty_right_answers_let_one_in(auth: Auth, app: Flask) -> None:
    """Twenty threads on a real database file: one login (OTP-01)."""
    code = auth.to_code()
    token = auth.csrf("/login/code")
    cookie = auth.client.get_cookie("session")
    assert cookie is not None
    start, answers = threading.Barrier(20), []

    def answer() -> None:
        browser = app.test_client()
        browser.set_cookie("session", cookie.value)
        start.wait()
        sent = browser.post("/login/code", data={"csrf_token": token, "code": code})
        answers.append(sent.location)

    threads = [threading.Thread(target=answer) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("/cards") == 1
    assert scalar(app, "SELECT count(*) FROM login WHERE step = 'in'") == 1


@pytest.mark.engines("sqlite", "postgres")
def test_twenty_wrong_answers_cost_five_tries(auth: Auth, app: Flask) -> None:
    """The counter loses none: nobody gets a sixth try."""
    code = auth.to_code()
    token = auth.csrf("/login/code")
    cookie = auth.client.get_cookie("session")
    assert cookie is not None

    def answer() -> None:
        browser = app.test_client()
        browser.set_cookie("session", cookie.value)
        browser.post("/login/code", data={"csrf_token": token, "code": WRONG})

    threads = [threading.Thread(target=answer) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scalar(app, "SELECT tries FROM code") == 5
    assert auth.post("/login/code", page="/login", code=code).location == "/login"


# --- Asking for one.


@pytest.mark.parametrize(
    "typed", [ADDRESS, ADDRESS.upper(), f" {ADDRESS} ", wide(ADDRESS)]
)
def test_mail_goes_to_the_stored_address(auth: Auth, typed: str) -> None:
    """However the bound one was typed (OTP-05)."""
    auth.password()
    assert auth.address(typed).location == "/login/code"
    assert auth.mailbox.message()["To"] == ADDRESS


def test_an_unbound_address_sees_the_same(auth: Auth, app: Flask) -> None:
    """The same page, the same answers to a wrong code, no mail, an entry."""
    auth.password()
    assert auth.address("other@example.co.jp").location == "/login/code"
    page = auth.get("/login/code").text
    assert "other@example.co.jp" in page
    assert "残り4回" in auth.code(WRONG).text
    assert auth.mailbox.is_empty()
    assert ("login.code_refused", "success", LOGIN_ID) in trail(app)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("", "メールアドレスを入力してください。"),
        *(
            (typed, "メールアドレスの形式が正しくありません。例：taro@example.co.jp")
            for typed in (
                "taro",
                "taro@example",
                "a@x.jp,e@y.jp",
                f"{ADDRESS}\r\nBcc: e@y.jp",
                f"{ADDRESS}\r\n",
                f"{ADDRESS}\0",
                f"<{ADDRESS}>",
                "x" * 5000 + "@example.jp",
                f"{VISA}@example.jp",
                f"{VISA[:8]}-{VISA[8:]}@example.jp",
            )
        ),
    ],
)
def test_a_bad_address_is_named(auth: Auth, app: Flask, typed: str, text: str) -> None:
    """A field error, nothing kept, no mail (OTP-05)."""
    auth.password()
    answer = auth.address(typed)
    assert answer.status_code == 422
    assert text in answer.text
    assert VISA not in answer.text
    assert scalar(app, "SELECT max(address) FROM login") == ""
    assert auth.mailbox.is_empty()


def test_a_carriers_odd_address_is_taken(auth: Auth, app: Flask) -> None:
    """Dots in a row and before the at sign, as docomo gave them out."""
    change(app, "UPDATE operator_address SET address = 'a..b.@docomo.ne.jp'")
    auth.password()
    assert auth.address("a..b.@docomo.ne.jp").location == "/login/code"
    assert auth.mailbox.message()["To"] == "a..b.@docomo.ne.jp"


@pytest.mark.parametrize("address", [ADDRESS, "other@example.co.jp"])
def test_sends_are_a_minute_apart(auth: Auth, clock: FakeClock, address: str) -> None:
    """59 s no, 60 s yes, bound or not, by either way of asking; the page counts the
    seconds, and keeps the address that was typed."""
    auth.password()
    auth.address(address)
    assert refused(resend(auth), minute_limit(60) + STILL_GOOD)
    clock.advance(59)
    assert refused(resend(auth), minute_limit(1) + STILL_GOOD)
    answer = auth.address(f"new-{address}")
    assert refused(answer, minute_limit(1) + "</li>")
    assert f'value="new-{address}"' in answer.text
    clock.advance(1)
    assert resend(auth).location == "/login/code"


def test_a_code_that_arrived_stays_good_when_none_is_sent(auth: Auth) -> None:
    """As the page says."""
    code = auth.to_code()
    assert refused(resend(auth), STILL_GOOD)
    assert auth.code(code).location == "/cards"


@pytest.mark.parametrize("address", [ADDRESS, "other@example.co.jp"])
def test_three_sends_a_login_ten_a_day(
    auth: Auth, clock: FakeClock, address: str
) -> None:
    """For the operator, whether the address was bound or not."""
    for _ in range(3):
        auth.password()
        for _ in range(3):
            clock.advance(60)
            assert auth.address(address).location == "/login/code"
        clock.advance(60)
        for answer in (auth.address(address), resend(auth)):
            assert refused(answer, LOGIN_LIMIT)
    auth.password()
    assert auth.address(address).location == "/login/code"
    clock.advance(60)
    for answer in (auth.address(address), resend(auth)):
        assert refused(answer, DAY_LIMIT)
    clock.advance(24 * 3600)
    auth.password()
    assert auth.address(address).location == "/login/code"


@pytest.mark.parametrize("verb", ["unlock", "reset-password"])
def test_an_administrator_lifts_the_ten_a_day(
    auth: Auth, app: Flask, clock: FakeClock, verb: str
) -> None:
    """And the next ten are counted anew."""
    use_up_the_day(auth, clock)
    auth.password()
    assert refused(auth.address(), DAY_LIMIT)
    said = app.test_cli_runner().invoke(args=["operators", verb, LOGIN_ID])
    assert said.exit_code == 0
    if verb == "reset-password":
        auth.password(password=said.output.rsplit(maxsplit=1)[-1])
    auth.mailbox.empty()
    assert auth.address().location == "/login/code"
    assert auth.code(auth.mailbox.code()).location in ("/cards", "/password")
    assert scalar(app, "SELECT count(*) FROM code WHERE counts") == 1


def test_behind_a_shared_id_ten_a_day_are_each_persons(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """Who asked too often keeps nobody else out, nor does who asks at the same
    time."""
    later = clock() + 10 * 24 * 3600
    change(app, "UPDATE operator SET shared_until = :later", later=later)
    query = "INSERT INTO operator_address VALUES (2, 1, 'hanako@example.co.jp')"
    change(app, query)
    use_up_the_day(auth, clock)
    auth.password()
    assert refused(auth.address(ADDRESS.upper()), DAY_LIMIT)
    assert auth.address("hanako@example.co.jp").location == "/login/code"
    other = Auth(app, app.test_client(), auth.mailbox)
    other.password()
    assert refused(other.address("hanako@example.co.jp"), minute_limit(60))
    assert other.address("third@example.co.jp").location == "/login/code"


def test_whoever_corrects_an_address_finds_it_typed(auth: Auth) -> None:
    """メールアドレスを変更 leads to the box with what was typed; a first visit's is
    empty."""
    auth.password()
    assert 'name="email" type="email" value=""' in auth.get("/login/email").text
    auth.address("taro@exmaple.co.jp")
    assert 'value="taro@exmaple.co.jp"' in auth.get("/login/email").text


def test_the_code_page_says_where_to_look(auth: Auth, make_app: Any) -> None:
    """Eight letters, how long they are good by the setting, and where mails go."""
    auth.to_code()
    hint = "届かないときは、迷惑メールのフォルダーとメールアドレスをご確認ください。"
    assert f"8文字・30分間有効です。{hint}" in auth.get("/login/code").text
    app = make_app(CODE_TTL="600")
    other = Auth(app, app.test_client(), auth.mailbox)
    other.password()
    change(app, "UPDATE operator SET code_sent_at = 0")
    other.address()
    assert f"8文字・10分間有効です。{hint}" in other.get("/login/code").text


def test_a_logout_forgets_no_send(auth: Auth, clock: FakeClock) -> None:
    """Nobody gets round the limits by logging out between (OTP-02)."""
    auth.password()
    auth.address()
    auth.post("/logout", page="/login/code")
    auth.password()
    assert refused(auth.address(), minute_limit(60))
    for _ in range(9):
        clock.advance(60)
        assert auth.address().location == "/login/code"
        auth.post("/logout", page="/login/code")
        auth.password()
    clock.advance(60)
    assert refused(auth.address(), DAY_LIMIT)


@pytest.mark.engines("sqlite", "postgres")
def test_ten_asked_at_once_send_one(auth: Auth, app: Flask) -> None:
    """Ten logins of one operator: one conditional UPDATE lets one have a code."""
    browsers = [Auth(app, app.test_client(), auth.mailbox) for _ in range(10)]
    tokens = []
    for browser in browsers:
        browser.password()
        tokens.append(browser.csrf("/login/email"))
    start, answers = threading.Barrier(10), []

    def ask(browser: Auth, token: str) -> None:
        start.wait()
        fields = {"csrf_token": token, "email": ADDRESS}
        answers.append(browser.client.post("/login/email", data=fields).status_code)

    pairs = zip(browsers, tokens, strict=True)
    threads = [threading.Thread(target=ask, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [429] * 9
    assert scalar(app, "SELECT count(*) FROM code") == 1


@pytest.mark.engines("sqlite", "postgres")
def test_the_send_is_claimed_and_not_looked_up(auth: Auth, app: Flask) -> None:
    """What another request did since this one read its rows decides."""
    auth.password()
    with Session(app.extensions["site_engine"]) as site:
        login = site.scalars(select(Login)).one()
        assert login.operator.code_sent_at == 0
        now = app.extensions["clock"]()
        for column, value in (("code_sent_at", now - 30), ("code_sent_at", 0)):
            site.execute(text(f"UPDATE operator SET {column} = {value}"))
            refusal = codes.claim_send(site, login, ADDRESS, now)
            assert (refusal is None) is (value == 0)
        site.execute(text("UPDATE operator SET code_sent_at = 0"))
        site.execute(text("UPDATE login SET sends = 3"))
        refusal = codes.claim_send(site, login, ADDRESS, now)
        assert refusal == codes.Refusal(codes.Limit.LOGIN)


def test_a_clock_set_back_keeps_nobody_waiting(auth: Auth, clock: FakeClock) -> None:
    """A code sent tomorrow is of a clock that was wrong (REL-05)."""
    clock.advance(24 * 3600)
    auth.to_code()
    clock.advance(-24 * 3600)
    auth.password()
    assert auth.address().location == "/login/code"


def test_old_codes_are_not_kept(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """What no limit looks at any more is gone."""
    auth.login()
    auth.logout()
    clock.advance(24 * 3600)
    auth.to_code()
    assert scalar(app, "SELECT count(*) FROM code") == 1


def test_the_code_is_nowhere_but_in_the_mail(
    auth: Auth, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No file, page, cookie or log holds it (OTP-03)."""
    caplog.set_level("DEBUG")
    code = auth.to_code()
    page = auth.get("/login/code")
    cookie = auth.client.get_cookie("session")
    assert cookie is not None
    assert code not in page.text + str(page.headers) + cookie.value + caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "site.db" for path in files)
    assert not [path for path in files if code.encode() in path.read_bytes()]
