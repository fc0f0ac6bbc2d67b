"""The rule of an answer to a login step, without a page."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth import answers, codes, lockout
from app.auth.answers import Answer, CodeRule, Compared, Result
from app.auth.factors import totp
from app.auth.models import Code, Login, Operator, Totp
from app.auth.trace import Trace
from tests.actors.operator_client import ADDRESS, LOGIN_ID
from tests.app.auth.records import KEY, ORIGIN, begin, entries
from tests.places.vault import NOON
from vault import SiteSeal

pytestmark = pytest.mark.mutation("app/auth/answers.py", area="code check")

TTL = 600
RULE = CodeRule(KEY, TTL)
CODE_FAILED = ("login.code", "failure", LOGIN_ID, ORIGIN, LOGIN_ID, "{}")
LOCKED = ("login.locked", "success", LOGIN_ID, ORIGIN, LOGIN_ID, "{}")


def sent(
    site: Session, of: Operator, *, left: int = 5, at: int = NOON, to: str = ADDRESS
) -> Login:
    """A login with the code "right", sent ``at`` and with ``left`` tries left."""
    login = begin(site, of, to)
    codes.keep(site, login, codes.digest(KEY, login, "right"), at)
    site.flush()
    site.scalars(select(Code)).one().tries = codes.MAX_TRIES - left
    site.flush()
    return login


def answer(site: Session, login: Login, typed: str, trace: Trace) -> Answer:
    """The answer to a typed code."""
    return answers.answer_code(site, login, typed, trace, RULE)


def test_the_right_code_lets_in_once(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """With a new cookie; the login that answered it is gone."""
    login = sent(site, taro)
    right = answer(site, login, "right", trace)
    assert (right.result, bool(right.cookie)) == (Result.RIGHT, True)
    assert [row.step for row in site.scalars(select(Login))] == ["in"]
    assert [row.used_at for row in site.scalars(select(Code))] == [NOON]
    assert [entry[0] for entry in entries(trace)] == ["login.code", "login.logged_in"]


@pytest.mark.parametrize(
    ("left", "failures", "expected"),
    [
        (5, 0, Answer(Result.WRONG, 4)),
        (2, 3, Answer(Result.WRONG, 1)),
        (2, 4, Answer(Result.LOCKED)),
        (1, 0, Answer(Result.LOCKED)),
    ],
)
def test_a_wrong_code_locks_when_no_try_is_left(
    site: Session,
    taro: Operator,
    trace: Trace,
    left: int,
    failures: int,
    expected: Answer,
) -> None:
    """None of the code's own, or none of the ID's; it is locked once."""
    taro.failures = failures
    login, ends = sent(site, taro, left=left), expected.result is Result.LOCKED
    assert answer(site, login, "wrong", trace) == expected
    site.refresh(taro)
    assert taro.locked_until == (NOON + lockout.LOCK_SECONDS if ends else 0)
    assert taro.failures_since == 1
    assert bool(site.scalars(select(Login)).all()) is not ends
    assert entries(trace) == ([CODE_FAILED, LOCKED] if ends else [CODE_FAILED])


def test_an_expired_code_is_not_wrong(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """Right or wrong, it counts for nothing."""
    login = sent(site, taro, at=NOON - TTL - 1)
    for typed in ("right", "wrong"):
        assert answer(site, login, typed, trace) == Answer(Result.EXPIRED)
    site.refresh(taro)
    assert (taro.failures, entries(trace)) == (0, [])


def test_an_unbound_address_confirms_nobody(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """The right code of an address that is bound no more is a wrong one."""
    login = sent(site, taro, to="gone@example.jp")
    assert answer(site, login, "right", trace) == Answer(Result.WRONG, 4)


def test_a_locked_id_is_refused_a_right_code(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """The code is not compared, nothing is counted, and the login ends."""
    taro.locked_until = NOON + 1
    assert answer(site, sent(site, taro), "right", trace) == Answer(Result.LOCKED)
    assert site.scalars(select(Login)).all() == []
    assert [(row.tries, row.used_at) for row in site.scalars(select(Code))] == [(0, 0)]
    assert (taro.failures_since, entries(trace)) == (0, [])


def test_an_apps_code_is_answered_by_the_same_rule(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """A wrong one is counted, the right one logs in once, and a locked ID is refused
    the right one."""
    seal = SiteSeal(("k" * 32,), "test")
    login, seed = begin(site, taro), bytes(20)
    sealed = seal.seal(seed, f"the one-time password seed of operator {taro.id}")
    taro.totp = Totp(sealed=sealed, last_step=0, created_at=NOON)
    site.flush()
    right = totp.code_at(seed, NOON // totp.STEP_SECONDS)
    wrong = answers.answer_totp(site, login, "x", trace, seal)
    assert wrong == Answer(Result.WRONG, lockout.FAILURES - 1)
    done = answers.answer_totp(site, login, right, trace, seal)
    assert (done.result, bool(done.cookie)) == (Result.RIGHT, True)
    assert [entry[:2] for entry in entries(trace)] == [
        ("login.totp", "failure"),
        ("login.totp", "success"),
        ("login.logged_in", "success"),
    ]
    taro.locked_until = NOON + 1
    locked = answers.answer_totp(site, begin(site, taro), right, trace, seal)
    assert locked == Answer(Result.LOCKED)
    assert [row.step for row in site.scalars(select(Login))] == ["in"]


@pytest.mark.parametrize("changed", [True, False])
def test_a_password_changed_while_it_was_compared_is_wrong(
    site: Session, taro: Operator, trace: Trace, changed: bool
) -> None:
    """The hash that was compared is no longer the stored one: at the login, and where
    the current password is asked for."""
    compared = Compared("older" if changed else taro.password_hash, right=True)
    wanted = Result.WRONG if changed else Result.RIGHT
    done = answers.check_password(site, LOGIN_ID, compared, None, trace)
    assert (done.result, bool(done.cookie)) == (wanted, not changed)
    login = begin(site, taro)
    confirmed = answers.confirm_password(site, login, compared, trace)
    assert confirmed.result is wanted


def test_the_fifth_wrong_current_password_ends_the_login(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """And locks the ID, as at the door."""
    taro.failures = lockout.FAILURES - 2
    login, wrong = begin(site, taro), Compared(taro.password_hash, right=False)
    results = [
        answers.confirm_password(site, login, wrong, trace).result for _ in range(2)
    ]
    assert results == [Result.WRONG, Result.LOCKED]
    assert site.scalars(select(Login)).all() == []
