"""The views of the card pages: each reads the request, calls the service, answers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from flask import (
    Blueprint,
    Response,
    flash,
    jsonify,
    redirect,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, ServiceUnavailable

from app import current, japan_time
from app.auth import acting, begin_to_write, reload_login
from app.db import work

from . import pages, service, texts
from .forms import CardForm, DeleteForm, EditForm
from .models import Customer
from .search import export, listing, workbook
from .search.query import Query, holds_number

blueprint = Blueprint("cards", __name__)

SEE_OTHER = 303


class NotFound(Exception):
    """The address names no customer, or one that was deleted: ``public_id``."""

    def __init__(self, public_id: str) -> None:
        super().__init__()
        self.public_id = public_id


@blueprint.errorhandler(NotFound)
def not_found(error: NotFound) -> ResponseReturnValue:
    """Answer unknown and foreign addresses alike, and say who deleted a customer."""
    return pages.not_found_page(error.public_id), 404


@blueprint.before_request
def refuse_doubled_fields() -> None:
    """Refuse a form that has a field twice, as no browser sends it."""
    if any(len(values) > 1 for _, values in request.form.lists()):
        raise BadRequest


@blueprint.before_request
def refuse_numbers_in_addresses() -> None:
    """Refuse an address that may hold a card number, because proxies log addresses."""
    if holds_number(request.args.getlist("q")):
        raise BadRequest


@blueprint.get("/cards")
def index() -> ResponseReturnValue:
    """The list with its search, and the empty form below it.  A page beyond the end
    leads to the last one."""
    found = pages.find()
    if found.query.page != Query.read(request.args).page:
        return redirect(url_for(".index", **found.query.args()), SEE_OTHER)
    return pages.list_page(pages.card_form(), found)


@blueprint.route("/cards/search", methods=["GET", "POST"])
def find() -> ResponseReturnValue:
    """Redirect the search to an address without a card number; a reload leads to the
    list."""
    asked = request.form if request.method == "POST" else request.args
    query = Query.read(asked)
    return redirect(url_for(".index", **query.args(page=1)), SEE_OTHER)


@blueprint.post("/cards")
def register() -> ResponseReturnValue:
    """Register a card; a form answered before leads where its answer did."""
    form = pages.card_form()
    public_id = pages.tickets().answered(work().site, form.ticket_shown)
    if public_id is None:
        if not form.validate():
            return pages.list_page(form, pages.find()), 422
        public_id = _register(form)
    done = url_for(".registered", public_id=public_id, **pages.list_args())
    return redirect(done, SEE_OTHER)


@blueprint.get("/cards/<public_id>/registered")
def registered(public_id: str) -> ResponseReturnValue:
    """登録完了しました。 with the masked card."""
    return pages.done_page("cards/registered.html", _customer(public_id))


@blueprint.get("/cards/<public_id>/edit")
def edit(public_id: str) -> ResponseReturnValue:
    """The edit page; 更新 and 削除 are two forms on it."""
    customer = _customer(public_id)
    card = pages.describe(customer)
    return pages.edit_page(customer, card, pages.edit_form(customer, card))


@blueprint.post("/cards/<public_id>/edit")
def change_or_delete(public_id: str) -> ResponseReturnValue:
    """Change a customer, or delete it when 削除 was pressed."""
    try:
        if request.form.get("act") == "delete":
            return _delete(public_id)
        return _change(public_id)
    except service.Conflict:
        return _conflict(public_id)


@blueprint.get("/cards/<public_id>/updated")
def updated(public_id: str) -> ResponseReturnValue:
    """更新完了しました。 with the masked card."""
    return pages.done_page("cards/updated.html", _customer(public_id))


@blueprint.get("/cards/deleted")
def deleted() -> ResponseReturnValue:
    """削除完了しました。 with what was deleted; without a deletion, the list."""
    summary = pages.tickets().deleted(work().site, current.now())
    if summary is None:
        return redirect(url_for(".index", **pages.list_args()), SEE_OTHER)
    return pages.deleted_page(summary)


@blueprint.get("/cards/likeness")
def likeness() -> Response:
    """The stored cards that look like one being typed, as JSON.

    Takes what a mask shows and no more: ``prefix``, ``last4``, ``expiry``.
    """
    parts = [request.args.get(name, "") for name in ("prefix", "last4", "expiry")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        return jsonify(likely=[])
    prefix, last4, expiry = parts[0][:2], parts[1][-4:], int(parts[2][:6])
    found = service.likely(work().site, prefix, last4, expiry)
    return jsonify(likely=[pages.warning(customer) for customer in found])


@blueprint.get("/cards.csv")
def masked_csv() -> Response:
    """Send the list that is shown, with all its pages, as masked CSV.  The trail
    records it before the first line is sent, and no lock is held while sending."""
    query, now = Query.read(request.args), current.now()
    count = listing.count_all(work().site, query, now)
    _record_file("csv", query, count)
    customers = listing.all_in_turn(current.site_engine(), query, now, count)
    lines = export.in_pieces(export.masked_csv(customers))
    return _file(lines, "csv", "text/csv; charset=utf-8", now)


@blueprint.get("/cards.xlsx")
def masked_workbook() -> ResponseReturnValue:
    """Send the same list as an Excel workbook, or say that it is too long for one.  The
    workbook is made whole without a lock; then the trail records it; then it is sent."""
    query, now = Query.read(request.args), current.now()
    count = listing.count_all(work().site, query, now)
    if count > workbook.MOST_ROWS:
        flash(texts.too_many_for_a_workbook(workbook.MOST_ROWS))
        return redirect(url_for(".index", **query.args()), SEE_OTHER)
    work().release()
    customers = listing.all_in_turn(current.site_engine(), query, now, count)
    try:
        made = workbook.masked_workbook(customers, now)
    except workbook.Busy:
        raise ServiceUnavailable from None
    reload_login()
    _record_file("xlsx", query, count)
    return _file(made, "xlsx", workbook.CONTENT_TYPE, now)


@blueprint.post("/cards/still-here")
def still_here() -> ResponseReturnValue:
    """Answer the request that 続ける sends; any request keeps the login alive."""
    return "", 204


def _record_file(kind: str, query: Query, rows: int) -> None:
    detail = {"kind": kind, "rows": str(rows), "q": query.q, "expiry": query.expiry}
    work().record("cards.exported_masked", acting(), detail=detail)


def _file(
    content: bytes | Iterable[str], kind: str, content_type: str, now: int
) -> Response:
    day = japan_time.japan_date(now).replace("/", "")
    named = f'attachment; filename="cards-{day}.{kind}"'
    headers = {"Content-Disposition": named}
    return Response(content, content_type=content_type, headers=headers)


def _register(form: CardForm) -> str:
    begin_to_write()
    site, now = work().site, current.now()
    public_id, ticket = service.new_public_id(), form.ticket_shown
    # Claim the form's ticket before sealing: of two identical submits, the second must
    # not create a card.
    if not pages.tickets().claim(site, ticket, public_id, now):
        return pages.tickets().answered(site, ticket) or public_id
    service.register(work(), form.new_card, public_id, acting(), now)
    return public_id


def _change(public_id: str) -> ResponseReturnValue:
    site, customer = work().site, _customer(public_id)
    card = pages.describe(customer)
    form = pages.edit_form(customer, card)
    if not pages.tickets().answered(site, form.ticket_shown):
        _require_newest(form, customer)
        if not form.validate():
            return pages.edit_page(customer, card, form), 422
        begin_to_write()
        if pages.tickets().claim(site, form.ticket_shown, public_id, current.now()):
            customer = _customer(public_id)
            _require_newest(form, customer)
            entered = form.card_change
            service.change(work(), customer, entered, acting(), current.now())
    done = url_for(".updated", public_id=public_id, **pages.list_args())
    return redirect(done, SEE_OTHER)


def _delete(public_id: str) -> ResponseReturnValue:
    form = DeleteForm(tickets=pages.tickets())
    site, ticket = work().site, form.ticket_shown
    if not pages.tickets().answered(site, ticket):
        customer = _customer(public_id)
        _require_newest(form, customer)
        if not form.validate():
            card = pages.describe(customer)
            empty = pages.edit_form(customer, card, formdata=None)
            return pages.edit_page(customer, card, empty, form), 422
        begin_to_write()
        claimed = pages.tickets().claim(site, ticket, public_id, current.now())
        if claimed:
            customer = _customer(public_id)
            _require_newest(form, customer)
            claimed.summary = json.dumps(pages.summary_of_deletion(customer))
            service.remove(work(), customer, acting())
    return redirect(url_for(".deleted", **pages.list_args()), SEE_OTHER)


def _conflict(public_id: str) -> ResponseReturnValue:
    """Roll back this request's work and show the customer's newest state, with what
    was typed and what was changed meanwhile."""
    work().release()
    reload_login()
    customer = _customer(public_id)
    card = pages.describe(customer)
    deletes = request.form.get("act") == "delete"
    typed = {"formdata": None} if deletes else {}
    form = pages.edit_form(customer, card, **typed)
    seen = pages.tickets().signed(request.form.get("seen", ""))
    form.meet_conflict(seen)
    return pages.edit_page(customer, card, form, seen=seen), 409


def _require_newest(form: EditForm | DeleteForm, customer: Customer) -> None:
    if form.rev.data != str(customer.rev):
        raise service.Conflict


def _customer(public_id: str) -> Customer:
    customer = service.find(work().site, public_id)
    if customer is None:
        raise NotFound(public_id)
    return customer
