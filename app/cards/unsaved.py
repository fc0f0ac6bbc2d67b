"""Finds changes and registrations that the trail tells of and that were not saved.

The vault commits before the site does, and with it the trail's entry.  A process that is
killed between the two leaves an entry of what was not done.  Such an entry is followed
by one that it failed, at the customer's next change or by ``cards reconcile``.  A change
of a customer is known not to be saved by its ``rev``, which is newer than the row's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from app.db import Work
from app.japan_time import japan_time
from vault import Actor, AuditEntry, Vault

from .models import Customer

UPDATED, REGISTERED = "customer.updated", "customer.registered"
PAGE = 500


@dataclass(frozen=True)
class Change:
    """A change that was not saved: the customer's number in the site's database, and
    the entry that tells of it."""

    customer: int
    entry: AuditEntry


def changes(work: Work, vault: Vault) -> list[Change]:
    """The changes of name or telephone number that were not saved, in the customers'
    order.  It reads a page at a time without a lock, and checks again under one what
    looks unsaved, because a request may have been between its two commits."""
    found: list[Change] = []
    after = 0
    query = select(Customer.id, Customer.token, Customer.rev)
    query = query.order_by(Customer.id).limit(PAGE)
    while page := work.site.execute(query.where(Customer.id > after)).all():
        after = page[-1].id
        revs = {row.token: row.rev for row in page}
        told = _told(vault, work.vault_db, revs)
        work.release()
        numbers = [row.id for row in page if row.token in told]
        found += [change for one in numbers for change in _held(work, vault, one)]
    work.release()
    return found


def record_changes(work: Work, found: Collection[Change], by: Actor) -> Iterator[str]:
    """Record of each of ``found`` that it failed, unless somebody did so meanwhile, and
    name it."""
    for change in found:
        if customer := _hold(work, change.customer):
            tell(work, [customer], by)
        work.commit()
        yield from lines(work, [change], ", recorded")


def lines(work: Work, found: Collection[Change], done: str = "") -> Iterator[str]:
    """A line for each of ``found``, with what was ``done``."""
    for change in found:
        entry = change.entry
        kept = select(Customer.public_id).where(Customer.id == change.customer)
        public_id = work.site.scalar(kept) or ""
        work.release()
        when = japan_time(entry.at)
        what = f"the change by {entry.actor} at {when} was not saved"
        yield f"{public_id}\t{entry.subject}\t{what}{done}"


def tell(work: Work, customers: Iterable[Customer], by: Actor) -> None:
    """Record of each customer that the newest change the trail tells of failed, if it
    was not saved.  The caller holds the locks on their rows, so that no other request
    is between its two commits."""
    revs = {customer.token: customer.rev for customer in customers}
    for entry in _told(work.vault, work.vault_db, revs).values():
        record_failed(work, entry, by)


def record_failed(work: Work, entry: AuditEntry, by: Actor) -> None:
    """Record that what ``entry`` tells of was not saved, and who had begun it."""
    work.vault.record(
        work.vault_db,
        entry.event,
        by,
        outcome="failure",
        subject=entry.subject,
        detail={"begun_by": entry.actor},
    )


def of_orphans(
    vault: Vault, db: Connection, tokens: Collection[str]
) -> dict[str, list[AuditEntry]]:
    """By token the entries that tell of a customer's registration or change and were
    not saved: those about the cards ``tokens``, which no customer refers to, except
    cards in whose place newer ones were sealed."""
    told = [
        entry
        for event in (REGISTERED, UPDATED)
        for entry in vault.latest(db, tokens, event).values()
        if entry.outcome == "success"
    ]
    if not told:
        return {}
    replaced = vault.replaced_since(db, min(entry.seq for entry in told))
    found: dict[str, list[AuditEntry]] = {}
    for entry in told:
        if entry.subject not in replaced:
            found.setdefault(entry.subject, []).append(entry)
    return found


def _told(
    vault: Vault, db: Connection, revs: Mapping[str, int]
) -> dict[str, AuditEntry]:
    """The entries about changes that were not saved, of customers with these tokens at
    these ``revs``."""
    newest = vault.latest(db, revs, UPDATED)
    return {
        token: entry
        for token, entry in newest.items()
        if entry.outcome == "success" and _rev(entry) > revs[token]
    }


def _rev(entry: AuditEntry) -> int:
    rev = entry.detail.get("customer_rev")
    return rev if isinstance(rev, int) else 0  # an older version of the site's


def _held(work: Work, vault: Vault, number: int) -> Iterator[Change]:
    customer = _hold(work, number)
    if customer is not None:
        told = _told(vault, work.vault_db, {customer.token: customer.rev})
        yield from (Change(number, entry) for entry in told.values())
    work.release()


def _hold(work: Work, number: int) -> Customer | None:
    work.write()
    query = select(Customer).where(Customer.id == number).with_for_update()
    return work.site.scalar(query)
