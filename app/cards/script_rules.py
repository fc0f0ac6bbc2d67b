"""Hands the rules of the card forms to the script, so that it finds the same faults
before anything is sent.

The script reads them from one attribute of the form.  Every table and text is the
server's own; what the script does with them is compared with the forms by a test.
"""

from __future__ import annotations

from typing import Any

from app.japan_time import month_key
from vault.card.brands import BRANDS
from vault.card.expiry import MAX_YEARS_AHEAD
from vault.card.pan import FOLD, HYPHENS, UNSEEN

from . import rules, texts
from .forms import CardForm, EditForm
from .typed import BLANKS, PHONE_FORMS, shown


def script_rules(form: CardForm) -> dict[str, Any]:
    """What the script needs to check ``form``, ready for JSON.

    ``month`` is the present month in Japan as YYYYMM, because the clock of the
    operator's computer may be wrong; ``stored`` is there on the edit page alone.
    """
    handed: dict[str, Any] = {
        "month": month_key(form.now),
        "years": MAX_YEARS_AHEAD,
        "signs": "".join(chr(sign) for sign, kept in FOLD.items() if kept is None),
        "hyphens": HYPHENS,
        "blanks": BLANKS,
        "unseen": UNSEEN,
        "name": {
            "most": rules.MAX_NAME,
            "digits": rules.CARD_DIGITS,
            "group": rules.LONE_GROUP.pattern,
            "code": rules.SECURITY_CODE.pattern,
        },
        "phone": {"form": rules.PHONE.pattern, "ways": _phone_ways()},
        "brands": _brands(form.luhn_exempt),
        "texts": _texts(),
    }
    if isinstance(form, EditForm):
        handed["texts"]["number_needed"] = form.number_needed
        handed["stored"] = _stored(form)
    return handed


def _phone_ways() -> list[tuple[str, str]]:
    """The other ways to write a telephone number, each with what replaces it there;
    JavaScript writes a group as $1."""
    return [(way.pattern, written.replace("\\", "$")) for way, written in PHONE_FORMS]


def _brands(luhn_exempt: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "label": brand.label,
            "prefixes": brand.prefixes,
            "lengths": sorted(brand.lengths),
            "luhn": brand.name not in luhn_exempt,
        }
        for brand in BRANDS
    ]


def _stored(form: EditForm) -> dict[str, Any]:
    """What the customer has now, and whether the card and its expiry can be kept."""
    customer = form.customer
    return {
        "name": shown(customer.name),
        "phone": shown(customer.phone),
        "expiry": customer.expiry,
        "over": form.renew or customer.expires.is_over(form.now),
        "readable": form.readable,
    }


def _texts() -> dict[str, Any]:
    return {
        "error": texts.ERROR_TITLE,
        "summary": texts.SUMMARY,
        "name_empty": texts.NAME_EMPTY,
        "name_long": texts.NAME_LONG,
        "name_characters": texts.NAME_CHARACTERS,
        "name_digits": texts.NAME_DIGITS,
        "phone_empty": texts.PHONE_EMPTY,
        "phone_form": texts.PHONE_FORM,
        "number": texts.NUMBER_REASONS,
        "expiry": texts.EXPIRY_REASONS,
        "expiry_needed": texts.EXPIRY_NEEDED,
        "unchanged": texts.UNCHANGED,
        "same_customer": texts.SAME_CUSTOMER,
        "typed_is_back": texts.TYPED_IS_BACK,
    }
