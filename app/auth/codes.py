"""Makes mailed codes, stores their HMACs and uses each of them up once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import ColumnElement, ScalarSelect, func, select, update
from sqlalchemy.orm import Session

from app.db import forget
from vault.card.pan import fold_typed
from vault.clock import DAY_SECONDS

from .logins import SKEW_SECONDS
from .models import Code, Login, Operator

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
LENGTH = 8
MAX_TRIES = 5
SECONDS_BETWEEN = 60
MAX_A_LOGIN = 3
MAX_A_DAY = 10


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


class Limit(Enum):
    """The limits of sending codes: one a MINUTE, three a LOGIN, ten a DAY."""

    MINUTE = auto()
    LOGIN = auto()
    DAY = auto()


@dataclass(frozen=True)
class Refusal:
    """Which ``limit`` keeps a code from being sent, and for MINUTE in how many
    ``seconds`` one may be."""

    limit: Limit
    seconds: int = 0


def claim_send(site: Session, login: Login, address: str, now: int) -> Refusal | None:
    """Count a code to ``address``, or say which limit refuses it: 60 s apart, 3 a
    login, 10 a day for the operator, whether the address is bound or not.  Behind a
    shared ID a person is an address, and the minute and the day are each person's.

    One conditional UPDATE of the operator's row decides, so of any number of
    requests at once only one may send.
    """
    lately, sends = _sent_lately(login, address, now), _sends_of(login)
    last = _last_sent(login, address)
    claimed = (
        update(Operator)
        .where(Operator.id == login.operator_id)
        # A time in the future was written before the clock was set back.
        .where((last <= now - SECONDS_BETWEEN) | (last > now + SKEW_SECONDS))
        .where(lately < MAX_A_DAY)
        .where(sends < MAX_A_LOGIN)
        .values(code_sent_at=now)
        .execution_options(synchronize_session=False)
    )
    if not site.execute(claimed).rowcount:  # type: ignore[attr-defined]
        counts = site.execute(
            select(lately, sends, last)
            .select_from(Operator)
            .where(Operator.id == login.operator_id)
        ).one()
        return _refusal(*counts, now)
    site.execute(
        update(Login).where(Login.id == login.id).values(sends=Login.sends + 1)
    )
    return None


def _refusal(lately: int, sends: int, last: int, now: int) -> Refusal:
    """The limit that refuses; where two do, the one that lasts longer."""
    if lately >= MAX_A_DAY:
        return Refusal(Limit.DAY)
    if sends >= MAX_A_LOGIN:
        return Refusal(Limit.LOGIN)
    return Refusal(Limit.MINUTE, last + SECONDS_BETWEEN - now)


def _sent_lately(login: Login, address: str, now: int) -> ScalarSelect[int]:
    """How many codes count for the limit of a day."""
    count = select(func.count()).where(
        *_to_person(login, address), Code.counts, Code.sent_at > now - DAY_SECONDS
    )
    return count.scalar_subquery()


def _sends_of(login: Login) -> ScalarSelect[int]:
    return select(Login.sends).where(Login.id == login.id).scalar_subquery()


def _last_sent(login: Login, address: str) -> ColumnElement[int]:
    """When the person's last code was sent; 0 for never."""
    if not login.operator.shared_until:
        return Operator.code_sent_at.expression
    last = select(func.max(Code.sent_at)).where(*_to_person(login, address))
    return func.coalesce(last.scalar_subquery(), 0)


def _to_person(login: Login, address: str) -> tuple[ColumnElement[bool], ...]:
    """What the codes to the same person have in common."""
    shared = _shared_address(login, address)
    return Code.operator_id == login.operator_id, Code.address == shared


def _shared_address(login: Login, address: str) -> str:
    """The address that tells a shared ID's persons apart, folded; "" for an ID of one
    person, whose addresses are not told apart."""
    return address.casefold() if login.operator.shared_until else ""


def lift_day_limit(site: Session, operator_id: int) -> None:
    """Let an operator have codes again: what was sent so far no longer counts for the
    day.  The rows stay, so that a code on its way keeps its tries."""
    lifted = update(Code).where(Code.operator_id == operator_id).values(counts=False)
    site.execute(lifted.execution_options(synchronize_session=False))


def keep(site: Session, login: Login, digest: str, now: int) -> None:
    """Store a new code of ``login``, so that older ones no longer count, and delete the
    rows that no limit needs any more."""
    forget(site, Code, Code.sent_at <= now - DAY_SECONDS)
    site.add(
        Code(
            operator_id=login.operator_id,
            login_id=login.id,
            address=_shared_address(login, login.address),
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
