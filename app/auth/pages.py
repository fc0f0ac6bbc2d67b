"""Helpers of the login pages' views: the site's parts, limits and refusals."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, TooManyRequests

from app import current
from app.db import work
from app.happenings import Kind, happened
from app.japan_time import japan_time
from app.mail import post_code
from vault import Actor, SiteSeal

from . import codes, guard, lockout, service, texts
from .factors import passkeys, rules
from .models import Login
from .passwords import Hasher

blueprint = Blueprint("auth", __name__)

SEE_OTHER = 303


def refuse_doubled_fields() -> None:
    """Refuse a form that has a field twice, as no browser sends it."""
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise BadRequest


blueprint.before_request(refuse_doubled_fields)


def hasher() -> Hasher:
    """The process's password hasher."""
    made: Hasher = current_app.extensions["hasher"]
    return made


def code_key() -> bytes:
    """The key of the HMACs that mailed codes are stored as."""
    key: bytes = current_app.extensions["code_key"]
    return key


def seal() -> SiteSeal:
    """The seal of the seeds of one-time passwords."""
    made: SiteSeal = current_app.extensions["seed_seal"]
    return made


def party() -> passkeys.Party:
    """The party that asks a browser for a passkey: this site at this address."""
    origin = request.host_url.rstrip("/")
    return passkeys.Party(
        current.settings().passkey_host, origin, current.settings().site_name
    )


def accepted_factors() -> rules.Factors:
    """The strong factors the code page accepts from this request's operator."""
    return rules.accepted_factors(
        guard.current_login().operator, current.settings().login_factor
    )


def require_unblocked_origin() -> None:
    """Raise TooManyRequests when this request's origin failed too often."""
    limit = current.settings().login_failures_per_origin
    if lockout.is_blocked(work().site, guard.origin(), limit, current.now()):
        happened(Kind.LOGIN_HELD_OFF, origin=guard.origin())
        raise TooManyRequests(retry_after=lockout.ORIGIN_SECONDS)


def locked_out() -> ResponseReturnValue:
    """Answer the failure that ended a login."""
    guard.forget()
    flash(texts.CODE_ENDED, "refusal")
    return redirect(url_for("auth.login"), SEE_OTHER)


def previous_login() -> dict[str, str | int] | None:
    """The line 前回のログイン, which shows operators if somebody else used their ID.

    When (Japan) and from where the operator logged in before this login, how many
    failures came between, and when and from where the last one; None without a login
    that is in.  ``is_news`` is true once a login, and only if there were failures.
    """
    login = guard.login_or_none()
    if login is None or login.step != "in":
        return None
    return {
        "when": japan_time(login.previous_at) if login.previous_at else "",
        "origin": login.previous_origin,
        "failures": login.failures_before,
        "last": japan_time(login.failure_at) if login.failure_at else "",
        "last_origin": login.failure_origin,
        "is_news": bool(login.failures_before) and guard.mark_told(),
    }


def not_sent(refusal: codes.Refusal) -> str:
    """The text about a code that was not sent."""
    if refusal.limit is codes.Limit.MINUTE:
        return texts.sends_apart(refusal.seconds)
    day = refusal.limit is codes.Limit.DAY
    return texts.DAY_SENDS if day else texts.LOGIN_SENDS


def send_code(login: Login) -> None:
    """Make a code; after the commit it is mailed, if the address is bound."""
    address, made = service.send_code(work().site, login, code_key(), guard.trace())
    asked, by = login.id, Actor(login.operator.login_id, guard.origin())
    work().after_commit(lambda: post_code(address, made, asked, by))
