"""Turns the trail's entries about one card into lines of 変更履歴."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.japan_time import japan_time
from vault import AuditEntry

from . import texts
from .models import ImportJob, ImportRow


@dataclass(frozen=True)
class Change:
    """One line of the history: Japan time, login ID, and Japanese words."""

    when: str
    who: str
    what: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def changes(entries: Iterable[AuditEntry]) -> list[Change]:
    """The lines for those ``entries`` that concern an operator, in the same order."""
    return [_change(entry) for entry in entries if entry.event in texts.HISTORY_EVENTS]


def imported(site: Session, token: str, entries: Iterable[AuditEntry]) -> list[Change]:
    """The line about an import, for a customer whose card ``token``, or one it
    replaced, was imported.  The trail has one entry for each imported batch and none
    for a card."""
    tokens = {token} | {str(entry.detail.get("instead_of", "")) for entry in entries}
    query = select(ImportJob).join(ImportRow, ImportRow.job_id == ImportJob.id)
    return [
        Change(japan_time(job.created_at), job.created_by, texts.IMPORTED, (), ())
        for job in site.scalars(query.where(ImportRow.token.in_(tokens - {""})))
    ]


def _change(entry: AuditEntry) -> Change:
    return Change(
        when=japan_time(entry.at),
        who=entry.actor,
        what=texts.HISTORY_EVENTS[entry.event] + _outcome(entry),
        before=_side(entry, "before"),
        after=_side(entry, "after"),
    )


def _outcome(entry: AuditEntry) -> str:
    return texts.NOT_SAVED if entry.outcome == "failure" else ""


def _side(entry: AuditEntry, side: str) -> tuple[str, ...]:
    card = str(entry.detail.get(side, "")).replace("damaged row", texts.DAMAGED_ROW)
    named = (
        f"{label}：{entry.detail[f'{field}_{side}']}"
        for field, label in texts.HISTORY_FIELDS.items()
        if f"{field}_{side}" in entry.detail
    )
    return tuple(line for line in (card, *named) if line)
