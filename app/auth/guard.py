"""Guards every page: only an operator may see it, unless its view says otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, flash, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BuildError

from app import current
from app.db import Work, at_once, work
from app.networks import address_of
from app.security import NO_PAGES
from vault import Actor

from . import logins, service, texts
from .factors import rules
from .logins import Ended
from .models import Login, Operator
from .trace import Trace

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

COOKIE = "login"
# Where the browser was when its login ended: whose login it was, and a page's name with
# its arguments.  An address is made of them only by ``url_for``, so no request can name
# one that leads elsewhere.
PLACE = "place"
# The pages it is led back to.
LED_BACK_TO = frozenset(
    {
        "auth.password",
        "cards.edit",
        "cards.registered",
        "cards.updated",
        "factors.index",
    }
)
MAX_PLACE = 100
# Set in the browser's session once it was shown the failures before its login.
TOLD = "told"
# The request of 続ける, which keeps the login: its time is always written.
STILL_HERE = "cards.still_here"
# The page a login at each step is led to.
PLACES = {"password": "auth.email", "code": "auth.code", "in": "cards.index"}

# What is said of each end.
ENDS = {
    Ended.IDLE: texts.EXPIRED,
    Ended.LONGEST: texts.LONGEST,
    Ended.REPLACED: texts.REPLACED,
    Ended.PASSWORD: texts.BY_NEW_PASSWORD,
    Ended.ADMINISTRATOR: texts.BY_ADMINISTRATOR,
}
# The page that shows the forms of each blueprint to an operator who is in.
FORM_PAGES = {
    "auth": "cards.index",
    "cards": "cards.index",
    "factors": "factors.index",
}


class CookieSession(SecureCookieSessionInterface):
    """Flask's signed cookie, signed with SHA-512 under a salt of this site."""

    salt = "card-site.session"
    digest_method = staticmethod(hashlib.sha512)


def login_or_none() -> Login | None:
    """This request's login, at whatever step; None for a stranger."""
    if "login" not in g:
        cookie = session.get(COOKIE)
        login = logins.named(work().site, cookie) if cookie else None
        g.login = _alive(login) if login else None
    found: Login | None = g.login
    return found


def _alive(login: Login) -> Login | None:
    """The login, or None when it is over.  Its last-seen time or its end is committed
    in a transaction of its own, so that a page that only reads holds no lock."""
    login_id, at = login.id, current.now()
    why = logins.why_over(login, at)
    if work().writes:
        return None if why else login
    if why is not None:
        at_once(lambda own: service.expire(own.site, login_id, why, trace_of(own)))
        return None
    if logins.is_to_be_seen(login, at) or request.endpoint == STILL_HERE:
        return work().site.get(Login, login_id) if _touch(login_id, at) else None
    return login


def _touch(login_id: str, at: int) -> bool:
    """Write that a login was seen; False when it has just ended.  Where nothing can
    be written a page is shown all the same: the login only ends the earlier."""
    try:
        return at_once(lambda own: logins.touch(own.site, login_id, at))
    except OperationalError:
        if request.endpoint == STILL_HERE:
            raise
        return True


def trace() -> Trace:
    """Where this request's entries in the audit trail go."""
    return trace_of(work())


def trace_of(own: Work) -> Trace:
    """The same for the entries of ``own``, another Work of this request."""
    return Trace(own.record, origin(), current.now())


def current_login() -> Login:
    """This request's login; raises LoginEnded when there is none, or it has ended."""
    login = login_or_none()
    if login is None:
        raise logins.LoginEnded
    return login


def reload_login() -> Login:
    """Load the login again after the request's Work was released; raises LoginEnded
    when it has ended meanwhile."""
    g.pop("login", None)
    return current_login()


def begin_to_write() -> Login:
    """Begin to write in this request; returns its login, read again.  Raises LoginEnded
    when it has ended meanwhile."""
    work().write()
    return reload_login()


def begin_to_write_own() -> Login:
    """Do the same for a change of the operator's own rows, after locking the operator's
    row, which every such change locks first."""
    operator_id = reload_login().operator_id
    work().write()
    service.hold(work().site, operator_id)
    return reload_login()


def idle_seconds() -> int:
    """How many seconds this request's login lasts if no other page is requested."""
    return logins.idle_seconds(current_login(), current.now())


def acting() -> Actor:
    """Who acts in this request, for the audit trail."""
    return Actor(current_login().person, origin())


def origin() -> str:
    """The address the request came from, as the trusted proxies say.  Text that is no
    address is replaced, because it may be anything."""
    return str(address_of(request.remote_addr or "") or "unknown")


def set_cookie(cookie: str) -> None:
    """Give the browser a new session with the login's id, so that nothing that was put
    into the old session stays but where it was when its last login ended."""
    place = session.get(PLACE)
    forget()
    session[COOKIE] = cookie
    if place is not None:
        session[PLACE] = place


def mark_told() -> bool:
    """Note that the browser is shown the failures before its login; False when it was
    shown them before."""
    first = TOLD not in session
    session[TOLD] = True
    return first


def load_operator(_request: Any = None) -> Operator | None:
    """The operator for Flask-Login, or None until all steps are done."""
    login = login_or_none()
    return login.operator if login is not None and login.step == "in" else None


def public(view: View) -> View:
    """Mark a view that a stranger may see."""
    view._is_public = True  # type: ignore[attr-defined]
    return view


