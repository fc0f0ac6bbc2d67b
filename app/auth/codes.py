"""Makes mailed codes, stores their HMACs and uses each of them up once."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import ColumnElement, ScalarSelect, func, select, update
from sqlalchemy.orm import Session

from app.db import forget
from vault.card.pan import fold_typed

from .logins import SKEW_SECONDS
from .models import Code, Login, Operator

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
LENGTH = 8
MAX_TRIES = 5
SECONDS_BETWEEN = 60
MAX_A_LOGIN = 3
MAX_A_DAY = 10
DAY = 24 * 3600


def new_code() -> str:
    """Eight random characters (39 bits) that are hard to mistake."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def typed(text: str) -> str:
    """A typed code folded to lower-case ASCII letters and digits without blanks."""
    return fold_typed(text).lower()


def digest(key: bytes, login: Login, code: str) -> str:
    """The HMAC a code is stored as, bound to its purpose, its login, its operator and
    the operator's password."""
    bound = f"login code|{login.id}|{login.operator_id}|{login.password_epoch}|{code}"
    return hmac.new(key, bound.encode(), hashlib.sha256).hexdigest()


def claim_send(site: Session, login: Login, now: int) -> bool:
    """Say whether this login may have a code now, and count it if so: 60 s apart,
    3 a login, 10 a day for the operator, whether the address was bound or not.

    One conditional UPDATE of the operator's row decides, so of any number of
    requests at once only one is told True.
    """
    lately = select(func.count()).where(
        Code.operator_id == login.operator_id, Code.sent_at > now - DAY
    )
    sends = select(Login.sends).where(Login.id == login.id)
    claimed = (
        update(Operator)
        .where(Operator.id == login.operator_id)
        # A time in the future was written before the clock was set back.
        .where(
            (Operator.code_sent_at <= now - SECONDS_BETWEEN)
            | (Operator.code_sent_at > now + SKEW_SECONDS)
        )
        .where(lately.scalar_subquery() < MAX_A_DAY)
        .where(sends.scalar_subquery() < MAX_A_LOGIN)
        .values(code_sent_at=now)
        .execution_options(synchronize_session=False)
    )
    if not site.execute(claimed).rowcount:  # type: ignore[attr-defined]
        return False
    site.execute(
        update(Login).where(Login.id == login.id).values(sends=Login.sends + 1)
    )
    return True


def keep(site: Session, login: Login, digest: str, now: int) -> None:
    """Store a new code of ``login``, so that older ones no longer count, and delete the
    rows that no limit needs any more."""
    forget(site, Code, Code.sent_at <= now - DAY)
    site.add(
        Code(
            operator_id=login.operator_id,
            login_id=login.id,
            digest=digest,
            tries=0,
            sent_at=now,
            used_at=0,
        )
    )


def use(site: Session, login: Login, digest: str, now: int, ttl: int) -> bool:
    """Use the code up if it is right: one conditional UPDATE decides, so of any
    number of right answers at once only one is told True (OTP-01)."""
    right = (
        update(Code)
        .where(Code.id == _newest(login), Code.digest == digest, Code.used_at == 0)
        .where(Code.tries < MAX_TRIES, _in_time(now, ttl))
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    done: int = site.execute(right).rowcount  # type: ignore[attr-defined]
    return done == 1


def count_try(site: Session, login: Login, now: int, ttl: int) -> int | None:
    """Count a wrong try and return how many are left; None when there is no
    code to try any more (expired, used up or never sent)."""
    wrong = (
        update(Code)
        .where(Code.id == _newest(login), Code.used_at == 0)
        .where(Code.tries < MAX_TRIES, _in_time(now, ttl))
        .values(tries=Code.tries + 1)
        .returning(Code.tries)
        .execution_options(synchronize_session=False)
    )
    tries = site.execute(wrong).scalar()
    return None if tries is None else MAX_TRIES - tries


def _in_time(now: int, ttl: int) -> ColumnElement[bool]:
    """Sent at most ``ttl`` seconds ago, and not by a clock set back since."""
    return Code.sent_at.between(now - ttl, now + SKEW_SECONDS)


def _newest(login: Login) -> ScalarSelect[int | None]:
    newest = select(func.max(Code.id)).where(Code.login_id == login.id)
    return newest.scalar_subquery()
