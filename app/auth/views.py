"""The views of the login pages: password, address, logout, and a changed password."""

from __future__ import annotations

from contextlib import suppress

from flask import flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app import current
from app.db import work

from . import answers, codes, guard, logins, pages, service, texts
from .answers import Result
from .forms import EmailForm, LoginForm, PasswordForm
from .logins import Ended
from .new_password import Fault, find_fault
from .pages import SEE_OTHER, blueprint

# What is said of each fault of a new password.
FAULTS = {
    Fault.LENGTH: texts.PASSWORD_LENGTH,
    Fault.UNPRINTABLE: texts.PASSWORD_UNPRINTABLE,
    Fault.KINDS: texts.PASSWORD_KINDS,
    Fault.CARD_NUMBER: texts.PASSWORD_CARD_NUMBER,
    Fault.OWN: texts.password_easy(texts.EASY_OWN),
    Fault.WORD: texts.password_easy(texts.EASY_WORD),
    Fault.REPEAT: texts.password_easy(texts.EASY_REPEAT),
    Fault.KEYBOARD: texts.password_easy(texts.EASY_KEYBOARD),
    Fault.ORDER: texts.password_easy(texts.EASY_ORDER),
    Fault.DATE: texts.password_easy(texts.EASY_DATE),
}


@blueprint.get("/")
@guard.public
def root() -> ResponseReturnValue:
    """Lead an operator to the list and everyone else to the login."""
    return redirect(guard.next_page(guard.login_or_none()), SEE_OTHER)


@blueprint.route("/login", methods=["GET", "POST"])
@guard.public
def login() -> ResponseReturnValue:
    """Login ID and password."""
    if current_user.is_authenticated:
        return redirect(url_for("cards.index"), SEE_OTHER)
    if guard.COOKIE in session and guard.login_or_none() is None:
        guard.tell_end()
    form = LoginForm()
    if form.is_submitted():
        pages.require_unblocked_origin()
        if form.validate() and _check_password(form):
            return redirect(guard.next_page(guard.login_or_none()), SEE_OTHER)
        return render_template("auth/login.html", form=form), 422
    return render_template("auth/login.html", form=form)


@blueprint.route("/login/email", methods=["GET", "POST"])
@guard.at_step("password", "code")
def email() -> ResponseReturnValue:
    """Ask for the address a code is sent to; an operator with a strong factor gets no
    code."""
    if pages.accepted_factors():
        return redirect(url_for(".code"), SEE_OTHER)
    form = EmailForm()
    if not form.is_submitted():
        # Whoever comes back to correct an address finds what they typed.
        form.email.data = guard.current_login().address
        return _email_page(form, 200)
    if not form.validate():
        return _email_page(form, 422)
    site, login = work().site, guard.begin_to_write_own()
    address = form.email.data or ""
    refusal = codes.claim_send(site, login, address, current.now())
    if refusal is not None:
        return _email_page(form, 429, pages.not_sent(refusal))
    login.address = address
    following, cookie = logins.advance(site, login, "code", current.now())
    pages.send_code(following)
    guard.set_cookie(cookie)
    return redirect(url_for(".code"), SEE_OTHER)


@blueprint.post("/logout")
@guard.public
def logout() -> ResponseReturnValue:
    """End the login, at whatever step it is."""
    if guard.login_or_none() is not None:
        with suppress(logins.LoginEnded):
            service.log_out(work().site, guard.begin_to_write_own(), guard.trace())
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


def _email_page(
    form: EmailForm, status: int, not_sent: str = ""
) -> ResponseReturnValue:
    return render_template("auth/email.html", form=form, not_sent=not_sent), status


def _check_password(form: LoginForm) -> bool:
    session, login_id = work().site, form.login_id.data or ""
    operator = service.by_login_id(session, login_id)
    stored = operator.password_hash if operator else None
    typed = form.password.data or ""
    hasher = pages.hasher()
    compared = answers.compare_password(work(), hasher, stored, typed, renew=True)
    work().write()
    # Check again, so that of many guesses at once none is answered past the limit.
    pages.require_unblocked_origin()
    earlier, trace = guard.login_or_none(), guard.trace()
    answer = answers.check_password(session, login_id, compared, earlier, trace)
    if answer.result is not Result.RIGHT:
        form.refuse()
        return False
    guard.set_cookie(answer.cookie)
    return True


def _change_password(form: PasswordForm) -> ResponseReturnValue:
    site, operator = work().site, guard.current_login().operator
    hashes = service.past_hashes(site, operator)
    own = service.own_words(operator, current.settings().site_name)
    typed = form.current_password.data or ""
    compared = answers.compare_password(work(), pages.hasher(), hashes[0], typed)
    new_hash = _hash_of_new(form, hashes, own) if compared.right else None
    login, trace = guard.begin_to_write_own(), guard.trace()
    answer = answers.confirm_password(site, login, compared, trace)
    if answer.result is Result.LOCKED:
        return pages.locked_out()
    if answer.result is Result.WRONG:
        form.refuse(form.current_password, texts.CURRENT_WRONG)
    if new_hash is None or answer.result is not Result.RIGHT:
        return _password_page(form, 422)
    service.set_password(site, login.operator, new_hash, trace.now)
    trace.record_of("operator.password_changed", login)
    following, cookie = logins.advance(site, login, "in", trace.now)
    service.end_others(site, following, trace, Ended.PASSWORD)
    guard.set_cookie(cookie)
    flash(texts.PASSWORD_CHANGED)
    return redirect(url_for("cards.index"), SEE_OTHER)


def _hash_of_new(form: PasswordForm, hashes: list[str], own: list[str]) -> str | None:
    """The new password's hash, or None when the form now says what is wrong."""
    new = form.new_password.data or ""
    fault, hasher = find_fault(new, own), pages.hasher()
    if fault is not None:
        form.refuse(form.new_password, FAULTS[fault])
    elif any(hasher.agrees(past, new) for past in hashes):
        form.refuse(form.new_password, texts.PASSWORD_USED)
    else:
        return hasher.hash(new)
    return None


def _password_page(form: PasswordForm, status: int) -> ResponseReturnValue:
    return render_template("auth/password.html", form=form), status
