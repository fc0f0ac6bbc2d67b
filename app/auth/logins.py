"""Begins, advances and ends logins: rows named by a random id in a signed cookie."""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from app.db import forget
from vault.clock import DAY_SECONDS

from .models import EndedLogin, Login, Operator

IDLE_SECONDS = 15 * 60
# The last-seen time is written at most this often (seconds), so a login may end up to
# that much earlier, and never later.
SEEN_SECONDS = 60
LONGEST_SECONDS = 8 * 3600
BEFORE_SECONDS = 35 * 60
ID_BYTES = 32
# Two hosts' clocks may differ by this much.  A login from further in the future was
# made before the clock was set back; it is treated as ended.
SKEW_SECONDS = 60
# How long a browser can still learn why its login ended.
TOLD_SECONDS = 7 * DAY_SECONDS


class Ended(StrEnum):
    """Why a login ended that nobody logged out of: no page for too long, the longest a
    login may last, another login of the same person, a changed password, or an act or
    an end set by the administrator."""

    IDLE = "idle"
    LONGEST = "longest"
    REPLACED = "replaced"
    PASSWORD = "password"  # noqa: S105
    ADMINISTRATOR = "administrator"


class LoginEnded(Exception):
    """The login was ended by another request while this one ran."""


def begin(site: Session, operator: Operator, origin: str, now: int) -> str:
    """Begin a login after a right password; returns what its cookie must hold."""
    cookie = secrets.token_urlsafe(ID_BYTES)
    site.add(
        Login(
            id=_digest(cookie),
            operator_id=operator.id,
            password_epoch=operator.password_epoch,
            step="password",
            address="",
            sends=0,
            origin=origin,
            created_at=now,
            seen_at=now,
            challenge=_new_challenge(),
        )
    )
    return cookie


def advance(site: Session, login: Login, step: str, now: int) -> tuple[Login, str]:
    """The same login under a new id (ASVS 7.2.4), at ``step``; the old id no longer
    works.

    The hours a login may last are counted from when its last step was reached.  Raises
    LoginEnded when another request has ended the login.
    """
    cookie = secrets.token_urlsafe(ID_BYTES)
    arrives = step == "in" and login.step != "in"
    following = Login(
        id=_digest(cookie),
        operator_id=login.operator_id,
        password_epoch=login.operator.password_epoch,
        step=step,
        address=login.address,
        sends=login.sends,
        origin=login.origin,
        created_at=now if arrives else login.created_at,
        seen_at=now,
        challenge=_new_challenge(),
        proved_at=now if step == "in" else 0,
        previous_at=login.previous_at,
        previous_origin=login.previous_origin,
        failures_before=login.failures_before,
        failure_at=login.failure_at,
        failure_origin=login.failure_origin,
    )
    own = delete(Login).where(Login.id == login.id)
    own = own.execution_options(synchronize_session=False)
    if not site.execute(own).rowcount:  # type: ignore[attr-defined]
        raise LoginEnded
    site.add(following)
    site.flush()
    return following, cookie


def take_challenge(site: Session, login: Login) -> str:
    """What the passkey was asked to sign.  It is replaced in the row at once, so that
    no answer is checked twice; "" when another request was first."""
    asked = login.challenge
    taken = (
        update(Login)
        .where(Login.id == login.id, Login.challenge == asked)
        .values(challenge=_new_challenge())
        .execution_options(synchronize_session=False)
    )
    done = site.execute(taken).rowcount  # type: ignore[attr-defined]
    site.refresh(login)
    return asked if done else ""


def named(site: Session, cookie: str) -> Login | None:
    """The login a cookie names, over or not."""
    return site.get(Login, _digest(cookie))


def is_to_be_seen(login: Login, now: int) -> bool:
    """Say whether it is time to write a login's last-seen time again."""
    return abs(now - login.seen_at) >= SEEN_SECONDS


def touch(site: Session, login_id: str, now: int) -> bool:
    """Set a login's last-seen time to ``now``; False when another request has just
    ended it.  One conditional UPDATE decides, so no ended login comes back."""
    seen = (
        update(Login)
        .where(Login.id == login_id)
        .values(seen_at=now)
        .execution_options(synchronize_session=False)
    )
    return bool(site.execute(seen).rowcount)  # type: ignore[attr-defined]


