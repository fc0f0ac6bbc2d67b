"""The login pages."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import TooManyRequests

from app.db import work
from app.mail import post_code
from config import Config
from vault import Vault

from . import codes, guard, logins, passwords, service, texts
from .forms import CodeForm, EmailForm, LoginForm, PasswordForm
from .models import Operator

blueprint = Blueprint("auth", __name__)

SEE_OTHER = 303


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
    at.address = form.email.data
    following, cookie = logins.advance(site, at, "code", guard.now())
    _send_code(following)
    guard.keep_cookie(cookie)
    return redirect(url_for(".code"), SEE_OTHER)


@blueprint.route("/login/code", methods=["GET", "POST"])
@guard.at_step("code")
def code() -> ResponseReturnValue:
    """The mailed code."""
    form = CodeForm()
    if form.is_submitted() and form.validate():
        return _check_code(form)
    return _code_page(form, 422 if form.is_submitted() else 200)


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
        service.log_out(work().site, at, _trace())
    guard.forget()
    flash(texts.LOGGED_OUT)
    return redirect(url_for(".login"), SEE_OTHER)


@blueprint.route("/password", methods=["GET", "POST"])
def password() -> ResponseReturnValue:
    """Change the password; a first one must be changed here."""
    form = PasswordForm()
    if form.is_submitted():
        if form.validate() and _change_password(form):
            flash(texts.PASSWORD_CHANGED)
            return redirect(url_for("cards.index"), SEE_OTHER)
        return render_template("auth/password.html", form=form), 422
    return render_template("auth/password.html", form=form)


def _check_password(form: LoginForm) -> bool:
    site, hasher = work().site, _hasher()
    operator = service.by_login_id(site, form.login_id.data)
    stored = operator.password_hash if operator else None
    # No lock is held while Argon2 works.
    work().release()
    right = hasher.agrees(stored, form.password.data)
    weak = right and stored is not None and hasher.is_weak(stored)
    better = hasher.hash(form.password.data) if weak else None
    operator = service.by_login_id(site, form.login_id.data)
    trace = _trace()
    if operator is None or not right or not service.may_log_in(operator, trace.now):
        service.password_failed(site, operator, trace)
        form.refuse()
        return False
    guard.keep_cookie(service.password_right(site, operator, better, trace))
    return True


def _check_code(form: CodeForm) -> ResponseReturnValue:
    site, at, trace = work().site, guard.current_login(), _trace()
    digest = codes.digest(_code_key(), at, form.code.data)
    if codes.use(site, at, digest, trace.now, _settings().code_ttl):
        guard.keep_cookie(service.log_in(site, at, trace))
        return redirect(url_for("cards.index"), SEE_OTHER)
    left = codes.count_try(site, at, trace.now, _settings().code_ttl)
    if left is None:
        form.code.errors = [texts.CODE_EXPIRED]
    elif service.code_failed(site, at, left, trace):
        guard.forget()
        flash(texts.CODE_ENDED)
        return redirect(url_for(".login"), SEE_OTHER)
    else:
        form.code.errors = [texts.code_wrong(left)]
    return _code_page(form, 422)


def _change_password(form: PasswordForm) -> bool:
    site, hasher, operator_id = work().site, _hasher(), current_user.id
    operator = site.get_one(Operator, operator_id)
    forbidden = (operator.login_id, _settings().site_name)
    stored, hashes = operator.password_hash, service.past_hashes(site, operator)
    work().release()
    new = form.new_password.data
    if not hasher.agrees(stored, form.current_password.data):
        form.refuse(form.current_password, texts.CURRENT_WRONG)
    elif fault := passwords.fault(new, forbidden):
        form.refuse(form.new_password, fault)
    elif any(hasher.agrees(past, new) for past in hashes):
        form.refuse(form.new_password, texts.PASSWORD_USED)
    if form.errors:
        return False
    new_hash = hasher.hash(new)
    operator = site.get_one(Operator, operator_id, populate_existing=True)
    service.set_password(site, operator, new_hash, guard.now())
    trace, at = _trace(), guard.current_login()
    trace.record("operator.password_changed", operator.login_id)
    guard.keep_cookie(logins.advance(site, at, "in", trace.now)[1])
    return True


def _send_code(at: logins.Login) -> None:
    to_mail = service.send_code(work().site, at, _code_key(), _trace())
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


def _trace() -> service.Trace:
    vault: Vault = current_app.extensions["vault"]
    return service.Trace(vault, work().vault_db, guard.origin(), guard.now())


def _settings() -> Config:
    settings: Config = current_app.extensions["settings"]
    return settings


def _hasher() -> passwords.Hasher:
    hasher: passwords.Hasher = current_app.extensions["hasher"]
    return hasher


def _code_key() -> bytes:
    key: bytes = current_app.extensions["code_key"]
    return key
