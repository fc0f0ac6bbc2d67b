"""Logins as rows: what each step writes, when one is over, what ends which."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.auth import logins
from app.auth.logins import Ended
from app.auth.models import EndedLogin, Login, Operator
from tests.places.vault import NOON

pytestmark = pytest.mark.mutation("app/auth/logins.py", area="session")

HOUR = 3600
ORIGIN = "192.0.2.7"


def begin(
    site: Session, of: Operator, step: str = "password", address: str = ""
) -> Login:
    """A login of ``of`` at a step, by a code to ``address``."""
    made = logins.named(site, logins.begin(site, of, ORIGIN, NOON))
    assert made is not None
    made.step, made.address = step, address
    site.flush()
    return made


def left(site: Session) -> set[str]:
    """The ids of the logins there are."""
    return set(site.scalars(select(Login.id)))


def told(site: Session) -> dict[str, str]:
    """Why each login ended, by its id."""
    return {row.id: row.reason for row in site.scalars(select(EndedLogin))}


def columns(login: Login, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a row holds."""
    names = [column.name for column in Login.__table__.columns]
    return {name: getattr(login, name) for name in names if name not in but}


def test_a_right_password_begins_a_login(site: Session, taro: Operator) -> None:
    """The cookie is 256 random bits; the row holds their hash and where and when
    it began, and nothing that was not proved yet."""
    taro.password_epoch = 3
    cookie = logins.begin(site, taro, ORIGIN, NOON)
    login = logins.named(site, cookie)
    assert login is not None
    assert len(cookie) == len(login.challenge) == 43
    assert login.challenge != cookie
    assert columns(login, but=("challenge",)) == {
        "id": hashlib.sha256(cookie.encode()).hexdigest(),
        "operator_id": taro.id,
        "password_epoch": 3,
        "step": "password",
        "address": "",
        "sends": 0,
        "origin": ORIGIN,
        "created_at": NOON,
        "seen_at": NOON,
        "offer": None,
        "proved_at": 0,
        "previous_at": 0,
        "previous_origin": "",
        "failures_before": 0,
        "failure_at": 0,
        "failure_origin": "",
    }


def test_a_cookie_nobody_gave_names_nothing(site: Session, taro: Operator) -> None:
    """Nor does a row's own id."""
    assert logins.named(site, "made up") is None
    assert logins.named(site, begin(site, taro).id) is None


@pytest.mark.parametrize(
    ("before", "step", "begins_anew", "proves"),
    [
        ("password", "code", False, False),
        ("code", "in", True, True),
        ("in", "in", False, True),
    ],
)
def test_each_step_is_the_same_login_under_another_id(
    site: Session,
    taro: Operator,
    before: str,
    step: str,
    begins_anew: bool,
    proves: bool,
) -> None:
    """All it knew goes along; the eight hours begin once, when it is in."""
    login = begin(site, taro, before, "t@example.jp")
    login.sends, login.previous_at, login.failures_before = 2, 5, 7
    login.previous_origin = "198.51.100.1"
    site.flush()
    old, challenge = login.id, login.challenge
    kept = columns(login, but=("id", "challenge", "step"))
    following, cookie = logins.advance(site, login, step, NOON + 60)
    assert columns(following, but=("id", "challenge", "step")) == kept | {
        "created_at": NOON + 60 if begins_anew else NOON,
        "seen_at": NOON + 60,
        "proved_at": NOON + 60 if proves else 0,
    }
    assert (following.step, len(cookie), len(following.challenge)) == (step, 43, 43)
    assert following.challenge not in (challenge, cookie)
    assert following.id != old
    assert left(site) == {following.id}
    assert logins.named(site, cookie) is following


def test_a_step_takes_the_passwords_newest_epoch_along(
    site: Session, taro: Operator
) -> None:
    """Who changed the password stays in; all his other logins are over."""
    login, other = begin(site, taro, "in"), begin(site, taro, "in")
    taro.password_epoch += 1
    following, _ = logins.advance(site, login, "in", NOON)
    assert not logins.is_over(following, NOON)
    assert logins.is_over(other, NOON)


