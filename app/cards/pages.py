"""Makes the card pages: builds their forms and fills their templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import render_template, request, url_for

from app import current, japan_time
from app.auth import LONGEST_SECONDS, acting, current_login, mark_of, names_of
from app.db import work
from vault import Card, Token
from vault.card.brands import BRAND_LABELS

from . import conflict, history, service, texts
from .conflict import Shown, shown_of
from .forms import CardForm, DeleteForm, EditForm
from .models import Customer
from .script_rules import script_rules
from .search import listing
from .search.listed import Listed
from .search.query import SOON_MONTHS, STOPPED, Query
from .tickets import Tickets


def badges(now: int) -> Callable[[Customer | Listed], str]:
    """What tells 期限切れ, 期限間近 (this month or the next) or nothing of a customer's
    card at ``now``."""
    this_month = japan_time.month_key(now)
    last_soon = japan_time.month_key(now, later=SOON_MONTHS - 1)

    def badge(customer: Customer | Listed) -> str:
        if customer.expiry < this_month:
            return texts.EXPIRED
        return texts.EXPIRES_SOON if customer.expiry <= last_soon else ""

    return badge


def tickets() -> Tickets:
    """The form tickets of this login."""
    keys = [*current.settings().secret_key_fallbacks, current.settings().secret_key]
    return Tickets(keys, str(current_login().id))


def operator_mark() -> str:
    """What the browser keeps beside typed text, so that nobody else gets it back."""
    return mark_of(current.settings().secret_key, current_login().person)


def login_ends() -> dict[str, Any]:
    """When this login ends however much is done: ``seconds`` from now, and ``at``
    (hours and minutes in Japan)."""
    ends = current_login().created_at + LONGEST_SECONDS
    return {
        "seconds": ends - current.now(),
        "at": japan_time.japan_time(ends).partition(" ")[2],
    }


def describe(customer: Customer) -> Card | str:
    """The customer's card, or the text that says why the vault can't describe it."""
    return service.describe(current.vault(), work().vault_db, customer)


def list_args() -> dict[str, Any]:
    """The list's parameters in this page's address, for 戻る to keep."""
    return Query.read(request.args).args()


def card_form() -> CardForm:
    """The form of a new card, filled with what was sent."""
    return CardForm(now=current.now(), luhn_exempt=_luhn_exempt(), tickets=tickets())


def edit_form(customer: Customer, card: Card | str, **kwargs: Any) -> EditForm:
    """The form of a stored card, filled with what was sent unless ``formdata=None``."""
    return EditForm(
        customer,
        problem_of_card=card if isinstance(card, str) else "",
        now=current.now(),
        luhn_exempt=_luhn_exempt(),
        tickets=tickets(),
        **kwargs,
    )


def delete_form(customer: Customer) -> DeleteForm:
    """The empty deletion form beside the edit form."""
    shown = tickets().sign(shown_of(customer))
    data = {"rev": customer.rev, "seen": shown}
    return DeleteForm(formdata=None, data=data, tickets=tickets())


def find() -> listing.Page:
    """The page of the list that this page's address asks for."""
    query = Query.read(request.args)
    return listing.find(work().site, query, current.now())


def list_page(form: CardForm, found: listing.Page) -> str:
    """The list with its search, and ``form`` below it."""
    at = current.now()
    counts = listing.counts(work().site, found.query, at)
    return render_template(
        "cards/index.html",
        form=form,
        rules=script_rules(form),
        query=found.query,
        found=found,
        counts=counts,
        gone=service.gone(current.vault(), found.customers),
        badge=badges(at),
        edit=_edit_links(found.query),
        brands=BRAND_LABELS,
        filters=_filters(found.query, counts),
        texts=texts,
    )


def _edit_links(query: Query) -> Callable[[Listed], str]:
    """The address of a customer's edit page, with the list's parameters: they and the
    rest of it are the same for every row, and made once."""
    anyone = "anyone"
    before, _, after = url_for(
        "cards.edit", public_id=anyone, **query.args()
    ).partition(anyone)
    return lambda customer: f"{before}{customer.public_id}{after}"


def _filters(query: Query, counts: listing.Counts) -> dict[str, str]:
    """The words of the list's filters.  要確認 is one of them while a customer is marked
    so."""
    filters = {"soon": texts.EXPIRES_SOON, "expired": texts.EXPIRED}
    if counts.stopped or query.expiry == STOPPED:
        filters[STOPPED] = texts.STOPPED
    return filters


