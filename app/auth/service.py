"""Holds the rules of logging in, step by step."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from vault.clock import DAY_SECONDS

from . import codes, lockout, logins
from .logins import Ended
from .models import Address, Login, Operator, PastPassword
from .passwords import KEPT
from .shared_ids import Sharing
from .trace import NOBODY, Trace

UNUSED_SECONDS = 90 * DAY_SECONDS


def by_login_id(site: Session, login_id: str) -> Operator | None:
    """The operator with exactly this login ID."""
    return site.scalar(select(Operator).where(Operator.login_id == login_id))


def held_by_login_id(site: Session, login_id: str) -> Operator | None:
    """The same operator, with the row locked until the transaction ends.

    Lock order: a transaction that changes an operator or their logins, codes or factors
    locks this row first, so that of two one waits here and nowhere else.
    """
    query = select(Operator).where(Operator.login_id == login_id)
    return site.scalar(_held(query))


def hold(site: Session, operator_id: int | None = None) -> None:
    """Lock the row of an operator, or all in the order of their numbers, as
    ``held_by_login_id`` does."""
    query = select(Operator).order_by(Operator.id)
    if operator_id is not None:
        query = query.where(Operator.id == operator_id)
    site.scalars(_held(query)).all()


def _held(query: Select[Operator]) -> Select[Operator]:
    # FOR NO KEY UPDATE, because a new login's row shares a lock on its operator's
    # number.
    locked = query.with_for_update(key_share=True)
    return locked.execution_options(populate_existing=True)


def may_log_in(operator: Operator, now: int) -> bool:
    """Say whether an operator may log in with the right password: not disabled, not
    locked, used in the last 90 days (PCI DSS 8.2.6), with no first password older than
    a day, and no shared ID past its end."""
    return (
        not operator.disabled_at
        and not logins.has_ended(operator, now)
        and not lockout.is_locked(operator, now)
        and now - operator.used_at <= UNUSED_SECONDS
        and (not operator.must_change or now <= operator.first_password_until)
    )


def password_failed(site: Session, operator: Operator | None, trace: Trace) -> bool:
    """Count a wrong password; True when it locked the ID.  An unknown ID costs
    the same statements."""
    name = operator.login_id if operator else NOBODY
    trace.record("login.password", name, "failure")
    return lockout.count_failure(site, operator.id if operator else 0, trace)


def password_right(
    site: Session, operator: Operator, better_hash: str | None, trace: Trace
) -> str:
    """Begin a login and return its cookie; ``better_hash`` replaces an old, weaker
    one."""
    if better_hash:
        operator.password_hash = better_hash
    trace.record("login.password", operator.login_id)
    return logins.begin(site, operator, trace.origin, trace.now)


def bound_address(login: Login) -> str | None:
    """The stored address that the typed one matches, if any."""
    typed = login.address.casefold()
    for bound in login.operator.addresses:
        if bound.address.casefold() == typed:
            return bound.address
    return None


def send_code(site: Session, login: Login, key: bytes, trace: Trace) -> tuple[str, str]:
    """Store a new code; returns the stored address, or "" when the typed one is not
    bound, and the code to be mailed.  Both cases execute the same statements."""
    address, code = bound_address(login), codes.new_code()
    digest = codes.digest(key, login, code) if address else ""
    codes.keep(site, login, digest, trace.now)
    event = "login.code_made" if address else "login.code_refused"
    trace.record(event, login.operator.login_id)
    return address or "", code


def log_in(site: Session, login: Login, trace: Trace, event: str) -> str:
    """Finish the login after its last factor, which ``event`` names; returns the new
    cookie.  The login's row also gets the time and address of the login before, and of
    the last failure since."""
    operator = login.operator
    login.previous_at = operator.last_login_at
    login.previous_origin = operator.last_login_origin
    login.failures_before = operator.failures_since
    if operator.failures_since:
        login.failure_at = operator.last_failure_at
        login.failure_origin = operator.last_failure_origin
    operator.last_login_at = operator.used_at = trace.now
    operator.last_login_origin = trace.origin
    operator.failures = operator.failures_since = 0
    if operator.shared_until:
        login.address = bound_address(login) or ""
    following, cookie = logins.advance(site, login, "in", trace.now)
    trace.record_of(event, following)
    trace.record_of("login.logged_in", following)
    end_others(site, following, trace)
    return cookie


def replace(site: Session, earlier: Login, trace: Trace) -> None:
    """End the login this browser had before, of whatever ID, for the new one."""
    name, person = earlier.operator.login_id, earlier.person
    if logins.end(site, earlier):
        trace.record("login.replaced", name, person=person)


def expire(site: Session, login_id: str, why: Ended, trace: Trace) -> None:
    """End a login that is over, and record that once."""
    login = site.get(Login, login_id)
    if login is None:
        return
    hold(site, login.operator_id)
    name, person = login.operator.login_id, login.person
    if logins.end(site, login, why, trace.now):
        trace.record("login.expired", name, person=person)


def end_others(
    site: Session, login: Login, trace: Trace, why: Ended = Ended.REPLACED
) -> None:
    """End the same person's other logins, and record each that was complete (SES-02)."""
    for origin in logins.end_others(site, login, why, trace.now):
        trace.record_of("login.replaced", login, {"origin_of_older": origin})


def log_out(site: Session, login: Login, trace: Trace) -> None:
    """End a login.  Its codes no longer work but still count for the limits."""
    trace.record_of("login.logged_out", login)
    logins.end(site, login)


def own_words(operator: Operator, site_name: str) -> list[str]:
    """What a guesser of the operator's password tries first: login ID, name, addresses
    and the site's name."""
    addresses = [bound.address for bound in operator.addresses]
    return [operator.login_id, operator.name, *addresses, site_name]


def past_hashes(site: Session, operator: Operator) -> list[str]:
    """The hashes a new password must differ from: the current one and the last
    three before it (PCI DSS 8.3.7)."""
    query = (
        select(PastPassword.password_hash)
        .where(PastPassword.operator_id == operator.id)
        .order_by(PastPassword.id.desc())
        .limit(KEPT - 1)
    )
    return [operator.password_hash, *site.scalars(query)]


def set_password(site: Session, operator: Operator, new_hash: str, now: int) -> None:
    """Change the password; every login and code bound to the old one ends."""
    site.add(
        PastPassword(operator_id=operator.id, password_hash=operator.password_hash)
    )
    operator.password_hash = new_hash
    operator.password_epoch += 1
    operator.must_change = False
    operator.used_at = now


def add_operator(
    site: Session,
    login_id: str,
    name: str,
    addresses: list[str],
    password_hash: str,
    *,
    must_change: bool,
    now: int,
    sharing: Sharing | None = None,
) -> Operator:
    """Write a new operator, one person's unless ``sharing`` says otherwise."""
    operator = Operator(
        login_id=login_id,
        name=name,
        password_hash=password_hash,
        password_epoch=1,
        must_change=must_change,
        first_password_until=now + DAY_SECONDS if must_change else 0,
        failures=0,
        locked_until=0,
        disabled_at=0,
        used_at=now,
        created_at=now,
        shared_until=sharing.until if sharing else 0,
        shared_reason=sharing.reason if sharing else "",
        shared_approver=sharing.approver if sharing else "",
        addresses=[Address(address=address) for address in addresses],
    )
    site.add(operator)
    return operator
