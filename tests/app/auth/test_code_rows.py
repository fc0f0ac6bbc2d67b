"""Mailed codes as rows: what is sent, counted and used up, to the second."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth import codes, logins
from app.auth.codes import Limit, Refusal
from app.auth.models import Code, Login, Operator
from tests.actors.operator_client import ADDRESS
from tests.places.vault import NOON

pytestmark = pytest.mark.mutation("app/auth/codes.py", area="code check")

DAY = 24 * 3600
TTL = 1800
KEY = b"k" * 32


def begin(site: Session, of: Operator) -> Login:
    """A login of ``of``, to whom a code may be sent."""
    login = logins.named(site, logins.begin(site, of, "192.0.2.7", NOON))
    assert login is not None
    site.flush()
    return login


def claim(
    site: Session, login: Login, now: int = NOON, address: str = ADDRESS
) -> Refusal | None:
    """Ask for a code to an address."""
    return codes.claim_send(site, login, address, now)


def kept(site: Session, login: Login, digest: str, ago: int = 0) -> Code:
    """A code of ``login``, sent so many seconds ago."""
    codes.keep(site, login, digest, NOON - ago)
    site.flush()
    return site.scalars(select(Code).order_by(Code.id.desc())).all()[0]


def test_a_code_is_eight_of_our_characters() -> None:
    """And hardly ever the same twice."""
    made = [codes.new_code() for _ in range(200)]
    assert {len(code) for code in made} == {8}
    assert set("".join(made)) == set(codes.ALPHABET)
    assert len(set(made)) == 200


def test_a_code_is_bound_to_all_it_was_made_for(site: Session, taro: Operator) -> None:
    """HMAC-SHA-256 over the purpose, login, operator, password and code."""
    login = begin(site, taro)
    bound = f"login code|{login.id}|{taro.id}|1|abcdefgh".encode()
    digest = codes.digest(KEY, login, "abcdefgh")
    assert digest == hmac.new(KEY, bound, hashlib.sha256).hexdigest()
    other = begin(site, taro)
    assert codes.digest(KEY, other, "abcdefgh") != digest


# --- Asking.


@pytest.mark.parametrize(
    ("ago", "may"), [(60, True), (59, False), (0, False), (-60, False), (-61, True)]
)
def test_a_minute_lies_between_two_codes(
    site: Session, taro: Operator, ago: int, may: bool
) -> None:
    """A time ahead by more than a clock may be off holds nobody up."""
    taro.code_sent_at = NOON - ago
    login = begin(site, taro)
    refusal = None if may else Refusal(Limit.MINUTE, 60 - ago)
    assert claim(site, login) == refusal
    site.expire_all()
    assert taro.code_sent_at == (NOON if may else NOON - ago)
    assert login.sends == int(may)


def test_a_claim_is_the_logins_and_the_operators_alone(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """Another login of his, and another operator, lose nothing by it."""
    login, second, other = begin(site, taro), begin(site, taro), begin(site, hanako)
    second.sends = other.sends = 3
    for _ in range(10):
        kept(site, other, "hers")
    assert claim(site, login) is None
    site.expire_all()
    assert (login.sends, second.sends, other.sends) == (1, 3, 3)
    assert (taro.code_sent_at, hanako.code_sent_at) == (NOON, 0)
    assert claim(site, second, NOON + 60) == Refusal(Limit.LOGIN)
    assert claim(site, other) == Refusal(Limit.DAY)


@pytest.mark.parametrize(("sends", "may"), [(2, True), (3, False)])
def test_a_login_has_three(
    site: Session, taro: Operator, sends: int, may: bool
) -> None:
    """Not four."""
    login = begin(site, taro)
    login.sends = sends
    taro.code_sent_at = NOON - 60 if may else NOON
    site.flush()
    assert claim(site, login) == (None if may else Refusal(Limit.LOGIN))


@pytest.mark.parametrize(
    ("before", "ago", "may"), [(9, 0, True), (10, DAY - 1, False), (10, DAY, True)]
)
def test_an_operator_has_ten_a_day(
    site: Session, taro: Operator, before: int, ago: int, may: bool
) -> None:
    """Any 24 hours, of whichever login, and however many are left of the other two
    limits."""
    for _ in range(before):
        site.add(
            Code(operator_id=taro.id, login_id="gone", digest="", sent_at=NOON - ago)
        )
    login = begin(site, taro)
    if not may:
        login.sends, taro.code_sent_at = 3, NOON
    assert claim(site, login) == (None if may else Refusal(Limit.DAY))


@pytest.mark.parametrize("until", [0, NOON + DAY], ids=["one person's", "shared"])
def test_an_administrator_lifts_the_day(
    site: Session, taro: Operator, hanako: Operator, until: int
) -> None:
    """For one operator, whoever asked; codes on their way keep their tries."""
    taro.shared_until = until
    login, other = begin(site, taro), begin(site, hanako)
    login.address = other.address = ADDRESS
    for _ in range(10):
        row = kept(site, login, "right", 60)
        kept(site, other, "hers", 60)
    assert claim(site, login) == claim(site, other) == Refusal(Limit.DAY)
    codes.lift_day_limit(site, taro.id)
    assert claim(site, login) is None
    assert claim(site, other) == Refusal(Limit.DAY)
    site.expire_all()
    assert (row.digest, row.tries, row.sent_at) == ("right", 0, NOON - 60)
    assert codes.use(site, login, "right", NOON, TTL)
    for _ in range(10):
        kept(site, login, "after", 60)
    assert claim(site, login) == Refusal(Limit.DAY)


def test_behind_a_shared_id_the_limits_are_each_persons(
    site: Session, taro: Operator
) -> None:
    """A person is an address, however its letters are typed; the login's three are the
    login's all the same."""
    taro.shared_until = NOON + DAY
    login = begin(site, taro)
    login.address = ADDRESS.upper()
    assert kept(site, login, "mine", 59).address == ADDRESS
    taro.code_sent_at = NOON
    assert claim(site, login) == Refusal(Limit.MINUTE, 1)
    assert claim(site, login, NOON + 1) is None
    assert claim(site, login, NOON, "other@example.jp") is None
    for _ in range(9):
        kept(site, login, "mine", 60)
    assert claim(site, begin(site, taro), NOON + 60) == Refusal(Limit.DAY)
    assert claim(site, begin(site, taro), NOON, "other@example.jp") is None
    login.sends = 3
    site.flush()
    assert claim(site, login, NOON, "third@example.jp") == Refusal(Limit.LOGIN)