def edit_page(
    customer: Customer,
    card: Card | str,
    form: EditForm,
    deletion: DeleteForm | None = None,
    seen: Shown | None = None,
) -> str:
    """The edit page with its two forms and the history.  After a conflict it tells
    what was changed since ``seen`` was shown."""
    entries = current.vault().history(work().vault_db, Token(customer.token))
    names = names_of(work().site, (entry.actor for entry in entries))
    # The history is a part of the trail, so viewing it is recorded (PCI DSS 10.2.1.3).
    work().record("audit.viewed", acting(), subject=customer.token)
    return render_template(
        "cards/edit.html",
        customer=customer,
        problem=card if isinstance(card, str) else "",
        form=form,
        differences=conflict.differences(
            seen or {}, shown_of(customer), entries, names
        ),
        rules=script_rules(form),
        deletion=deletion or delete_form(customer),
        changes=history.changes(entries, names)
        + history.imported(work().site, customer.token, entries),
        badge=badges(current.now())(customer),
        back=list_args(),
        brands=BRAND_LABELS,
        texts=texts,
    )


def done_page(template: str, customer: Customer) -> str:
    """A completion page, with a warning for every card that looks the same."""
    likely = service.likely(
        work().site, customer.prefix, customer.last4, customer.expiry, but=customer
    )
    why_gone = service.gone(current.vault(), [customer]).get(customer.token, "")
    entries = current.vault().history(work().vault_db, Token(customer.token))
    return render_template(
        template,
        summary=service.summary(customer, why_gone) | _shown_after(customer, why_gone),
        changed=history.changed_last(entries),
        at=japan_time.japan_time(customer.updated_at),
        warnings=[warning(other, customer) for other in likely],
        same=any(_is_same(customer, other) for other in likely),
        row=customer.public_id,
        texts=texts,
        back=list_args(),
    )


def _shown_after(customer: Customer, why_gone: str) -> dict[str, str]:
    """What a completion page shows after the manual's rows."""
    if why_gone:
        return {}
    brand = BRAND_LABELS[customer.brand]
    return {texts.EXPIRY: str(customer.expires), texts.BRAND: brand}


def summary_of_deletion(customer: Customer) -> dict[str, str]:
    """What is kept for a day of a customer who is being deleted, with who does it and
    when."""
    person = acting().name
    return service.summary(customer) | {
        texts.DELETED_AT: japan_time.japan_time(current.now()),
        texts.PERSON: history.person(person, names_of(work().site, [person])),
    }


def deleted_page(summary: dict[str, str]) -> str:
    """The completion page of a deletion, with its ``summary``."""
    last = (texts.DELETED_AT, texts.PERSON)
    return render_template(
        "cards/deleted.html",
        summary={label: said for label, said in summary.items() if label not in last},
        slip={label: summary[label] for label in last if label in summary},
        back=list_args(),
    )


def not_found_page(public_id: str) -> str:
    """The page for an address of no customer: unknown, made up, or of one that was
    deleted, by whom it says."""
    advice, deletion = texts.NOT_FOUND_ADVICE, {}
    if service.may_name_a_customer(public_id):
        deletion = Tickets.deletion_of(work().site, public_id)
    if texts.PERSON in deletion:
        person, at = deletion[texts.PERSON], deletion[texts.DELETED_AT]
        advice = texts.deleted_by(person, at)
    if request.method == "POST":
        advice += texts.NOTHING_DONE
    return render_template(
        "errors/error.html",
        code=404,
        heading=texts.NOT_FOUND,
        advice=advice + texts.CHOOSE_AGAIN,
        known=True,
        back=url_for("cards.index", **list_args()),
    )


def warning(customer: Customer, besides: Customer | None = None) -> dict[str, str]:
    """The warning that ``customer`` has a similar card, their page's address, and what
    tells whether it is the same person: ``besides``, whose card was just stored."""
    day = japan_time.japan_date(customer.created_at)
    return {
        "text": texts.likeness(customer.name, besides=besides is not None),
        "registered": texts.registered_on(customer.phone, day),
        "url": url_for("cards.edit", public_id=customer.public_id),
        "name": customer.name,
        "phone": customer.phone_digits,
    }


def _is_same(customer: Customer, other: Customer) -> bool:
    return (
        customer.name_folded == other.name_folded
        or customer.phone_digits == other.phone_digits
    )


def _luhn_exempt() -> frozenset[str]:
    return frozenset({"unionpay"} if current.settings().luhn_exempt_unionpay else ())
