"""Getting in without being let in."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.actors.answer import Answer
from tests.actors.forms import CARD, csrf, hidden
from tests.actors.target import Target
from tests.actors.visitor import Visitor
from tests.places.site import PASSWORD

PATHS = (
    "/",
    "/cards",
    "/cards.csv",
    "/cards.xlsx",
    "/cards/likeness",
    "/cards/still-here",
    "/cards/deleted",
    "/cards/xxxx/edit",
    "/cards/xxxx/registered",
    "/cards/xxxx/updated",
    "/factors",
    "/password",
    "/login/email",
    "/login/code",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def refused(answer: Answer) -> bool:
    """Say whether an answer gave nothing away."""
    led = answer.location in ("/login", "/login/email", "/login/code")
    return led or answer.status in (400, 403, 404, 405)


@pytest.mark.parametrize("method", METHODS)
def test_a_stranger_gets_nothing_by_any_method(stranger: Visitor, method: str) -> None:
    """Every address leads to the login or is refused."""
    for path in PATHS:
        answer = stranger.ask(method, path)
        assert refused(answer), f"{method} {path}: {answer.status}"
        assert "クレジットカード情報の一覧" not in answer.text


def test_half_a_login_opens_no_page(own: Target) -> None:
    """With the password given, and with the code sent, still nothing."""
    login_id = own.new_operator()
    half = own.stranger()
    half.post("/login", {"login_id": login_id, "password": PASSWORD})
    sent, _ = own.to_code(own.new_operator())
    for visitor in (half, sent):
        for path in PATHS:
            answer = visitor.get(path)
            page = path in ("/login/email", "/login/code") and answer.status == 200
            assert refused(answer) or page, path


def test_a_code_is_not_taken_twice(own: Target) -> None:
    """Not by the same browser, and not by another one at its code page."""
    login_id = own.new_operator()
    visitor, code = own.to_code(login_id)
    assert visitor.post("/login/code", {"code": code}).location == "/cards"
    other = own.stranger()
    other.post("/login", {"login_id": login_id, "password": PASSWORD})
    assert other.post("/login/code", {"code": code}, page="/login/email").location != (
        "/cards"
    )


def test_a_cookie_from_before_is_dead(operator: Callable[[], Visitor]) -> None:
    """After the logout, and when it was planted before the login."""
    visitor = operator()
    taken = dict(visitor.cookies)
    visitor.post("/logout", {}, page="/cards")
    thief = Visitor(visitor.url, taken)
    assert thief.get("/cards").location == "/login"


def test_a_planted_cookie_is_exchanged(own: Target) -> None:
    """The id an attacker knows names nothing once somebody has logged in."""
    planter = own.stranger()
    planter.get("/login")
    planted = dict(planter.cookies)
    victim, code = own.to_code(own.new_operator())
    victim.cookies.update({k: v for k, v in planted.items() if k not in victim.cookies})
    victim.post("/login/code", {"code": code})
    assert Visitor(own.url, planted).get("/cards").location == "/login"


def at_once(count: int, act: Callable[[], Answer]) -> list[Answer]:
    """The answers to the same act, ``count`` times at once."""
    answers: list[Answer] = []
    ready = threading.Barrier(count)

    def run() -> None:
        ready.wait()
        answers.append(act())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_twenty_right_codes_at_once_let_one_in(own: Target) -> None:
    """The same code, the same login, twenty connections."""
    visitor, code = own.to_code(own.new_operator())
    token = csrf(visitor.get("/login/code").text)
    cookies = dict(visitor.cookies)

    def answer() -> Answer:
        pairs = [("csrf_token", token), ("code", code)]
        return Visitor(own.url, dict(cookies)).send("/login/code", pairs)

    answers = at_once(20, answer)
    assert [a.location for a in answers].count("/cards") == 1


def test_twenty_same_forms_at_once_make_one_card(own: Target) -> None:
    """A form's ticket is good for one card."""
    visitor = own.logged_in()
    page = visitor.get("/cards").text
    fields = {"customer_name": "A", **CARD, **hidden(page, "csrf_token", "ticket")}
    cookies = dict(visitor.cookies)

    def answer() -> Answer:
        slow = frozenset(visitor.allowed | {503})
        return Visitor(own.url, dict(cookies), slow).send("/cards", fields.items())

    before = own.count("customer")
    led = {a.location for a in at_once(20, answer) if a.status == 303}
    assert len(led) == 1
    assert own.count("customer") == before + 1


def test_guessing_locks_whatever_the_headers_say(own: Target) -> None:
    """A new forged origin with each guess doesn't help: the ID locks at five."""
    login_id = own.new_operator()
    guesser = own.stranger()
    for number in range(6):
        forged = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": "192.0.2.9"}
        guess = {"login_id": login_id, "password": f"wrong password {number}"}
        assert guesser.post("/login", guess, **forged).status == 422
    right = {"login_id": login_id, "password": PASSWORD}
    assert guesser.post("/login", right).status == 422


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
def test_another_sites_page_can_not_send_a_form(stranger: Visitor, header: str) -> None:
    """Whatever token it has got hold of."""
    value = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}[header]
    fields = {"login_id": "a", "password": "b"}
    answer = stranger.post("/login", fields, **{header: value})
    assert answer.status == 403


def test_a_foreign_host_is_refused(stranger: Visitor) -> None:
    """And nothing in the answer leads there."""
    answer = stranger.get("/login", Host="evil.example")
    assert answer.status == 400
    assert "evil.example" not in f"{answer.headers}{answer.text}"