def test_a_step_leaves_the_others_logins_alone(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """One row goes, one comes."""
    others = {begin(site, taro).id, begin(site, hanako).id}
    following, _ = logins.advance(site, begin(site, taro), "code", NOON)
    assert left(site) == others | {following.id}


def test_what_a_passkey_signs_is_asked_once(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """Another takes its place at once, in this login alone."""
    login, other = begin(site, taro), begin(site, hanako)
    asked = other.challenge = login.challenge
    assert logins.take_challenge(site, login) == asked
    assert len(login.challenge) == 43
    assert login.challenge != asked
    site.refresh(other)
    assert other.challenge == asked


def test_what_another_request_took_is_not_taken_again(
    site: Session, taro: Operator
) -> None:
    """One conditional UPDATE decides; the loser gets nothing."""
    login = begin(site, taro)
    site.execute(text("UPDATE login SET challenge = 'the next'"))
    assert logins.take_challenge(site, login) == ""
    assert login.challenge == "the next"


def test_being_seen_counts_for_that_login_alone(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """And for none that is gone."""
    login, other = begin(site, taro), begin(site, hanako)
    assert logins.touch(site, login.id, NOON + 5)
    site.expire_all()
    assert (login.seen_at, other.seen_at) == (NOON + 5, NOON)
    site.execute(text("DELETE FROM login WHERE id = :id"), {"id": login.id})
    assert not logins.touch(site, login.id, NOON + 6)


@pytest.mark.parametrize(
    ("step", "seen", "created", "over"),
    [
        ("in", 900, 900, False),
        ("in", 901, 901, True),
        ("in", 0, 8 * HOUR, False),
        ("in", 0, 8 * HOUR + 1, True),
        ("in", -60, 0, False),
        ("in", -61, 0, True),
        ("code", 2100, 2100, False),
        ("code", 2101, 0, True),
        ("password", 0, 2100, False),
        ("password", 0, 2101, True),
    ],
)
def test_time_ends_a_login(
    site: Session, taro: Operator, step: str, seen: int, created: int, over: bool
) -> None:
    """15 minutes unseen or 8 hours once in, 35 minutes before; a clock set back
    by more than a minute ends it as well (SES-02, REL-05)."""
    login = begin(site, taro, step)
    login.seen_at, login.created_at = NOON - seen, NOON - created
    assert logins.is_over(login, NOON) is over


@pytest.mark.parametrize(
    ("ago", "is_time"), [(59, False), (60, True), (-59, False), (-60, True)]
)
def test_being_seen_is_written_once_a_minute(
    site: Session, taro: Operator, ago: int, is_time: bool
) -> None:
    """Or when the clock was set back by as much."""
    login = begin(site, taro, "in")
    login.seen_at = NOON - ago
    assert logins.is_to_be_seen(login, NOON) is is_time


@pytest.mark.parametrize(("ago", "lasts"), [(0, 900), (60, 840), (-30, 900)])
def test_how_long_a_login_lasts_is_known(
    site: Session, taro: Operator, ago: int, lasts: int
) -> None:
    """If no page is asked for; a clock behind gives no more than the whole time."""
    login = begin(site, taro, "in")
    login.seen_at = NOON - ago
    assert logins.idle_seconds(login, NOON) == lasts


@pytest.mark.parametrize(
    ("column", "value"),
    [("disabled_at", 1), ("shared_until", NOON), ("password_epoch", 2)],
)
def test_an_operators_end_ends_his_logins(
    site: Session, taro: Operator, column: str, value: int
) -> None:
    """Disabled, a shared ID's end, another password: at the next look."""
    login = begin(site, taro, "in")
    assert logins.is_over(login, NOON) is False
    setattr(taro, column, value)
    assert logins.is_over(login, NOON) is True


@pytest.mark.parametrize(
    ("until", "ended"), [(0, False), (1, True), (100, True), (101, False)]
)
def test_a_shared_ids_time_is_up_at_its_second(
    taro: Operator, until: int, ended: bool
) -> None:
    """0 is one person's ID, which has no end."""
    taro.shared_until = until
    assert logins.has_ended(taro, 100) is ended


@pytest.mark.parametrize("why", [None, *Ended])
def test_one_login_is_ended_and_no_other(
    site: Session, taro: Operator, why: Ended | None
) -> None:
    """Its row is gone at once, and why is kept where there is something to tell."""
    login, other = begin(site, taro), begin(site, taro)
    ended, kept = login.id, other.id
    assert logins.end(site, login, why, NOON)
    assert left(site) == {kept}
    assert told(site) == ({ended: why.value} if why else {})


def test_a_login_that_was_ended_is_not_told_twice(
    site: Session, taro: Operator
) -> None:
    """Who comes second finds no row."""
    login = begin(site, taro)
    site.execute(text("DELETE FROM login"))
    assert not logins.end(site, login, Ended.IDLE, NOON)
    assert told(site) == {}


def reason(site: Session, cookie: str) -> str:
    """Why a cookie's login ended; "" when it is not known."""
    ended = logins.ended(site, cookie)
    if ended is None:
        return ""
    assert ended.operator_id == site.scalars(select(Operator.id)).one()
    return ended.reason


def test_why_a_login_ended_is_known_to_its_cookie_for_a_week(
    site: Session, taro: Operator
) -> None:
    """And to no other; then it is forgotten, when another login ends."""
    week = 7 * 24 * HOUR
    cookies = [logins.begin(site, taro, ORIGIN, NOON) for _ in range(3)]
    first, second, third = (logins.named(site, cookie) for cookie in cookies)
    assert first is not None
    assert second is not None
    assert third is not None
    logins.end(site, first, Ended.REPLACED, NOON)
    logins.end(site, second, Ended.IDLE, NOON + week - 1)
    assert reason(site, cookies[0]) == Ended.REPLACED
    assert reason(site, cookies[1]) == Ended.IDLE
    assert reason(site, cookies[2]) == ""
    logins.end(site, third, Ended.LONGEST, NOON + week)
    site.expire_all()
    ends = [reason(site, cookie) for cookie in cookies]
    assert ends == ["", Ended.IDLE, Ended.LONGEST]


@pytest.mark.parametrize(
    ("step", "seen", "created", "why"),
    [
        ("in", 900, 8 * HOUR, None),
        ("in", 901, 8 * HOUR, Ended.IDLE),
        ("in", 901, 8 * HOUR + 1, Ended.IDLE),
        ("in", 0, 8 * HOUR + 1, Ended.LONGEST),
        ("in", 899, 8 * HOUR + 1, Ended.LONGEST),
        ("in", 1200, 8 * HOUR + 301, Ended.LONGEST),
        ("in", 1200, 8 * HOUR + 300, Ended.IDLE),
        ("in", -61, 0, Ended.IDLE),
        ("code", 0, 2101, Ended.IDLE),
        ("code", 2101, 2101, Ended.IDLE),
    ],
)
def test_what_came_first_ended_a_login(
    site: Session, taro: Operator, step: str, seen: int, created: int, why: Ended | None
) -> None:
    """The idle quarter of an hour or the eight hours, whichever was over before."""
    login = begin(site, taro, step)
    login.seen_at, login.created_at = NOON - seen, NOON - created
    assert logins.why_over(login, NOON) is why


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("disabled_at", 1, Ended.ADMINISTRATOR),
        ("shared_until", NOON, Ended.ADMINISTRATOR),
        ("password_epoch", 2, Ended.PASSWORD),
    ],
)
def test_an_operators_end_is_told_before_the_clocks(
    site: Session, taro: Operator, column: str, value: int, why: Ended
) -> None:
    """Whoever comes back later learns of it all the same."""
    login = begin(site, taro, "in")
    setattr(taro, column, value)
    login.seen_at = NOON - 5 * HOUR
    assert logins.why_over(login, NOON) is why


def test_the_other_logins_of_a_person_end(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """Those that were in are told by their origins; another person's stay."""
    login, elsewhere = begin(site, taro, "in"), begin(site, taro, "in")
    elsewhere.origin = "198.51.100.1"
    ended = {elsewhere.id, begin(site, taro, "code").id}
    stays = begin(site, hanako, "in")
    site.flush()
    origins = logins.end_others(site, login, Ended.PASSWORD, NOON)
    assert origins == ["198.51.100.1"]
    assert left(site) == {login.id, stays.id}
    assert told(site) == dict.fromkeys(ended, "password")


def test_behind_a_shared_id_a_person_is_an_address(
    site: Session, taro: Operator
) -> None:
    """Whatever case it was typed in; who confirmed another one stays in."""
    taro.shared_until = NOON + HOUR
    login = begin(site, taro, "in", "Hanako@example.jp")
    ended = begin(site, taro, "in", "hanakO@example.jp").id
    other = begin(site, taro, "in", "jiro@example.jp")
    assert logins.end_others(site, login, Ended.REPLACED, NOON) == [ORIGIN]
    assert left(site) == {login.id, other.id}
    assert told(site) == {ended: "replaced"}


def test_an_address_taken_away_ends_what_it_confirmed(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """Of that operator, by that address, in any case."""
    ended = begin(site, taro, "in", "Lost@example.jp").id
    stay = [
        begin(site, taro, "in", "kept@example.jp"),
        begin(site, hanako, "in", "lost@example.jp"),
    ]
    logins.end_confirmed_by(site, taro.id, "lOst@example.jp", NOON)
    assert left(site) == {login.id for login in stay}
    assert told(site) == {ended: "administrator"}


def test_all_of_an_operators_logins_end_or_everybodys(
    site: Session, taro: Operator, hanako: Operator
) -> None:
    """And are counted."""
    ended = {begin(site, taro).id, begin(site, taro).id}
    stays = begin(site, hanako)
    assert logins.end_all(site, NOON, taro.id) == 2
    assert left(site) == {stays.id}
    assert told(site) == dict.fromkeys(ended, "administrator")
    begin(site, taro)
    assert logins.end_all(site, NOON) == 2
    assert left(site) == set()
    assert len(told(site)) == 4
