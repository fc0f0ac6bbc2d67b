"""The views of the code page: a mailed code, an app's code or a passkey."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app import current
from app.db import work

from . import codes, guard, lockout, logins, pages, service, texts
from .factors import passkeys, rules
from .forms import CodeForm, PasskeyForm
from .pages import SEE_OTHER, blueprint


@blueprint.route("/login/code", methods=["GET", "POST"])
@guard.at_step("password", "code")
def code() -> ResponseReturnValue:
    """Show and check the mailed code, or the factor the operator enrolled instead."""
    at, taken = guard.current_login(), pages.taken()
    if at.step == "password" and not taken:
        return redirect(url_for(".email"), SEE_OTHER)
    form = CodeForm()
    if not form.is_submitted():
        return _code_page(form, 200)
    pages.require_unblocked_origin()
    if not form.validate():
        return _code_page(form, 422)
    return _check_totp(form) if taken else _check_code(form)


@blueprint.post("/login/code/resend")
@guard.at_step("code")
def resend() -> ResponseReturnValue:
    """Send a new code to the same address; the code before no longer works."""
    at = guard.current_login()
    if pages.taken():
        return redirect(url_for(".code"), SEE_OTHER)
    at = guard.begin_to_write_own()
    if not codes.claim_send(work().site, at, current.now()):
        form = CodeForm(formdata=None)
        form.code.errors = [texts.TOO_MANY_SENDS]
        return _code_page(form, 429)
    pages.send_code(at)
    flash(texts.CODE_SENT_AGAIN)
    return redirect(url_for(".code"), SEE_OTHER)


@blueprint.post("/login/passkey")
@guard.at_step("password", "code")
def passkey() -> ResponseReturnValue:
    """Check the answer of a passkey, which the script put into the form."""
    if rules.PASSKEY not in pages.taken():
        return redirect(guard.place_of(guard.login_or_none()), SEE_OTHER)
    pages.require_unblocked_origin()
    site, at, trace = work().site, guard.begin_to_write_own(), guard.trace()
    if lockout.is_locked(at.operator, trace.now):
        return _end_locked()
    answer, asked = PasskeyForm(), logins.take_challenge(site, at)
    given = answer.credential.data or ""
    if passkeys.use(site, at.operator, pages.party(), asked, given, trace.now):
        return _let_in("login.passkey")
    form = CodeForm(formdata=None)
    if not rules.failed(site, at, "login.passkey", trace):
        return pages.locked_out()
    form.form_errors.append(texts.PASSKEY_WRONG)
    return _code_page(form, 422)


def _check_code(form: CodeForm) -> ResponseReturnValue:
    site, at, trace = work().site, guard.begin_to_write_own(), guard.trace()
    if lockout.is_locked(at.operator, trace.now):
        return _end_locked()
    ttl = current.settings().code_ttl
    digest = codes.digest(pages.code_key(), at, form.code.data or "")
    # A code to an address that was unbound since then is not accepted.
    bound = service.bound_address(at) is not None
    if bound and codes.use(site, at, digest, trace.now, ttl):
        return _let_in("login.code")
    left = codes.count_try(site, at, trace.now, ttl)
    if left is None:
        form.code.errors = [texts.CODE_EXPIRED]
    elif service.code_failed(site, at, left, trace):
        return pages.locked_out()
    else:
        form.code.errors = [texts.code_wrong(left)]
    return _code_page(form, 422)


def _check_totp(form: CodeForm) -> ResponseReturnValue:
    site, at, trace = work().site, guard.begin_to_write_own(), guard.trace()
    if rules.TOTP not in pages.taken():
        form.code.errors = [texts.PASSKEY_ONLY]
        return _code_page(form, 422)
    if lockout.is_locked(at.operator, trace.now):
        return _end_locked()
    typed = form.code.data or ""
    if rules.use_totp(site, at.operator, pages.seal(), typed, trace.now):
        return _let_in("login.totp")
    left = rules.failed(site, at, "login.totp", trace)
    if not left:
        return pages.locked_out()
    form.code.errors = [texts.code_wrong(left)]
    return _code_page(form, 422)


def _let_in(event: str) -> ResponseReturnValue:
    site, at, trace = work().site, guard.current_login(), guard.trace()
    guard.keep_cookie(service.log_in(site, at, trace, event))
    return redirect(url_for("cards.index"), SEE_OTHER)


def _end_locked() -> ResponseReturnValue:
    """End the login of an ID that was locked meanwhile, even if the answer is right."""
    logins.end(work().site, guard.current_login())
    return pages.locked_out()


def _code_page(form: CodeForm, status: int) -> ResponseReturnValue:
    at, taken = guard.current_login(), pages.taken()
    asks = rules.PASSKEY in taken and bool(current.settings().passkey_host)
    page = render_template(
        "auth/code.html",
        form=form,
        address=at.address,
        taken=taken,
        question=passkeys.question(pages.party(), at) if asks else "",
    )
    return page, status
