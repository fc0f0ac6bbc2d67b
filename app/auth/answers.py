"""Decides whether an answer to a login step is right, and what follows.

The rule is the same for a mailed code, an app's code and a passkey: an ID that is
locked is refused whatever the answer is, a right answer logs in, and a wrong one is
counted until the ID is locked.  No function here commits or knows a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy.orm import Session

from app.db import Work
from vault import SiteSeal

from . import codes, lockout, logins, service
from .factors import passkeys, rules
from .models import Login
from .passwords import Hasher
from .trace import Trace


class Result(Enum):
    """What an answer was: RIGHT; WRONG; EXPIRED, when there is no code to compare with;
    UNREADABLE, when it is no passkey's answer at all; or LOCKED, when the ID is locked
    and the login has ended."""

    RIGHT = auto()
    WRONG = auto()
    EXPIRED = auto()
    UNREADABLE = auto()
    LOCKED = auto()


@dataclass(frozen=True)
class Answer:
    """The ``result``, how many tries are ``left`` after a wrong answer, and the new
    ``cookie`` of a login that a right one began or finished."""

    result: Result
    left: int = 0
    cookie: str = ""


@dataclass(frozen=True)
class CodeRule:
    """The key of the HMACs of mailed codes and how long a code is good (seconds)."""

    key: bytes
    ttl: int


@dataclass(frozen=True)
class Compared:
    """A password after Argon2: whether it was ``right`` for the hash ``stored`` (None
    for an unknown ID), and a ``better`` hash when that one is weak."""

    stored: str | None
    right: bool
    better: str | None = None


def compare_password(
    unit: Work, hasher: Hasher, stored: str | None, typed: str, *, renew: bool = False
) -> Compared:
    """Compare a typed password while no lock is held.  An unknown ID takes as long.
    With ``renew`` a right one with a weak hash gets a better hash.

    What ``unit`` has not committed is dropped.  Raises ServiceUnavailable when too many
    passwords are being compared.
    """
    unit.release()
    right = hasher.agrees(stored, typed)
    weak = renew and right and stored is not None and hasher.is_weak(stored)
    return Compared(stored, right, hasher.hash(typed) if weak else None)


def check_password(
    session: Session,
    login_id: str,
    compared: Compared,
    earlier: Login | None,
    trace: Trace,
) -> Answer:
    """Begin a login when the password is right and the operator may log in; ``earlier``,
    the login this browser had, ends then.  An unknown, a locked and a disabled ID are
    answered WRONG like a wrong password, at the same cost."""
    operator = service.held_by_login_id(session, login_id)
    # The hash that was compared must still be the stored one.
    right = compared.right and operator and operator.password_hash == compared.stored
    if operator is None or not right or not service.may_log_in(operator, trace.now):
        service.password_failed(session, operator, trace)
        return Answer(Result.WRONG)
    if earlier is not None:
        service.replace(session, earlier, trace)
    cookie = service.password_right(session, operator, compared.better, trace)
    return Answer(Result.RIGHT, cookie=cookie)


def confirm_password(
    session: Session, login: Login, compared: Compared, trace: Trace
) -> Answer:
    """Check the password of an operator who is logged in; a wrong one counts, and the
    one that locks the ID ends the login."""
    operator = login.operator
    if compared.right and operator.password_hash == compared.stored:
        return Answer(Result.RIGHT)
    if service.password_failed(session, operator, trace):
        logins.end(session, login)
        return Answer(Result.LOCKED)
    return Answer(Result.WRONG)


def answer_code(
    session: Session, login: Login, typed: str, trace: Trace, rule: CodeRule
) -> Answer:
    """Compare a mailed code, once.  A wrong one counts for the code and for the ID; an
    expired one counts for neither."""
    if _is_locked(session, login, trace):
        return Answer(Result.LOCKED)
    digest = codes.digest(rule.key, login, typed)
    # A code to an address that was unbound since then is not accepted.
    bound = service.bound_address(login) is not None
    if bound and codes.use(session, login, digest, trace.now, rule.ttl):
        return _log_in(session, login, "login.code", trace)
    left = codes.count_try(session, login, trace.now, rule.ttl)
    if left is None:
        return Answer(Result.EXPIRED)
    return _failed(session, login, "login.code", trace, left)


def answer_totp(
    session: Session, login: Login, typed: str, trace: Trace, seal: SiteSeal
) -> Answer:
    """Compare a code of the operator's authenticator app, once."""
    if _is_locked(session, login, trace):
        return Answer(Result.LOCKED)
    if rules.use_totp(session, login.operator, seal, typed, trace.now):
        return _log_in(session, login, "login.totp", trace)
    return _failed(session, login, "login.totp", trace)


def answer_passkey(
    session: Session, login: Login, given: str, trace: Trace, party: passkeys.Party
) -> Answer:
    """Check what a passkey signed (``given``, the browser's JSON).  The challenge is
    used up by any answer, right or wrong.  What has not the form of an answer, as an
    extension of the browser may send it, counts for nothing: it can't be right."""
    if _is_locked(session, login, trace):
        return Answer(Result.LOCKED)
    operator, asked = login.operator, logins.take_challenge(session, login)
    if not passkeys.is_login(given):
        return Answer(Result.UNREADABLE)
    if passkeys.verify_login(session, operator, party, asked, given, trace.now):
        return _log_in(session, login, "login.passkey", trace)
    return _failed(session, login, "login.passkey", trace)


def _is_locked(session: Session, login: Login, trace: Trace) -> bool:
    """Say whether the ID is locked, and end its login then.  The operator's row is
    locked by the caller, so that no try goes past the limit."""
    locked = lockout.is_locked(login.operator, trace.now)
    if locked:
        logins.end(session, login)
    return locked


def _log_in(session: Session, login: Login, event: str, trace: Trace) -> Answer:
    """Log in after the right answer; ``event`` names the factor in the trail."""
    cookie = service.log_in(session, login, trace, event)
    return Answer(Result.RIGHT, cookie=cookie)


def _failed(
    session: Session, login: Login, event: str, trace: Trace, left: int | None = None
) -> Answer:
    """Count a wrong answer like a wrong password (PCI DSS 8.3.4).  A mailed code has
    ``left`` tries of its own; with none left the ID is locked too."""
    operator = login.operator
    trace.record(event, operator.login_id, "failure")
    if not lockout.count_failure(session, operator.id, trace):
        session.refresh(operator)
        left = lockout.FAILURES - operator.failures if left is None else left
        if left > 0:
            return Answer(Result.WRONG, left)
        lockout.lock(operator, trace.now)
        trace.record("login.locked", operator.login_id)
    logins.end(session, login)
    return Answer(Result.LOCKED)