def at_step(*steps: str) -> Callable[[View], View]:
    """Mark a view for logins at one of ``steps``; others are led to their own page."""

    def mark(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            login = login_or_none()
            if login is None or login.step not in steps:
                return redirect(next_page(login), 303)
            return view(*args, **kwargs)

        return public(guarded)  # type: ignore[return-value]

    return mark


def lead_out(_error: logins.LoginEnded) -> ResponseReturnValue:
    """Answer a request whose login ended while it ran: nothing of it is kept."""
    work().release()
    if request.method == "POST" and not _is_open(request.endpoint):
        _tell_end_of_form()
    return redirect(url_for("auth.login"), 303)


def next_page(login: Login | None) -> str:
    """The address of the page for a login at its step."""
    if login is None:
        return url_for("auth.login")
    # A code is mailed only to operators without a stronger factor.
    mailed = login.step != "password" or not rules.enrolled(login.operator)
    return url_for(PLACES[login.step] if mailed else "auth.code")


def page_after_login() -> str:
    """The address of the first page of a login that is in: where the same operator was
    when their last login ended in this browser, or the list.  Behind a shared ID may be
    somebody else."""
    operator_id, endpoint, args = session.pop(PLACE, (0, "", {}))
    login = current_login()
    same = operator_id == login.operator_id and not login.operator.shared_until
    if same and endpoint in LED_BACK_TO:
        # An earlier version of the site may have called the arguments something else.
        with suppress(BuildError):
            return url_for(endpoint, **args)
    return url_for("cards.index")


def refuse_strangers() -> ResponseReturnValue | None:
    """Before every request, refuse strangers at a view that is not marked public."""
    if _is_open(request.endpoint):
        return None
    operator = load_operator()
    if operator is not None:
        required = required_page(operator)
        if required is None or is_at(required):
            return None
        return redirect(url_for(required), 303)
    login = login_or_none()
    if login is None:
        _tell_stranger()
    return redirect(next_page(login), 303)


def _is_open(endpoint: str | None) -> bool:
    """Say whether strangers may ask for an endpoint: a view marked public, what is no
    page, or an address with no view."""
    view = current_app.view_functions.get(endpoint or "")
    return view is None or endpoint in NO_PAGES or getattr(view, "_is_public", False)


def _tell_stranger() -> None:
    """Tell who is led to the login page why, where a person reads the answer."""
    if request.method == "POST":
        _tell_end_of_form()
    elif COOKIE in session:
        tell_end()


def _tell_end_of_form() -> None:
    """Say that a form came too late and nothing was done.  Nothing is said, and the
    cookie is left alone, where the end is not known: of two copies of a form the first
    may have been taken, and its answer have brought the browser a new cookie."""
    known = COOKIE not in session or logins.ended(work().site, session[COOKIE])
    if not (known and _is_for_person()):
        return
    if COOKIE in session:
        tell_end()
    flash(texts.NOTHING_DONE)


def tell_end() -> None:
    """Forget a login that has ended, and say on the next page why it did; whose login
    it was comes back to this page after the next."""
    if _is_for_person():
        ended = logins.ended(work().site, session[COOKIE])
        forget()
        if ended is not None:
            _keep_place(ended.operator_id)
        flash(ENDS[Ended(ended.reason) if ended else Ended.IDLE])


def _keep_place(operator_id: int) -> None:
    """Keep which page was asked for, or is at the address a form was sent to.  What
    stands behind a question mark is not kept: a search may name a customer."""
    adapter = current_app.create_url_adapter(request)
    if adapter is None or len(request.path) > MAX_PLACE:
        return
    try:
        endpoint, args = adapter.match(method="GET")
    except HTTPException:
        return
    if endpoint in LED_BACK_TO:
        session[PLACE] = (operator_id, endpoint, dict(args))


def _is_for_person() -> bool:
    """Say whether the answer is shown: what a script asks for by itself is not, and
    would use up what the page is to say."""
    return request.headers.get("Sec-Fetch-Dest") != "empty"


def lead_back_to_form() -> ResponseReturnValue | None:
    """Lead whoever opens the address that a form is sent to, as a reload after an error
    may, to the page the form is on.  What is no form of a page stays refused."""
    refused = isinstance(request.routing_exception, MethodNotAllowed)
    if not refused or request.method not in ("GET", "HEAD"):
        return None
    adapter = current_app.create_url_adapter(request)
    try:
        endpoint = str(adapter.match(method="POST")[0]) if adapter else ""
    except HTTPException:
        return None
    page = FORM_PAGES.get(endpoint.partition(".")[0])
    if page is None:
        return None
    inside = load_operator() is not None
    return redirect(url_for(page) if inside else next_page(login_or_none()), 303)


def is_at(place: str) -> bool:
    """Say whether this request is for the endpoint ``place``; the pages under
    ログイン方法の設定 are one place."""
    return request.endpoint == place or (
        place == "factors.index" and request.blueprint == "factors"
    )


def required_page(operator: Operator) -> str | None:
    """The page an operator must complete before any other is shown, or None."""
    if operator.must_change:
        return "auth.password"
    if rules.must_enrol(operator, current.settings().login_factor):
        return "factors.index"
    return None


def forget() -> None:
    """Remove the login from the browser's session."""
    session.clear()
    g.pop("login", None)
