"""The views of ログイン方法の設定: an operator's authenticator app and passkeys."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, Response, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app import current
from app.db import work

from . import answers, guard, logins, pages, texts
from .answers import Result
from .factors import passkeys, rules, totp
from .forms import FactorForm, NewPasskeyForm, ProofForm, TotpForm
from .models import Passkey, Totp
from .pages import SEE_OTHER

blueprint = Blueprint("factors", __name__, url_prefix="/factors")
blueprint.before_request(pages.refuse_doubled_fields)


@blueprint.before_request
def require_proof() -> ResponseReturnValue | None:
    """Refuse to change factors unless the password was just given (ASVS 7.5.1), and
    always for a shared ID, whose persons are told apart by their mail addresses."""
    login = guard.current_login()
    if login.operator.shared_until:
        return render_template("auth/factors_shared.html"), 403
    if rules.has_just_proved(login, current.now()) or guard.is_at("factors.proof"):
        return None
    return redirect(url_for(".proof"), SEE_OTHER)


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Show the factors the operator has and those they can enrol."""
    return _factors_page(FactorForm(formdata=None), 200)


@blueprint.route("/proof", methods=["GET", "POST"])
def proof() -> ResponseReturnValue:
    """The current password once more."""
    form = ProofForm()
    if not (form.is_submitted() and form.validate()):
        status = 422 if form.is_submitted() else 200
        return render_template("auth/factors_proof.html", form=form), status
    stored = guard.current_login().operator.password_hash
    typed = form.current_password.data or ""
    compared = answers.compare_password(work(), pages.hasher(), stored, typed)
    login, trace = guard.begin_to_write_own(), guard.trace()
    answer = answers.confirm_password(work().site, login, compared, trace)
    if answer.result is Result.LOCKED:
        return pages.locked_out()
    if answer.result is Result.RIGHT:
        login.proved_at = trace.now
        return redirect(url_for(".index"), SEE_OTHER)
    form.refuse(form.current_password, texts.CURRENT_WRONG)
    return render_template("auth/factors_proof.html", form=form), 422


@blueprint.post("/totp/new")
def new_totp() -> ResponseReturnValue:
    """Offer a new seed."""
    rules.offer_totp(guard.begin_to_write_own(), pages.seal())
    return redirect(url_for(".enrol_totp"), SEE_OTHER)


@blueprint.route("/totp", methods=["GET", "POST"])
def enrol_totp() -> ResponseReturnValue:
    """Show the offered seed, and enrol it when the code that confirms it is right."""
    form, login = TotpForm(), guard.current_login()
    seed = rules.offered_seed(login, pages.seal())
    if seed is None:
        return redirect(url_for(".index"), SEE_OTHER)
    if form.is_submitted() and form.validate():
        login = guard.begin_to_write_own()
        if rules.enrol_totp(
            work().site, login, pages.seal(), form.code.data or "", guard.trace()
        ):
            flash(texts.TOTP_ENROLLED)
            return redirect(url_for(".index"), SEE_OTHER)
        form.code.errors = [texts.TOTP_WRONG]
    status = 422 if form.is_submitted() else 200
    words = {"spelled": totp.spelled(seed), "address": _address(seed)}
    return render_template("auth/factors_totp.html", form=form, **words), status


@blueprint.get("/totp.svg")
def totp_picture() -> ResponseReturnValue:
    """Send the offered seed as a QR code, which browsers don't store (no-store)."""
    seed = rules.offered_seed(guard.current_login(), pages.seal())
    if seed is None:
        abort(404)
    picture = io.BytesIO()
    code = segno.make(_address(seed), error="l", micro=False)
    code.save(picture, kind="svg", scale=4, border=4, xmldecl=False, light="#fff")
    return Response(picture.getvalue(), mimetype="image/svg+xml")


@blueprint.post("/passkey")
def enrol_passkey() -> ResponseReturnValue:
    """Enrol the passkey a browser made, which the script put into the form."""
    site, login, now = work().site, guard.begin_to_write_own(), current.now()
    form, asked = NewPasskeyForm(), logins.take_challenge(site, login)
    if not form.validate():
        return _factors_page(form, 422)
    given, name = form.credential.data or "", form.name.data or ""
    made = passkeys.verify_registration(pages.party(), asked, given, name, now)
    if not passkeys.is_registration(given):
        form.tell(texts.PASSKEY_UNREADABLE)
    elif made is None or passkeys.is_known(site, made):
        form.tell(texts.PASSKEY_NOT_MADE)
    elif len(login.operator.passkeys) >= passkeys.MAX_PASSKEYS:
        form.tell(texts.PASSKEYS_FULL)
    else:
        rules.enrol_passkey(site, login, made, guard.trace())
        flash(texts.PASSKEY_ENROLLED)
        return redirect(url_for(".index"), SEE_OTHER)
    return _factors_page(form, 422)


@blueprint.post("/remove")
def remove() -> ResponseReturnValue:
    """Give up the factor named in the form, if another one is left."""
    login, form = guard.begin_to_write_own(), FactorForm()
    factor = _own(form.factor.data or "")
    if factor is None:
        abort(404)
    form.name_after(form.factor.data or "")
    if not rules.may_remove(login.operator, factor, current.settings().login_factor):
        form.tell(texts.LAST_FACTOR)
        return _factors_page(form, 422)
    if not form.confirmed.data:
        form.confirmed.errors = [texts.REMOVAL_UNCONFIRMED]
        return _factors_page(form, 422)
    rules.remove(work().site, login, factor, guard.trace())
    is_app = isinstance(factor, Totp)
    flash(texts.TOTP_REMOVED if is_app else texts.PASSKEY_REMOVED)
    return redirect(url_for(".index"), SEE_OTHER)


def _own(named: str) -> Totp | Passkey | None:
    """The operator's factor a form names: "totp" or a passkey's number."""
    operator = guard.current_login().operator
    if named == rules.TOTP:
        return operator.totp
    return next((p for p in operator.passkeys if str(p.id) == named), None)


def _removal(sent: FactorForm | NewPasskeyForm, named: str) -> FactorForm:
    """The form that removes the factor ``named``: the one that was sent, or a new one."""
    if isinstance(sent, FactorForm) and sent.factor.data == named:
        return sent
    return FactorForm.about(named)


def _address(seed: bytes) -> str:
    login_id = guard.current_login().operator.login_id
    return totp.address(seed, current.settings().site_name, login_id)


def _factors_page(
    form: FactorForm | NewPasskeyForm, status: int
) -> ResponseReturnValue:
    """The page with all factors; ``form`` is the one that was sent, if any."""
    login, setting = guard.current_login(), current.settings().login_factor
    shown = rules.required_factors(setting) | rules.enrolled(login.operator)
    asks = rules.PASSKEY in shown and bool(current.settings().passkey_host)
    page = render_template(
        "auth/factors.html",
        form=form,
        new=form if isinstance(form, NewPasskeyForm) else NewPasskeyForm(None),
        removal=lambda named: _removal(form, named),
        operator=login.operator,
        shown=shown,
        must_enrol=rules.must_enrol(login.operator, setting),
        offer=passkeys.registration_options(pages.party(), login) if asks else "",
        may_remove=lambda factor: rules.may_remove(login.operator, factor, setting),
    )
    return page, status
