"""Logging in, step by step.  Each function takes its session, vault and time."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.orm import Session

from vault import Actor, Vault

from . import codes, logins
from .models import Address, Code, Login, Operator, OriginFailure, PastPassword
from .passwords import KEPT

FAILURES = 5
LOCK_SECONDS = 30 * 60
LOCKS_A_DAY = 3
DAY = 24 * 3600
UNTIL_UNLOCKED = 2**62
ORIGIN_SECONDS = 15 * 60
UNUSED_SECONDS = 90 * DAY
NOBODY = "unknown"


@dataclass(frozen=True)
class Trace:
    """Where a request's audit entries go, who did it and when (seconds UTC)."""

    vault: Vault
    db: Connection
    origin: str
    now: int

    def record(self, event: str, name: str, outcome: str = "success") -> None:
        """Enter a login event; ``name`` is a login ID that exists, or NOBODY."""
        by = Actor(name, self.origin)
        self.vault.record(self.db, event, by, outcome=outcome, subject=name)


def by_login_id(site: Session, login_id: str) -> Operator | None:
    """The operator with exactly this login ID."""
    return site.scalar(select(Operator).where(Operator.login_id == login_id))


def is_locked(operator: Operator, now: int) -> bool:
    """Say whether too many failures keep an operator out."""
    return operator.locked_until > now


def may_log_in(operator: Operator, now: int) -> bool:
    """Say whether the right password is enough: not disabled, not locked, used
    in the last 90 days (PCI DSS 8.2.6), a first password not older than a day."""
    return (
        not operator.disabled_at
        and not is_locked(operator, now)
        and now - operator.used_at <= UNUSED_SECONDS
        and (not operator.must_change or now <= operator.first_password_until)
    )


def origin_is_blocked(site: Session, origin: str, limit: int, now: int) -> bool:
    """Say whether an address of origin failed too often in a quarter of an hour."""
    recent = select(func.count()).where(
        OriginFailure.origin == origin, OriginFailure.at > now - ORIGIN_SECONDS
    )
    return site.execute(recent).scalar_one() >= limit


def password_failed(site: Session, operator: Operator | None, trace: Trace) -> bool:
    """Count a wrong password; True when it locked the ID.  An unknown ID costs
    the same statements."""
    name = operator.login_id if operator else NOBODY
    trace.record("login.password", name, "failure")
    return count_failure(site, operator.id if operator else 0, trace)


def password_right(
    site: Session, operator: Operator, better_hash: str | None, trace: Trace
) -> str:
    """Begin a login and return its cookie; a stronger hash takes the old one's
    place."""
    if better_hash:
        operator.password_hash = better_hash
    trace.record("login.password", operator.login_id)
    return logins.begin(site, operator, trace.origin, trace.now)


def count_failure(site: Session, operator_id: int, trace: Trace) -> bool:
    """Count a wrong password or code; True when it locked the ID (PCI 8.3.4).

    The counter is one UPDATE.  The third lock in a day stays until unlocked.
    The address of origin is counted too.
    """
    old = delete(OriginFailure).where(OriginFailure.at <= trace.now - ORIGIN_SECONDS)
    site.execute(old)
    site.add(OriginFailure(origin=trace.origin, at=trace.now))
    counted = (
        update(Operator)
        .where(Operator.id == operator_id, Operator.locked_until <= trace.now)
        .values(failures=Operator.failures + 1)
        .returning(Operator.failures)
    )
    failures = site.execute(counted).scalar()
    if failures is None or failures < FAILURES:
        return False
    operator = site.get_one(Operator, operator_id, populate_existing=True)
    lock(operator, trace.now)
    trace.record("login.locked", operator.login_id)
    return True


def lock(operator: Operator, now: int) -> None:
    """Lock an ID for 30 minutes, or until unlocked at the third lock in a day."""
    if now - operator.first_lock_at > DAY:
        operator.first_lock_at, operator.locks = now, 0
    operator.locks += 1
    operator.failures = 0
    final = operator.locks >= LOCKS_A_DAY
    operator.locked_until = UNTIL_UNLOCKED if final else now + LOCK_SECONDS


def unlock(operator: Operator) -> None:
    """Let an operator in again and forget his failures and locks."""
    operator.failures = operator.locks = 0
    operator.locked_until = operator.first_lock_at = 0


def bound_address(login: Login) -> str | None:
    """The stored address that the typed one matches, if any."""
    typed = login.address.casefold()
    for bound in login.operator.addresses:
        if bound.address.casefold() == typed:
            return bound.address
    return None


def send_code(
    site: Session, login: Login, key: bytes, trace: Trace
) -> tuple[str, str] | None:
    """Keep a new code; returns the stored address and the code to be mailed, or
    None when the address is not bound.  Both ways cost the same statements."""
    address, code = bound_address(login), codes.new_code()
    digest = codes.digest(key, login, code) if address else ""
    codes.keep(site, login, digest, trace.now)
    login.sends += 1
    event = "login.code_sent" if address else "login.code_refused"
    trace.record(event, login.operator.login_id)
    return (address, code) if address else None


def log_in(site: Session, login: Login, trace: Trace) -> str:
    """The code was right: the operator is in; returns the new cookie."""
    operator = login.operator
    operator.failures, operator.used_at = 0, trace.now
    trace.record("login.code", operator.login_id)
    trace.record("login.logged_in", operator.login_id)
    return logins.advance(site, login, "in", trace.now)[1]


def code_failed(site: Session, login: Login, left: int, trace: Trace) -> bool:
    """A wrong code with ``left`` tries; True when it ended the login."""
    operator = login.operator
    trace.record("login.code", operator.login_id, "failure")
    locked = count_failure(site, operator.id, trace)
    if left > 0 and not locked:
        return False
    if not locked:
        site.refresh(operator)
        lock(operator, trace.now)
        trace.record("login.locked", operator.login_id)
    logins.end(site, login)
    return True


def log_out(site: Session, login: Login, trace: Trace) -> None:
    """End a login and the codes sent to it."""
    trace.record("login.logged_out", login.operator.login_id)
    site.execute(delete(Code).where(Code.login_id == login.id))
    logins.end(site, login)


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
    """Change the password; every login and code bound to the old one is dead."""
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
) -> Operator:
    """Write a new operator."""
    operator = Operator(
        login_id=login_id,
        name=name,
        password_hash=password_hash,
        password_epoch=1,
        must_change=must_change,
        first_password_until=now + DAY if must_change else 0,
        failures=0,
        locked_until=0,
        locks=0,
        first_lock_at=0,
        disabled_at=0,
        used_at=now,
        created_at=now,
        addresses=[Address(address=address) for address in addresses],
    )
    site.add(operator)
    return operator
