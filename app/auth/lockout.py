"""Counts failed logins, locks the login ID and blocks the address they came from."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from app.db import forget
from app.networks import address_of
from vault.clock import DAY_SECONDS

from .models import Operator, OriginFailure
from .trace import Trace

FAILURES = 5
LOCK_SECONDS = 30 * 60
# Two locks within this time make the third one final.
LOCKS_SECONDS = DAY_SECONDS
UNTIL_UNLOCKED = 2**62
ORIGIN_SECONDS = 15 * 60
# One customer of a provider has a whole /64 (RFC 6177) and could use a new address for
# each try.
IPV6_PREFIX = 64


def counted(origin: str) -> str:
    """What failures from ``origin`` are counted under: an IPv4 address, the /64 of an
    IPv6 address, or anything else unchanged."""
    address = address_of(origin)
    if not isinstance(address, IPv6Address):
        return str(address or origin)
    return str(ip_network((address, IPV6_PREFIX), strict=False))


def is_blocked(site: Session, origin: str, limit: int, now: int) -> bool:
    """Say whether an address of origin failed too often in a quarter of an hour."""
    recent = select(func.count()).where(
        OriginFailure.origin == counted(origin), OriginFailure.at > now - ORIGIN_SECONDS
    )
    return site.execute(recent).scalar_one() >= limit


def _count_origin(site: Session, origin: str, now: int) -> None:
    """Count a failure of an origin, and delete those that are too old to count."""
    forget(site, OriginFailure, OriginFailure.at <= now - ORIGIN_SECONDS)
    site.add(OriginFailure(origin=counted(origin), at=now))


def is_locked(operator: Operator, now: int) -> bool:
    """Say whether too many failures keep an operator out."""
    return operator.locked_until > now


def count_failure(site: Session, operator_id: int, trace: Trace) -> bool:
    """Count a wrong password or code; True when it locked the ID (PCI 8.3.4).

    One UPDATE counts, also for the line the operator sees at their next login.  The
    third lock in a day stays until unlocked.  The address of origin is counted too.
    """
    _count_origin(site, trace.origin, trace.now)
    unlocked = Operator.locked_until <= trace.now
    one_more = (
        update(Operator)
        .where(Operator.id == operator_id)
        .values(
            failures=case((unlocked, Operator.failures + 1), else_=0),
            failures_since=Operator.failures_since + 1,
            last_failure_at=trace.now,
            last_failure_origin=trace.origin,
        )
        .returning(Operator.failures)
        .execution_options(synchronize_session=False)
    )
    failures = site.execute(one_more).scalar()
    if failures is None or failures < FAILURES:
        return False
    operator = site.get_one(Operator, operator_id, populate_existing=True)
    lock(operator, trace.now)
    trace.record("login.locked", operator.login_id)
    return True


def lock(operator: Operator, now: int) -> None:
    """Lock an ID for 30 minutes, or until unlocked when the two locks before this
    one are less than a day old."""
    final = now - operator.first_lock_at < LOCKS_SECONDS
    operator.first_lock_at, operator.second_lock_at = operator.second_lock_at, now
    operator.failures = 0
    operator.locked_until = UNTIL_UNLOCKED if final else now + LOCK_SECONDS


def unlock(operator: Operator) -> None:
    """Let an operator in again and reset their failures and locks."""
    operator.failures = operator.locked_until = 0
    operator.first_lock_at = operator.second_lock_at = 0
