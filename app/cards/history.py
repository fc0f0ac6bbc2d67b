"""Turns the trail's entries about one card into the rows of 変更履歴, one an act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.japan_time import japan_time
from vault import AuditEntry, Expiry
from vault.card.brands import MASK_CHARACTER, mask

from . import texts
from .models import ImportJob, ImportRow

COMMAND = "command"


@dataclass(frozen=True)
class Change:
    """One row of the history: Japan time, a person's name, Japanese words, and the
    fields before and after, each with its label."""

    when: str
    who: str
    what: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


def changes(entries: Iterable[AuditEntry], names: Mapping[str, str]) -> list[Change]:
    """The rows for those ``entries`` that concern an operator, in the same order;
    ``names`` are the operators' by login ID."""
    return [_change(act, names) for act in _acts(entries)]


def changed_last(entries: Iterable[AuditEntry]) -> frozenset[str]:
    """The labels of the fields the newest act changed; none for a registration."""
    acts = _acts(entries)
    if not acts or _is_new(acts[0][0]):
        return frozenset()
    before, after = _sides(acts[0], "before"), _sides(acts[0], "after")
    return frozenset(label for label in after if after[label] != before.get(label))


def _acts(entries: Iterable[AuditEntry]) -> list[list[AuditEntry]]:
    acts: list[list[AuditEntry]] = []
    for entry in entries:
        if entry.event not in texts.HISTORY_EVENTS:
            continue
        if acts and _is_of(acts[-1], entry):
            acts[-1].append(entry)
        else:
            acts.append([entry])
    return acts


def imported(site: Session, token: str, entries: Iterable[AuditEntry]) -> list[Change]:
    """The row about an import, for a customer whose card ``token``, or one it
    replaced, was imported.  The trail has one entry for each imported batch and none
    for a card."""
    tokens = {token} | {str(entry.detail.get("instead_of", "")) for entry in entries}
    query = select(ImportJob.created_at, ImportRow)
    query = query.join(ImportRow, ImportRow.job_id == ImportJob.id)
    query = query.where(ImportRow.token.in_(tokens - {""}))
    who = texts.ADMINISTRATOR_IMPORT
    return [
        Change(japan_time(at), who, (texts.IMPORTED,), (), _imported_card(row))
        for at, row in site.execute(query)
    ]


def who(entry: AuditEntry, names: Mapping[str, str]) -> str:
    """The person behind an entry: an operator's name with the login ID, or for a
    command 管理者, with what it was for where that is known.  An act that was cut off is
    its own person's, whoever recorded later that it failed."""
    begun_by = entry.detail.get("begun_by")
    if entry.origin == COMMAND and begun_by is None:
        return texts.ADMINISTRATORS.get(entry.event, texts.ADMINISTRATOR)
    return person(begun_by if isinstance(begun_by, str) else entry.actor, names)


def person(actor: str, names: Mapping[str, str]) -> str:
    """An operator's name with the login ID; for anyone without a name among ``names``,
    what the trail calls them."""
    name = names.get(actor)
    return f"{name}（{actor}）" if name else actor


def fields(entry: AuditEntry, side: str) -> dict[str, str]:
    """What an entry says of the customer and the card on one ``side``, "before" or
    "after", by the fields' labels."""
    said = {
        label: str(entry.detail[f"{field}_{side}"])
        for field, label in texts.HISTORY_FIELDS.items()
        if f"{field}_{side}" in entry.detail
    }
    card = str(entry.detail.get(side, ""))
    if card == "damaged row":
        return said | {texts.NUMBER: texts.DAMAGED_ROW}
    number, _, expiry = card.rpartition(" ")
    if MASK_CHARACTER in expiry:
        number, expiry = expiry, ""
    shown = {texts.NUMBER: number, texts.EXPIRY: expiry}
    return said | {label: text for label, text in shown.items() if text}


def _is_of(act: list[AuditEntry], entry: AuditEntry) -> bool:
    """Say whether ``entry`` was written by the request that wrote ``act``: one request
    appends its entries together, and none of a kind twice."""
    last = act[-1]
    return (
        abs(last.seq - entry.seq) == 1
        and (last.actor, last.origin) == (entry.actor, entry.origin)
        and last.outcome == entry.outcome
        and entry.event not in {one.event for one in act}
        and _is_new(last) == _is_new(entry)
    )


def _is_new(entry: AuditEntry) -> bool:
    """Say whether an entry is about a customer's registration."""
    new_card = entry.event == "card.registered" and "instead_of" not in entry.detail
    return new_card or entry.event == "customer.registered"


def _change(act: list[AuditEntry], names: Mapping[str, str]) -> Change:
    # Newest first, so the entry about the customer comes before the one of the card.
    words = dict.fromkeys(texts.HISTORY_EVENTS[entry.event] for entry in act)
    new = _is_new(act[0]) and len(act) > 1
    end = texts.NOT_SAVED if act[0].outcome == "failure" else ""
    return Change(
        when=japan_time(act[0].at),
        who=who(act[0], names),
        what=tuple(f"{word}{end}" for word in ((texts.REGISTERED,) if new else words)),
        before=_lines(_sides(act, "before")),
        after=_lines(_sides(act, "after")),
    )


def _sides(act: list[AuditEntry], side: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for entry in act:
        said |= fields(entry, side)
    return said


def _lines(said: Mapping[str, str]) -> tuple[str, ...]:
    order = (texts.NAME, texts.PHONE, texts.NUMBER, texts.EXPIRY)
    return tuple(f"{label}：{said[label]}" for label in order if label in said)


def _imported_card(row: ImportRow) -> tuple[str, ...]:
    if not row.expiry:
        return ()
    number = mask(row.prefix, row.last4, row.length)
    expiry = str(Expiry.from_key(row.expiry))
    return _lines({texts.NUMBER: number, texts.EXPIRY: expiry})
