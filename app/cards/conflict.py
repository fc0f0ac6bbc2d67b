"""Tells what another operator changed in a customer since a form was shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.japan_time import japan_time
from vault import AuditEntry

from . import history, texts
from .models import Customer

Shown = Mapping[str, str]


def shown_of(customer: Customer) -> dict[str, str]:
    """What a form shows of a customer, by the fields' labels; it goes along with the
    form, so that its answer can tell what was changed since."""
    return {
        texts.NAME: customer.name,
        texts.PHONE: customer.phone,
        texts.NUMBER: customer.masked,
        texts.EXPIRY: str(customer.expires),
    }


def differences(
    before: Shown,
    after: Shown,
    entries: Iterable[AuditEntry],
    names: Mapping[str, str],
) -> list[str]:
    """A line for each field that differs ``before`` and ``after``, with who changed it
    last and when.  ``entries`` are the customer's, newest first, ``names`` the
    operators' by login ID."""
    known = list(entries)
    return [
        texts.changed(label, before[label], now, _last_to_change(label, known, names))
        for label, now in after.items()
        if before.get(label, now) != now
    ]


def _last_to_change(
    label: str, entries: Iterable[AuditEntry], names: Mapping[str, str]
) -> str:
    for entry in entries:
        said = history.fields(entry, "after").get(label)
        if said is not None and said != history.fields(entry, "before").get(label):
            return f"{history.who(entry, names)}、{japan_time(entry.at)}"
    return ""
