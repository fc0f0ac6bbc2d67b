"""Decides which second factors an operator has, needs and may remove.

An operator without one gets the manual's mailed code.  An operator with one uses it
instead of the code; only an administrator can remove it, and then mailed codes are used
again.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from vault import SiteSeal

from .. import logins
from ..models import Login, Operator, Passkey, Totp
from ..trace import Trace
from . import totp

TOTP, PASSKEY = "totp", "passkey"
STRONG = frozenset({TOTP, PASSKEY})
# How long after the password was given factors may be changed.
PROVED_SECONDS = 10 * 60

Factors = frozenset[str]


def enrolled(operator: Operator) -> Factors:
    """The strong factors an operator has."""
    has = {TOTP} if operator.totp else set()
    return frozenset(has | ({PASSKEY} if operator.passkeys else set()))


def required_factors(login_factor: str) -> Factors:
    """The factors that meet the setting LOGIN_FACTOR."""
    return frozenset({login_factor}) & STRONG or STRONG


def accepted_factors(operator: Operator, login_factor: str) -> Factors:
    """The factors the code page accepts from an operator; with none, a mailed code.

    They are those that meet the setting, or else any the operator has: whoever enrolled
    under an earlier setting logs in with that, and not with the weaker mail.
    """
    return enrolled(operator) & required_factors(login_factor) or enrolled(operator)


def must_enrol(operator: Operator, login_factor: str) -> bool:
    """Say whether an operator has yet to enrol what the setting requires."""
    return login_factor != "mail" and not enrolled(operator) & required_factors(
        login_factor
    )


def has_just_proved(login: Login, now: int) -> bool:
    """Say whether the password was given in the last ten minutes (ASVS 7.5.1)."""
    return 0 <= now - login.proved_at <= PROVED_SECONDS


def offer_totp(login: Login, seal: SiteSeal) -> None:
    """Make a new seed to be shown; it is enrolled when ``enrol_totp`` gets a code of
    it."""
    login.offer = seal.seal(totp.new_seed(), _subject(login.operator))


def offered_seed(login: Login, seal: SiteSeal) -> bytes | None:
    """The seed being shown to this login, if any."""
    return seal.open(login.offer, _subject(login.operator)) if login.offer else None


def enrol_totp(
    site: Session, login: Login, seal: SiteSeal, typed: str, trace: Trace
) -> bool:
    """Enrol the offered seed instead of any before; False for a wrong code."""
    operator, sealed = login.operator, login.offer
    seed = offered_seed(login, seal)
    step = totp.matching_step(seed, typed, trace.now) if seed else None
    if step is None or sealed is None:
        return False
    site.merge(
        Totp(
            operator_id=operator.id,
            sealed=sealed,
            last_step=step,
            created_at=trace.now,
        )
    )
    login.offer = None
    _changed(site, login, "operator.totp_enrolled", trace)
    return True


def enrol_passkey(site: Session, login: Login, passkey: Passkey, trace: Trace) -> None:
    """Add a checked passkey."""
    login.operator.passkeys.append(passkey)
    _changed(site, login, "operator.passkey_enrolled", trace)


def may_remove(operator: Operator, factor: Totp | Passkey, login_factor: str) -> bool:
    """Say whether the operator has another factor that meets the setting than
    ``factor``.  Without one only an administrator could let them in again."""
    counts = required_factors(login_factor)
    others: list[str] = [PASSKEY for p in operator.passkeys if p is not factor]
    if operator.totp is not None and operator.totp is not factor:
        others.append(TOTP)
    return bool(counts & set(others))


def remove(site: Session, login: Login, factor: Totp | Passkey, trace: Trace) -> None:
    """Give a factor up."""
    event = "totp" if isinstance(factor, Totp) else "passkey"
    site.delete(factor)
    _changed(site, login, f"operator.{event}_removed", trace)


def reset(site: Session, operator: Operator, now: int) -> bool:
    """Remove every strong factor of an operator and end their logins; False when they
    had none."""
    had = bool(enrolled(operator))
    operator.totp = None
    operator.passkeys.clear()
    logins.end_all(site, now, operator.id)
    return had


def use_totp(
    site: Session, operator: Operator, seal: SiteSeal, typed: str, now: int
) -> bool:
    """Say whether ``typed`` is the app's code and use its step up.

    One conditional UPDATE decides, so that no code is accepted twice, nor one of an
    earlier step (RFC 6238 section 5.2).  The seed is sealed again, so that it is under
    the newest SECRET_KEY.
    """
    if operator.totp is None:
        return False
    seed = seal.open(operator.totp.sealed, _subject(operator))
    step = totp.matching_step(seed, typed, now)
    if step is None:
        return False
    used = (
        update(Totp)
        .where(Totp.operator_id == operator.id, Totp.last_step < step)
        .values(last_step=step, sealed=seal.seal(seed, _subject(operator)))
        .execution_options(synchronize_session=False)
    )
    done: int = site.execute(used).rowcount  # type: ignore[attr-defined]
    return done == 1


def _changed(site: Session, login: Login, event: str, trace: Trace) -> None:
    """Record a change and end the logins that began meanwhile, with other factors."""
    trace.record_of(event, login)
    logins.end_others(site, login, logins.Ended.REPLACED, trace.now)


def _subject(operator: Operator) -> str:
    return f"the one-time password seed of operator {operator.id}"
