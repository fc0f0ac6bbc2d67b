"""The rules of logging in, on rows: locks, failures, addresses, passwords."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from app.auth import codes, lockout, logins, service
from app.auth.logins import Ended
from app.auth.models import Code, EndedLogin, Login, Operator, OriginFailure
from app.auth.shared_ids import Sharing
from app.auth.trace import NOBODY, Trace
from tests.actors.operator_client import ADDRESS, LOGIN_ID
from tests.app.auth.records import KEY, ORIGIN, begin, entries
from tests.places.vault import NOON

pytestmark = pytest.mark.mutation(
    "app/auth/service.py", "app/auth/lockout.py", "app/auth/trace.py", area="code check"
)

DAY = 24 * 3600

# --- The trail.


def test_an_entry_says_what_who_and_whence(trace: Trace) -> None:
    """The person is the subject unless another is named; details go along."""
    trace.record("login.password", "taro", "failure")
    trace.record("login.code", "desk", person="h@example.jp", detail={"a": "b"})
    assert entries(trace) == [
        ("login.password", "failure", "taro", ORIGIN, "taro", "{}"),
        ("login.code", "success", "h@example.jp", ORIGIN, "desk", '{"a": "b"}'),
    ]


def test_what_a_person_did_is_entered_as_his(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """Behind a shared ID that is the confirmed address."""
    login = begin(site, taro)
    trace.record_of("login.one", login)
    taro.shared_until, login.step = NOON + DAY, "in"
    trace.record_of("login.two", login, {"a": "b"})
    assert entries(trace) == [
        ("login.one", "success", LOGIN_ID, ORIGIN, LOGIN_ID, "{}"),
        ("login.two", "success", ADDRESS, ORIGIN, LOGIN_ID, '{"a": "b"}'),
    ]


# --- Failures and locks.


def test_a_failure_is_his_alone(
    site: Session, taro: Operator, hanako: Operator, trace: Trace
) -> None:
    """The fifth locks for half an hour and is told; those meanwhile are counted for
    his next login alone, and the first after it is a first one."""
    told = [service.password_failed(site, taro, trace) for _ in range(5)]
    assert told == [False] * 4 + [True]
    site.refresh(hanako)
    assert (hanako.failures, hanako.failures_since, hanako.locked_until) == (0, 0, 0)
    assert (taro.failures, taro.failures_since) == (0, 5)
    assert taro.locked_until == NOON + 1800
    assert service.password_failed(site, taro, trace) is False
    site.refresh(taro)
    assert (taro.failures, taro.failures_since) == (0, 6)
    assert service.password_failed(site, taro, replace(trace, now=NOON + 1800)) is False
    site.refresh(taro)
    assert (taro.failures, taro.failures_since) == (1, 7)
    failed = ("login.password", "failure", LOGIN_ID, ORIGIN, LOGIN_ID, "{}")
    locked = ("login.locked", "success", LOGIN_ID, ORIGIN, LOGIN_ID, "{}")
    assert entries(trace) == [failed] * 5 + [locked, failed, failed]


def test_an_id_that_is_none_locks_nobody(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """Its failures are the unknown's and the origin's."""
    told = [service.password_failed(site, None, trace) for _ in range(6)]
    assert not any(told)
    site.refresh(taro)
    assert (taro.failures, taro.failures_since) == (0, 0)
    assert {entry[2:5] for entry in entries(trace)} == {(NOBODY, ORIGIN, NOBODY)}


@pytest.mark.parametrize(("apart", "stays"), [(DAY - 1, True), (DAY, False)])
def test_the_third_lock_inside_a_day_stays(
    taro: Operator, apart: int, stays: bool
) -> None:
    """The day is counted from the lock before the last."""
    for at in (NOON, NOON + 10, NOON + apart):
        lockout.lock(taro, at)
    until = lockout.UNTIL_UNLOCKED if stays else NOON + apart + 1800
    assert taro.locked_until == until
    assert (taro.first_lock_at, taro.second_lock_at) == (NOON + 10, NOON + apart)
    lockout.unlock(taro)
    assert (taro.failures, taro.locked_until) == (0, 0)
    assert (taro.first_lock_at, taro.second_lock_at) == (0, 0)


def test_the_second_lock_does_not_stay(taro: Operator) -> None:
    """However soon after the first."""
    taro.failures = 5
    for at in (NOON, NOON + 1):
        lockout.lock(taro, at)
    assert (taro.locked_until, taro.failures) == (NOON + 1801, 0)


@pytest.mark.parametrize(
    ("column", "ago", "may"),
    [
        ("disabled_at", NOON - 1, False),
        ("shared_until", 0, False),
        ("shared_until", -1, True),
        ("locked_until", 0, True),
        ("locked_until", -1, False),
        ("used_at", 90 * DAY, True),
        ("used_at", 90 * DAY + 1, False),
        ("first_password_until", 0, True),
        ("first_password_until", 1, False),
    ],
)
def test_who_may_log_in(taro: Operator, column: str, ago: int, may: bool) -> None:
    """Each bound to its second."""
    taro.must_change = column == "first_password_until"
    setattr(taro, column, NOON - ago)
    assert service.may_log_in(taro, NOON) is may


# --- Codes.


@pytest.mark.parametrize(
    ("typed", "bound"),
    [(ADDRESS.upper(), True), ("straße@example.jp", True), ("x@example.jp", False)],
)
def test_a_code_goes_to_the_stored_address(
    site: Session, taro: Operator, trace: Trace, typed: str, bound: bool
) -> None:
    """Or nowhere, with a row that no code can match."""
    stored = ADDRESS if "@example.co.jp" in typed.lower() else "STRASSE@example.jp"
    taro.addresses[0].address = stored
    login = begin(site, taro, typed)
    address, code = service.send_code(site, login, KEY, trace)
    row = site.scalars(select(Code)).one()
    assert (row.operator_id, row.login_id) == (taro.id, login.id)
    assert (row.tries, row.sent_at, row.used_at) == (0, NOON, 0)
    event = "login.code_made" if bound else "login.code_refused"
    assert entries(trace) == [(event, "success", LOGIN_ID, ORIGIN, LOGIN_ID, "{}")]
    assert address == (stored if bound else "")
    assert row.digest == (codes.digest(KEY, login, code) if bound else "")


# --- In.


def test_a_login_to_the_end(site: Session, taro: Operator, trace: Trace) -> None:
    """It takes along what the one before it was, begins the operator's count anew
    and ends his others, each of which is told."""
    taro.last_login_at, taro.last_login_origin = NOON - DAY, "198.51.100.1"
    taro.failures, taro.failures_since = 3, 7
    older = begin(site, taro)
    older.step, older.origin = "in", "198.51.100.9"
    cookie = service.log_in(site, begin(site, taro, "typed"), trace, "login.code")
    login = site.scalars(select(Login)).one()
    assert logins.named(site, cookie) is login
    assert (login.step, login.address) == ("in", "typed")
    assert (login.previous_at, login.previous_origin) == (NOON - DAY, "198.51.100.1")
    assert login.failures_before == 7
    assert (taro.last_login_at, taro.used_at) == (NOON, NOON)
    assert (taro.last_login_origin, taro.failures, taro.failures_since) == (
        ORIGIN,
        0,
        0,
    )
    assert [(entry[0], entry[5]) for entry in entries(trace)] == [
        ("login.code", "{}"),
        ("login.logged_in", "{}"),
        ("login.replaced", '{"origin_of_older": "198.51.100.9"}'),
    ]


@pytest.mark.parametrize(
    ("typed", "person"), [(ADDRESS.upper(), ADDRESS), ("x@example.jp", "")]
)
def test_behind_a_shared_id_the_stored_address_is_kept(
    site: Session, taro: Operator, trace: Trace, typed: str, person: str
) -> None:
    """Whatever was typed; one that is bound no more is nobody's."""
    taro.shared_until = NOON + DAY
    service.log_in(site, begin(site, taro, typed), trace, "login.code")
    assert site.scalars(select(Login)).one().address == person


