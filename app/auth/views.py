"""The login pages."""

from __future__ import annotations

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import BadRequest, TooManyRequests

from app.db import work
from app.mail import post_code
from config import Config

from . import codes, guard, logins, passwords, service, texts
from .forms import CodeForm, EmailForm, LoginForm, PasswordForm
from .models import Login

blueprint = Blueprint("auth", __name__)

SEE_OTHER = 303


@blueprint.before_request
def refuse_doubled_fields() -> None:
    """No browser sends a field of these forms twice."""
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise BadRequest


@blueprint.get("/")
@guard.public
def root() -> ResponseReturnValue:
    """The list for an operator, the login for everyone else."""
    return redirect(guard.place_of(guard.login_or_none()), SEE_OTHER)


@blueprint.route("/login", methods=["GET", "POST"])
@guard.public
def login() -> ResponseReturnValue:
    """Login ID and password."""
    if current_user.is_authenticated:
        return redirect(url_for("cards.index"), SEE_OTHER)
    if guard.COOKIE in session and guard.login_or_none() is None:
        guard.forget()
        flash(texts.EXPIRED)
    form = LoginForm()
    if form.is_submitted():
        _require_unblocked_origin()
        if form.validate() and _check_password(form):
            return redirect(url_for(".email"), SEE_OTHER)
        return render_template("auth/login.html", form=form), 422
    return render_template("auth/login.html", form=form)


@blueprint.route("/login/email", methods=["GET", "POST"])
@guard.at_step("password", "code")
def email() -> ResponseReturnValue:
    """Where the code is to be sent."""
    form = EmailForm()
    if not form.is_submitted():
        return render_template("auth/email.html", form=form)
    if not form.validate():
        return render_template("auth/email.html", form=form), 422
    site, at = work().site, guard.current_login()
    if not codes.may_send(site, at, guard.now()):
        form.email.errors = [texts.TOO_MANY_SENDS]
        return render_template("auth/email.html", form=form), 429
    at.address = form.email.data or ""
    following, cookie = logins.advance(site, at, "code", guard.now())
    _send_code(following)
    guard.keep_cookie(cookie)
    return redirect(url_for(".code"), SEE_OTHER)


@blueprint.route("/login/code", methods=["GET", "POST"])
@guard.at_step("code")
def code() -> ResponseReturnValue:
    """The mailed code."""
    form = CodeForm()
    if not form.is_submitted():
        return _code_page(form, 200)
    _require_unblocked_origin()
    return _check_code(form) if form.validate() else _code_page(form, 422)


@blueprint.post("/login/code/resend")
@guard.at_step("code")
def resend() -> ResponseReturnValue:
    """A new code to the same address; the one before is dead."""
    at = guard.current_login()
    if not codes.may_send(work().site, at, guard.now()):
        form = CodeForm(formdata=None)
        form.code.errors = [texts.TOO_MANY_SENDS]
        return _code_page(form, 429)
    _send_code(at)
    flash(texts.CODE_SENT_AGAIN)
    return redirect(url_for(".code"), SEE_OTHER)


@blueprint.post("/logout")
@guard.public
def logout() -> ResponseReturnValue:
    """End the login, at whatever step it is."""
    at = guard.login_or_none()
    if at is not None:
        service.log_out(work().site, at, guard.trace())
    guard.forget()
    flash(texts.LOGGED_OUT)
    return redirect(url_for(".login"), SEE_OTHER)


@blueprint.route("/password", methods=["GET", "POST"])
def password() -> ResponseReturnValue:
    """Change the password; a first one must be changed here."""
    form = PasswordForm()
    if form.is_submitted() and form.validate():
        return _change_password(form)
    return _password_page(form, 422 if form.is_submitted() else 200)


