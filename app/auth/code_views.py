"""The views of the code page: a mailed code, an app's code or a passkey."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import Field

from app import current, mail
from app.db import work

from . import answers, codes, guard, pages, texts
from .answers import Answer, Result
from .factors import passkeys, rules
from .forms import CodeForm, PasskeyForm
from .pages import SEE_OTHER, blueprint


@blueprint.route("/login/code", methods=["GET", "POST"])
@guard.at_step("password", "code")
def code() -> ResponseReturnValue:
    """Show and check the mailed code, or the factor the operator enrolled instead."""
    login, accepted = guard.current_login(), pages.accepted_factors()
    if login.step == "password" and not accepted:
        return redirect(url_for(".email"), SEE_OTHER)
    form = CodeForm()
    if not form.is_submitted():
        return _code_page(form, 200)
    pages.require_unblocked_origin()
    if not form.validate():
        return _code_page(form, 422)
    return _check_totp(form) if accepted else _check_code(form)


@blueprint.post("/login/code/resend")
@guard.at_step("code")
def resend() -> ResponseReturnValue:
    """Send a new code to the same address; the code before no longer works."""
    login = guard.current_login()
    if pages.accepted_factors():
        return redirect(url_for(".code"), SEE_OTHER)
    login = guard.begin_to_write_own()
    refusal = codes.claim_send(work().site, login, login.address, current.now())
    if refusal is not None:
        not_sent = pages.not_sent(refusal)
        if refusal.limit is codes.Limit.MINUTE:
            not_sent += texts.CODE_STILL_GOOD
        return _code_page(CodeForm(formdata=None), 429, not_sent)
    pages.send_code(login)
    flash(texts.CODE_SENT_AGAIN)
    return redirect(url_for(".code"), SEE_OTHER)


@blueprint.post("/login/passkey")
@guard.at_step("password", "code")
def passkey() -> ResponseReturnValue:
    """Check the answer of a passkey, which the script put into the form."""
    if rules.PASSKEY not in pages.accepted_factors():
        return redirect(guard.next_page(guard.login_or_none()), SEE_OTHER)
    pages.require_unblocked_origin()
    login, given = guard.begin_to_write_own(), PasskeyForm().credential.data or ""
    answer = answers.answer_passkey(
        work().site, login, given, guard.trace(), pages.party()
    )
    form = CodeForm(formdata=None)
    unreadable = answer.result is Result.UNREADABLE
    form.tell(texts.PASSKEY_UNREADABLE if unreadable else texts.PASSKEY_WRONG)
    return _answered(answer, form)


def _check_code(form: CodeForm) -> ResponseReturnValue:
    login, typed = guard.begin_to_write_own(), form.code.data or ""
    rule = answers.CodeRule(pages.code_key(), current.settings().code_ttl)
    answer = answers.answer_code(work().site, login, typed, guard.trace(), rule)
    return _answered(answer, form, form.code)


def _check_totp(form: CodeForm) -> ResponseReturnValue:
    login, typed = guard.begin_to_write_own(), form.code.data or ""
    if rules.TOTP not in pages.accepted_factors():
        form.code.errors = [texts.PASSKEY_ONLY]
        return _code_page(form, 422)
    seal = pages.seal()
    answer = answers.answer_totp(work().site, login, typed, guard.trace(), seal)
    return _answered(answer, form, form.code)


def _answered(
    answer: Answer, form: CodeForm, field: Field | None = None
) -> ResponseReturnValue:
    """The page for an answer; what was wrong is said at ``field``, if one was typed."""
    if answer.result is Result.RIGHT:
        guard.set_cookie(answer.cookie)
        return redirect(guard.page_after_login(), SEE_OTHER)
    if answer.result is Result.LOCKED:
        return pages.locked_out()
    if answer.result is Result.EXPIRED:
        form.tell(texts.CODE_EXPIRED)
    elif field is not None:
        field.errors = [texts.code_wrong(answer.left)]
    return _code_page(form, 422)


def _code_page(form: CodeForm, status: int, not_sent: str = "") -> ResponseReturnValue:
    login, accepted = guard.current_login(), pages.accepted_factors()
    asks = rules.PASSKEY in accepted and bool(current.settings().passkey_host)
    page = render_template(
        "auth/code.html",
        form=form,
        not_sent=not_sent,
        address=login.address,
        minutes=current.settings().code_ttl // 60,
        taken=accepted,
        late=not accepted and mail.is_late(),
        question=passkeys.login_options(pages.party(), login) if asks else "",
    )
    return page, status
