"""Counts failed logins by address of origin, and blocks those that failed too often."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db import forget
from app.networks import address_of

from .models import OriginFailure

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


def count_failure(site: Session, origin: str, now: int) -> None:
    """Count a failure, and delete those that are too old to count."""
    forget(site, OriginFailure, OriginFailure.at <= now - ORIGIN_SECONDS)
    site.add(OriginFailure(origin=counted(origin), at=now))
