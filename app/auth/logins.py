"""Logins: rows on the server, named by a random id in a signed cookie."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from .models import Login, Operator

IDLE_SECONDS = 15 * 60
LONGEST_SECONDS = 8 * 3600
BEFORE_SECONDS = 35 * 60
ID_BYTES = 32


def begin(site: Session, operator: Operator, origin: str, now: int) -> str:
    """A login whose password was right; returns what its cookie must hold."""
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
        )
    )
    return cookie


def advance(site: Session, login: Login, step: str, now: int) -> tuple[Login, str]:
    """The same login under a new id (ASVS 7.2.4), at ``step``; the old id is dead.

    At the last step every other login of the operator ends and the hours are
    counted anew.
    """
    cookie = secrets.token_urlsafe(ID_BYTES)
    following = Login(
        id=_digest(cookie),
        operator_id=login.operator_id,
        password_epoch=login.operator.password_epoch,
        step=step,
        address=login.address,
        sends=login.sends,
        origin=login.origin,
        created_at=now if step == "in" else login.created_at,
        seen_at=now,
    )
    ended = delete(Login).where(Login.id == login.id)
    if step == "in":
        ended = delete(Login).where(Login.operator_id == login.operator_id)
    site.execute(ended.execution_options(synchronize_session=False))
    site.add(following)
    site.flush()
    return following, cookie


def find(site: Session, cookie: str, now: int) -> Login | None:
    """The login a cookie names, seen again now; None when it is over.

    One conditional UPDATE says it is alive, so a row that another request has
    just ended is not revived.
    """
    login = site.get(Login, _digest(cookie))
    if login is None:
        return None
    if is_over(login, now):
        end(site, login)
        return None
    seen = (
        update(Login)
        .where(Login.id == login.id)
        .values(seen_at=now)
        .execution_options(synchronize_session=False)
    )
    return login if site.execute(seen).rowcount else None  # type: ignore[attr-defined]


def is_over(login: Login, now: int) -> bool:
    """Say whether a login has ended by time, by a disabled operator or by a
    changed password."""
    inside = login.step == "in"
    longest = LONGEST_SECONDS if inside else BEFORE_SECONDS
    idle = IDLE_SECONDS if inside else BEFORE_SECONDS
    return bool(
        now - login.seen_at > idle
        or now - login.created_at > longest
        or login.operator.disabled_at
        or login.operator.password_epoch != login.password_epoch
    )


def end(site: Session, login: Login) -> None:
    """End a login; its cookie names nothing from now on."""
    site.execute(delete(Login).where(Login.id == login.id))
    site.expire_all()


def end_all(site: Session, operator_id: int | None = None) -> int:
    """End every login, or an operator's; returns how many there were."""
    query = delete(Login).execution_options(synchronize_session=False)
    if operator_id is not None:
        query = query.where(Login.operator_id == operator_id)
    count: int = site.execute(query).rowcount  # type: ignore[attr-defined]
    return count


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