def _check_password(form: LoginForm) -> bool:
    site, hasher = work().site, _hasher()
    login_id, typed = form.login_id.data or "", form.password.data or ""
    operator = service.by_login_id(site, login_id)
    stored = operator.password_hash if operator else None
    # No lock is held while Argon2 works.
    work().release()
    right = hasher.agrees(stored, typed)
    weak = right and stored is not None and hasher.is_weak(stored)
    better = hasher.hash(typed) if weak else None
    operator = service.by_login_id(site, login_id)
    trace = guard.trace()
    # What was compared must still be the password.
    right = right and operator is not None and operator.password_hash == stored
    if operator is None or not right or not service.may_log_in(operator, trace.now):
        service.password_failed(site, operator, trace)
        form.refuse()
        return False
    earlier = guard.login_or_none()
    if earlier is not None:
        logins.end(site, earlier)
    guard.keep_cookie(service.password_right(site, operator, better, trace))
    return True


def _check_code(form: CodeForm) -> ResponseReturnValue:
    site, at, trace = work().site, guard.current_login(), guard.trace()
    if service.is_locked(at.operator, trace.now):
        logins.end(site, at)
        return _locked_out()
    digest = codes.digest(_code_key(), at, form.code.data or "")
    if codes.use(site, at, digest, trace.now, _settings().code_ttl):
        guard.keep_cookie(service.log_in(site, at, trace))
        return redirect(url_for("cards.index"), SEE_OTHER)
    left = codes.count_try(site, at, trace.now, _settings().code_ttl)
    if left is None:
        form.code.errors = [texts.CODE_EXPIRED]
    elif service.code_failed(site, at, left, trace):
        return _locked_out()
    else:
        form.code.errors = [texts.code_wrong(left)]
    return _code_page(form, 422)


def _locked_out() -> ResponseReturnValue:
    guard.forget()
    flash(texts.CODE_ENDED)
    return redirect(url_for(".login"), SEE_OTHER)


def _change_password(form: PasswordForm) -> ResponseReturnValue:
    site, operator = work().site, guard.current_login().operator
    hashes = service.past_hashes(site, operator)
    forbidden = (operator.login_id, _settings().site_name)
    # No lock is held while Argon2 works.
    work().release()
    right = _hasher().agrees(hashes[0], form.current_password.data or "")
    new_hash = _hash_of_new(form, hashes, forbidden) if right else None
    at, trace = guard.look_again(), guard.trace()
    if not right:
        form.refuse(form.current_password, texts.CURRENT_WRONG)
        if service.password_failed(site, at.operator, trace):
            logins.end(site, at)
            return _locked_out()
    if new_hash is None:
        return _password_page(form, 422)
    service.set_password(site, at.operator, new_hash, trace.now)
    trace.record("operator.password_changed", at.operator.login_id)
    guard.keep_cookie(logins.advance(site, at, "in", trace.now)[1])
    flash(texts.PASSWORD_CHANGED)
    return redirect(url_for("cards.index"), SEE_OTHER)


def _hash_of_new(
    form: PasswordForm, hashes: list[str], forbidden: tuple[str, ...]
) -> str | None:
    """The new password's hash, or None once the form says what is wrong."""
    new = form.new_password.data or ""
    fault = passwords.fault(new, forbidden)
    if fault is None and any(_hasher().agrees(past, new) for past in hashes):
        fault = texts.PASSWORD_USED
    if fault is None:
        return _hasher().hash(new)
    form.refuse(form.new_password, fault)
    return None


def _password_page(form: PasswordForm, status: int) -> ResponseReturnValue:
    return render_template("auth/password.html", form=form), status


def _send_code(at: Login) -> None:
    to_mail = service.send_code(work().site, at, _code_key(), guard.trace())
    if to_mail is not None:
        address, made = to_mail
        work().once_committed(lambda: post_code(address, made))


def _code_page(form: CodeForm, status: int) -> ResponseReturnValue:
    address = guard.current_login().address
    page = render_template("auth/code.html", form=form, address=address)
    return page, status


def _require_unblocked_origin() -> None:
    limit = _settings().login_failures_per_origin
    if service.origin_is_blocked(work().site, guard.origin(), limit, guard.now()):
        raise TooManyRequests(retry_after=service.ORIGIN_SECONDS)


def _settings() -> Config:
    settings: Config = current_app.extensions["settings"]
    return settings


def _hasher() -> passwords.Hasher:
    hasher: passwords.Hasher = current_app.extensions["hasher"]
    return hasher


def _code_key() -> bytes:
    key: bytes = current_app.extensions["code_key"]
    return key
