"""Who may see a page: nobody but an operator, unless a view says otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, flash, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from app.db import Work, at_once, work
from app.networks import address_of
from app.security import NO_PAGES
from config import Config
from vault import Actor

from . import factors, logins, service, texts
from .models import Login, Operator

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

COOKIE = "login"
# Pressed to keep the login: it counts to the second.
STILL_HERE = "cards.still_here"
# Where a login at each step belongs.
PLACES = {"password": "auth.email", "code": "auth.code", "in": "cards.index"}


class CookieSession(SecureCookieSessionInterface):
    """Flask's signed cookie, signed with SHA-512 under a salt of this site."""

    salt = "card-site.session"
    digest_method = staticmethod(hashlib.sha512)


def now() -> int:
    """Seconds since 1970 UTC by the site's clock."""
    seconds: int = current_app.extensions["clock"]()
    return seconds


def login_or_none() -> Login | None:
    """This request's login, at whatever step; None for a stranger."""
    if "login" not in g:
        cookie = session.get(COOKIE)
        login = logins.named(work().site, cookie) if cookie else None
        g.login = _alive(login) if login else None
    found: Login | None = g.login
    return found


def _alive(login: Login) -> Login | None:
    """The login, or None when it is over.  That it was seen, or that it ended, is
    written by itself: a page that only reads makes nobody wait."""
    login_id, at = login.id, now()
    over = logins.is_over(login, at)
    if work().writes:
        return None if over else login
    if over:
        at_once(lambda own: service.expire(own.site, login_id, trace_of(own)))
        return None
    if logins.is_to_be_seen(login, at) or request.endpoint == STILL_HERE:
        return work().site.get(Login, login_id) if _see(login_id, at) else None
    return login


def _see(login_id: str, at: int) -> bool:
    """Write that a login was seen; False when it has just ended.  Where nothing can
    be written a page is shown all the same: the login only ends the earlier."""
    try:
        return at_once(lambda own: logins.see(own.site, login_id, at))
    except OperationalError:
        if request.endpoint == STILL_HERE:
            raise
        return True


def trace() -> service.Trace:
    """Where this request's entries in the audit trail go."""
    return trace_of(work())


def trace_of(own: Work) -> service.Trace:
    """Where the entries of what ``own`` does for this request go."""
    return service.Trace(own.record, origin(), now())


def current_login() -> Login:
    """This request's login; raises Over when there is none (any more)."""
    login = login_or_none()
    if login is None:
        raise logins.Over
    return login


def look_again() -> Login:
    """This request's login after its Work let go; raises Over when it has ended
    meanwhile."""
    g.pop("login", None)
    return current_login()


def begin_to_write() -> Login:
    """This request writes from here on; its login, read again, and Over when it has
    ended meanwhile."""
    work().write()
    return look_again()


def begin_to_write_own() -> Login:
    """The same for what changes the operator's own rows: others who do wait from
    here on, so that none of them meets another half-way."""
    operator_id = look_again().operator_id
    work().write()
    service.hold(work().site, operator_id)
    return look_again()


def idle_seconds() -> int:
    """How long this request's login lasts if nothing more is asked for."""
    return logins.idle_seconds(current_login(), now())


def acting() -> Actor:
    """Who does what this request does, for the audit trail."""
    return Actor(current_login().person, origin())


def origin() -> str:
    """The address the request came from, as the trusted proxies say; what is no
    address is not kept, for it may be anything."""
    return str(address_of(request.remote_addr or "") or "unknown")


def keep_cookie(cookie: str) -> None:
    """Give the browser a new session that names the login and nothing else, so
    that nothing planted before outlives the step."""
    forget()
    session[COOKIE] = cookie


def load_operator(_request: Any = None) -> Operator | None:
    """Flask-Login's question: the operator, once all steps are done."""
    login = login_or_none()
    return login.operator if login is not None and login.step == "in" else None


def public(view: View) -> View:
    """Mark a view that a stranger may see."""
    view._is_public = True  # type: ignore[attr-defined]
    return view


def at_step(*steps: str) -> Callable[[View], View]:
    """Mark a view for logins at one of ``steps``; others are led where they
    belong."""

    def mark(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            login = login_or_none()
            if login is None or login.step not in steps:
                return redirect(place_of(login), 303)
            return view(*args, **kwargs)

        return public(guarded)  # type: ignore[return-value]

    return mark


def lead_out(_error: logins.Over) -> ResponseReturnValue:
    """The answer when a login ended under its own request."""
    return redirect(url_for("auth.login"), 303)


def place_of(login: Login | None) -> str:
    """The address where a login at its step belongs."""
    if login is None:
        return url_for("auth.login")
    # A code is mailed to those alone who have nothing better.
    mailed = login.step != "password" or not factors.enrolled(login.operator)
    return url_for(PLACES[login.step] if mailed else "auth.code")


def refuse_strangers() -> ResponseReturnValue | None:
    """Before every request: what no view declared public needs an operator."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint in NO_PAGES or hasattr(view, "_is_public"):
        return None
    operator = load_operator()
    if operator is not None:
        duty = _duty(operator)
        return redirect(url_for(duty), 303) if duty and not is_at(duty) else None
    login = login_or_none()
    if login is None and COOKIE in session:
        forget()
        flash(texts.EXPIRED)
    return redirect(place_of(login), 303)


def is_at(place: str) -> bool:
    """Say whether this request is for the endpoint ``place``; the pages under
    ログイン方法の設定 are one place."""
    return request.endpoint == place or (
        place == "factors.index" and request.blueprint == "factors"
    )


def _duty(operator: Operator) -> str | None:
    """The page an operator must be done with before any other is shown."""
    settings: Config = current_app.extensions["settings"]
    if operator.must_change:
        return "auth.password"
    if factors.must_enrol(operator, settings.login_factor):
        return "factors.index"
    return None


def forget() -> None:
    """Take the login out of the browser's session."""
    session.clear()
    g.pop("login", None)