@pytest.mark.parametrize(
    ("ago", "may"), [(60, True), (59, False), (-60, False), (-61, True)]
)
def test_a_minute_lies_between_a_persons_two_codes(
    site: Session, taro: Operator, ago: int, may: bool
) -> None:
    """By the newest of theirs, and a time ahead holds nobody up."""
    taro.shared_until = NOON + DAY
    login = begin(site, taro)
    login.address = ADDRESS
    kept(site, login, "older", 600)
    kept(site, login, "newer", ago)
    refusal = None if may else Refusal(Limit.MINUTE, 60 - ago)
    assert claim(site, login) == refusal


def test_one_persons_codes_keep_no_address(site: Session, taro: Operator) -> None:
    """Nothing needs it: whichever address was typed, it was the same person."""
    login = begin(site, taro)
    login.address = ADDRESS
    row = kept(site, login, "right")
    assert (row.address, row.counts) == ("", True)


def test_what_no_limit_looks_at_is_gone(site: Session, taro: Operator) -> None:
    """A code a day old; one a second younger still counts."""
    login = begin(site, taro)
    kept(site, login, "younger", DAY - 1)
    kept(site, login, "old", DAY)
    row = kept(site, login, "new")
    assert (row.operator_id, row.login_id, row.digest) == (taro.id, login.id, "new")
    assert (row.tries, row.sent_at, row.used_at) == (0, NOON, 0)
    assert set(site.scalars(select(Code.digest))) == {"younger", "new"}


# --- Using.


def test_the_right_code_is_used_up(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """Once, and no other with it."""
    others = [
        kept(site, begin(site, hanako), "right"),
        kept(site, begin(site, taro), "right"),
    ]
    login = begin(site, taro)
    row = kept(site, login, "right")
    assert codes.use(site, login, "wrong", NOON, TTL) is False
    assert codes.use(site, login, "right", NOON + 5, TTL) is True
    assert codes.use(site, login, "right", NOON + 5, TTL) is False
    assert codes.count_try(site, login, NOON + 5, TTL) is None
    site.expire_all()
    assert (row.used_at, row.tries) == (NOON + 5, 0)
    assert [(other.used_at, other.tries) for other in others] == [(0, 0)] * 2


def test_only_the_newest_of_a_login_is_looked_at(site: Session, taro: Operator) -> None:
    """A newer one of another login doesn't make it older."""
    login = begin(site, taro)
    older, newer = kept(site, login, "older"), kept(site, login, "newer")
    kept(site, begin(site, taro), "another login's")
    assert not codes.use(site, login, "older", NOON, TTL)
    assert codes.count_try(site, login, NOON, TTL) == 4
    site.expire_all()
    assert (older.tries, newer.tries) == (0, 1)
    assert codes.use(site, login, "newer", NOON, TTL)


def test_five_wrong_tries_use_it_up(site: Session, taro: Operator) -> None:
    """Each is counted and says how many are left; then there is none to try."""
    login = begin(site, taro)
    row = kept(site, login, "right")
    left = [codes.count_try(site, login, NOON, TTL) for _ in range(6)]
    assert left == [4, 3, 2, 1, 0, None]
    assert not codes.use(site, login, "right", NOON, TTL)
    site.expire_all()
    assert (row.tries, row.used_at) == (5, 0)


@pytest.mark.parametrize(
    ("ago", "good"), [(TTL, True), (TTL + 1, False), (-60, True), (-61, False)]
)
def test_a_code_is_good_for_its_time(
    site: Session, taro: Operator, ago: int, good: bool
) -> None:
    """To the second, and not from a clock set back by more than a minute."""
    login = begin(site, taro)
    kept(site, login, "right", ago)
    assert (codes.count_try(site, login, NOON, TTL) is not None) is good
    assert codes.use(site, login, "right", NOON, TTL) is good