def idle_seconds(login: Login, now: int) -> int:
    """How many seconds a login lasts from ``now`` if no page is requested."""
    return IDLE_SECONDS - max(now - login.seen_at, 0)


def has_ended(operator: Operator, now: int) -> bool:
    """Say whether a shared ID's time is up; one person's ID has no end."""
    return 0 < operator.shared_until <= now


def why_over(login: Login, now: int) -> Ended | None:
    """Why a login has ended by time, by a disabled operator, by a shared ID's end or by
    a changed password; None while it lasts."""
    if login.operator.disabled_at or has_ended(login.operator, now):
        return Ended.ADMINISTRATOR
    if login.operator.password_epoch != login.password_epoch:
        return Ended.PASSWORD
    inside = login.step == "in"
    unseen_at = login.seen_at + (IDLE_SECONDS if inside else BEFORE_SECONDS)
    last_at = login.created_at + (LONGEST_SECONDS if inside else BEFORE_SECONDS)
    if now > last_at and last_at < unseen_at:
        return Ended.LONGEST if inside else Ended.IDLE
    if now > min(unseen_at, last_at) or now < login.seen_at - SKEW_SECONDS:
        return Ended.IDLE
    return None


def is_over(login: Login, now: int) -> bool:
    """Say whether a login has ended, by ``why_over``."""
    return why_over(login, now) is not None


def ended(site: Session, cookie: str) -> EndedLogin | None:
    """What is known of the end of the login that a cookie names; None when that is
    nothing, or no longer, or the login goes on under another id."""
    return site.get(EndedLogin, _digest(cookie))


def end(site: Session, login: Login, why: Ended | None = None, now: int = 0) -> bool:
    """End a login, so that its cookie no longer works; False when it had ended.  With
    ``why`` its browser can be told at its next request."""
    if why is not None:
        _note(site, why, now, Login.id == login.id)
    gone = site.execute(delete(Login).where(Login.id == login.id))
    site.expire_all()
    return bool(gone.rowcount)  # type: ignore[attr-defined]


def end_others(site: Session, login: Login, why: Ended, now: int) -> list[str]:
    """End every other login of the same person, begun or done; returns the
    origins of those that were all the way in."""
    others = [Login.operator_id == login.operator_id, Login.id != login.id]
    if login.operator.shared_until:
        others.append(func.lower(Login.address) == login.address.lower())
    query = select(Login.origin).where(*others, Login.step == "in")
    ended = list(site.scalars(query))
    _end_where(site, why, now, *others)
    return ended


def end_confirmed_by(site: Session, operator_id: int, address: str, now: int) -> None:
    """End the operator's logins, begun or done, by codes to ``address``."""
    by_it = func.lower(Login.address) == address.lower()
    own = Login.operator_id == operator_id
    _end_where(site, Ended.ADMINISTRATOR, now, own, by_it)


def end_all(site: Session, now: int, operator_id: int | None = None) -> int:
    """End every login, or an operator's, for the administrator; returns how many there
    were."""
    which = [] if operator_id is None else [Login.operator_id == operator_id]
    return _end_where(site, Ended.ADMINISTRATOR, now, *which)


def _end_where(site: Session, why: Ended, now: int, *which: ColumnElement[bool]) -> int:
    """End logins and note why; returns how many.  The caller holds the rows of their
    operators, so that nobody else ends the same ones."""
    _note(site, why, now, *which)
    gone = delete(Login).where(*which).execution_options(synchronize_session=False)
    count: int = site.execute(gone).rowcount  # type: ignore[attr-defined]
    return count


def _note(site: Session, why: Ended, now: int, *which: ColumnElement[bool]) -> None:
    """Keep why logins end, and forget what was kept long enough."""
    forget(site, EndedLogin, EndedLogin.at <= now - TOLD_SECONDS)
    columns = [Login.id, literal(why.value), literal(now), Login.operator_id]
    names = ["id", "reason", "at", "operator_id"]
    ending = select(*columns).where(*which)
    site.execute(insert(EndedLogin).from_select(names, ending))


def _new_challenge() -> str:
    return secrets.token_urlsafe(ID_BYTES)


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