@pytest.mark.parametrize("better", ["better", None])
def test_a_right_password_begins_a_login(
    site: Session, taro: Operator, trace: Trace, better: str | None
) -> None:
    """From where it was given; a stronger hash takes the old one's place."""
    before = taro.password_hash
    cookie = service.password_right(site, taro, better, trace)
    login = logins.named(site, cookie)
    assert login is not None
    assert (login.origin, login.created_at) == (ORIGIN, NOON)
    assert taro.password_hash == (better or before)
    assert entries(trace) == [
        ("login.password", "success", LOGIN_ID, ORIGIN, LOGIN_ID, "{}")
    ]


def test_a_logout_is_told_and_ends_that_login(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """The operator's other login goes on."""
    login, other = begin(site, taro), begin(site, taro)
    kept = other.id
    service.log_out(site, login, trace)
    assert site.scalars(select(Login.id)).all() == [kept]
    assert [entry[:3] for entry in entries(trace)] == [
        ("login.logged_out", "success", LOGIN_ID)
    ]


@pytest.mark.parametrize("why", [Ended.IDLE, Ended.LONGEST])
def test_an_expired_login_ends_once_and_is_told(
    site: Session, taro: Operator, trace: Trace, why: Ended
) -> None:
    """As the person's, with why for its browser; another request may be first."""
    taro.shared_until = NOON + DAY
    login = begin(site, taro)
    login.step = "in"
    site.flush()
    ended = login.id
    for _ in range(2):
        service.expire(site, ended, why, trace)
    assert site.scalars(select(Login)).all() == []
    told = [(row.id, row.reason, row.at) for row in site.scalars(select(EndedLogin))]
    assert told == [(ended, why.value, NOON)]
    assert entries(trace) == [
        ("login.expired", "success", ADDRESS, ORIGIN, LOGIN_ID, "{}")
    ]


def test_a_new_login_takes_the_place_of_the_browsers_old_one(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """Which ends, once, as its own person's; its cookie is gone, so nobody is to be
    told why."""
    taro.shared_until = NOON + DAY
    login, other = begin(site, taro), begin(site, taro)
    login.step, kept = "in", other.id
    site.flush()
    service.replace(site, login, trace)
    assert site.scalars(select(Login.id)).all() == [kept]
    assert site.scalars(select(EndedLogin)).all() == []
    assert entries(trace) == [
        ("login.replaced", "success", ADDRESS, ORIGIN, LOGIN_ID, "{}")
    ]


def test_a_login_that_has_ended_is_replaced_by_nobody(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """Another request ended and told it."""
    login = begin(site, taro)
    gone = delete(Login).execution_options(synchronize_session=False)
    site.execute(gone)
    service.replace(site, login, trace)
    assert entries(trace) == []


def test_an_operators_row_is_read_again_when_it_is_held(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """What was read before the lock may be old; of the others only where all are
    held."""
    site.commit()
    for one, held in ((taro.id, {"taro"}), (None, {"taro", "hanako"})):
        names = [taro.name, hanako.name]
        assert "new" not in names
        query = text("UPDATE operator SET name = 'new'")
        site.execute(query)
        service.hold(site, one)
        read = {row.login_id for row in (taro, hanako) if row.name == "new"}
        assert read == held
        site.rollback()


# --- Origins.


def test_an_origin_is_blocked_by_its_own_failures_of_a_quarter(
    site: Session, taro: Operator, trace: Trace
) -> None:
    """By the limit, to the second; older ones are forgotten when the next comes."""
    for ago in (900, 899, 1):
        origin = lockout.counted("2001:db8::1")
        site.add(OriginFailure(origin=origin, at=NOON - ago))
    site.flush()
    assert lockout.is_blocked(site, "2001:db8::2", 2, NOON)
    assert not lockout.is_blocked(site, "2001:db8::2", 3, NOON)
    assert not lockout.is_blocked(site, ORIGIN, 1, NOON)
    service.password_failed(site, taro, trace)
    kept = {(row.origin, row.at) for row in site.scalars(select(OriginFailure))}
    assert kept == {(origin, NOON - 899), (origin, NOON - 1), (ORIGIN, NOON)}
    assert lockout.is_blocked(site, ORIGIN, 1, NOON)


# --- Passwords and operators.


def test_the_last_four_passwords_are_kept_in_mind(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """The current one first, then the three before it, newest first; nobody
    else's (PCI DSS 8.3.7)."""
    service.set_password(site, hanako, "hers too", NOON)
    taro.password_hash, taro.must_change = "h0", True
    for number in range(1, 6):
        service.set_password(site, taro, f"h{number}", NOON + number)
        site.flush()
    assert service.past_hashes(site, taro) == ["h5", "h4", "h3", "h2"]
    assert service.past_hashes(site, hanako) == ["hers too", "hash"]
    assert (taro.password_epoch, taro.must_change) == (6, False)
    assert taro.used_at == NOON + 5


@pytest.mark.parametrize("must_change", [False, True])
@pytest.mark.parametrize("sharing", [None, Sharing("a counter", "部長", NOON + DAY)])
def test_a_new_operator(
    site: Session, must_change: bool, sharing: Sharing | None
) -> None:
    """One person's unless said otherwise; a first password is good for a day."""
    made = service.add_operator(
        site,
        "jiro",
        "次郎",
        ["j@example.jp", "k@example.jp"],
        "hash",
        must_change=must_change,
        now=NOON,
        sharing=sharing,
    )
    site.commit()
    assert service.by_login_id(site, "jiro") is made
    assert service.by_login_id(site, "Jiro") is None
    assert (made.name, made.password_hash, made.password_epoch) == ("次郎", "hash", 1)
    assert [bound.address for bound in made.addresses] == [
        "j@example.jp",
        "k@example.jp",
    ]
    assert made.must_change is must_change
    assert made.first_password_until == (NOON + DAY if must_change else 0)
    assert (made.used_at, made.created_at, made.disabled_at) == (NOON, NOON, 0)
    assert (made.failures, made.locked_until) == (0, 0)
    assert (made.shared_until, made.shared_reason, made.shared_approver) == (
        (sharing.until, sharing.reason, sharing.approver) if sharing else (0, "", "")
    )
