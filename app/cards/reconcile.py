"""Compares customers with cards and repairs what a crash between two commits can leave.

- A card that no customer refers to is deleted when it is an hour old, because the
  request that made it has ended by then.
- A customer whose stored expiry is older than the card's gets the card's expiry.
- A change that the trail tells of and that was not saved is recorded as failed.

It reads a page at a time without a lock, and checks again what looks wrong, because a
request may have been between its two commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db import Work
from vault import Actor, AuditEntry, Expiry, Token, Vault
from vault.errors import IntegrityFault, UnknownToken

from . import unsaved
from .models import Customer
from .service import DELETING

GRACE_SECONDS = 3600
PAGE = 500
# A few crashes may leave so many cards.  More are removed only with their exact number.
FEW = 20
DID = {unsaved.REGISTERED: "registered", unsaved.UPDATED: "changed"}


@dataclass(frozen=True)
class Orphan:
    """A card no customer refers to: its token, when it was sealed (seconds UTC),
    whether it is ``young``, under an hour old, who was ``deleting`` its customer, or
    "", and the entries about its customer that were not saved."""

    token: str
    made_at: int
    young: bool
    deleting: str
    unsaved: list[AuditEntry]

    def line(self, done: str = "no customer refers to it") -> str:
        """The line that names the card, with what was ``done``."""
        begun = f", {self.deleting} was deleting its customer" if self.deleting else ""
        if self.unsaved and not begun:
            begun = (
                f", {self.unsaved[0].actor} {DID[self.unsaved[0].event]} its customer"
            )
        left = "; under an hour old, left alone" if self.young else ""
        return f"{self.token}\t{done}{begun}{left}"


def orphans(work: Work, vault: Vault, now: int) -> list[Orphan]:
    """The cards that no customer refers to at ``now`` (seconds UTC), in the order of
    their registration."""
    found: list[Orphan] = []
    after = 0
    while page := vault.page_of_cards(work.vault_db, after, PAGE):
        after = page[-1][0]
        # Read the customers after the cards: a card is committed before its customer.
        alone = _orphan_tokens(work.site, [token for _, token, _ in page])
        work.release()
        made = {token: made_at for _, token, made_at in page if token in alone}
        still = _still_alone(work, vault, list(made))
        told = unsaved.of_orphans(vault, work.vault_db, still)
        for token in still:
            young = now - made[token] < GRACE_SECONDS
            deleting = _who_was_deleting(work, vault, token)
            found.append(
                Orphan(token, made[token], young, deleting, told.get(token, []))
            )
        work.release()
    work.release()
    return found


def looks_older(work: Work, times: Iterable[int]) -> bool:
    """Say whether the site's database looks like a restored older one: several of the
    ``times`` (seconds UTC), of cards without a customer and of changes that were not
    saved, are newer than everything in it.  One alone may have been left by a crash."""
    newest = work.site.scalar(select(func.coalesce(func.max(Customer.updated_at), 0)))
    work.release()
    return sum(at > (newest or 0) for at in times) > 1


def remove(
    work: Work, vault: Vault, found: Sequence[Orphan], by: Actor
) -> Iterator[str]:
    """Delete the cards of ``found``, a page in a transaction, and name each."""
    for begins in range(0, len(found), PAGE):
        page = found[begins : begins + PAGE]
        work.write()
        alone = _orphan_tokens(work.site, [one.token for one in page])
        done = [one for one in page if one.token in alone]
        lines = [one.line("removed") for one in done if _remove(work, vault, one, by)]
        work.commit()
        yield from lines


def without_card(work: Work, vault: Vault) -> Iterator[str]:
    """Name the customers whose card is not in the vault."""
    after = 0
    query = select(Customer.id, Customer.public_id, Customer.token)
    query = query.order_by(Customer.id).limit(PAGE)
    while page := work.site.execute(query.where(Customer.id > after)).all():
        after = page[-1].id
        missing = vault.missing(work.vault_db, [row.token for row in page])
        work.release()
        # A deletion removes the customer first, so a customer who still has a token
        # here has lost the card.
        kept = select(Customer.token).where(Customer.token.in_(list(missing)))
        still = set(work.site.scalars(kept)) if missing else set()
        work.release()
        for row in page:
            if row.token in still:
                yield f"{row.public_id}\t{row.token}\t{missing[row.token]}"
    work.release()


def other_expiries(
    work: Work, vault: Vault, now: int, by: Actor, applied: bool
) -> Iterator[str]:
    """Name the customers whose stored expiry is not their card's; with ``applied`` each
    is given the card's."""
    after = 0
    query = select(Customer.id, Customer.token, Customer.expiry)
    query = query.order_by(Customer.id).limit(PAGE)
    while page := work.site.execute(query.where(Customer.id > after)).all():
        after = page[-1].id
        held = vault.expiries(work.vault_db, [row.token for row in page])
        work.release()
        for row in page:
            if held.get(row.token, row.expiry) != row.expiry:
                yield from _other_expiry(work, vault, row.id, now, by, applied)
    work.release()


def _other_expiry(
    work: Work, vault: Vault, number: int, now: int, by: Actor, applied: bool
) -> Iterator[str]:
    """Check a customer again under a lock, so that no change of it is half done."""
    work.write()
    query = select(Customer).where(Customer.id == number).with_for_update()
    customer = work.site.scalar(query)
    expiry = _expiry(work, vault, customer) if customer else None
    if customer is None or expiry is None or expiry == customer.expires:
        work.release()
        return
    line = f"{customer.public_id}\t{customer.token}\texpiry {customer.expires}"
    line += f", its card's is {expiry}"
    if applied:
        unsaved.tell(work, [customer], by)  # while its rev still shows it
        detail = {"before": str(customer.expires), "after": str(expiry)}
        work.record("customer.mended", by, subject=customer.token, detail=detail)
        customer.expiry, customer.updated_at = expiry.key, now
        customer.rev += 1
        work.commit()
    else:
        work.release()
    yield line + (", mended" if applied else "")


def _expiry(work: Work, vault: Vault, customer: Customer) -> Expiry | None:
    try:
        return vault.describe(work.vault_db, Token(customer.token)).expiry
    except (IntegrityFault, UnknownToken):
        return None  # the card is damaged, which verify reports, or was just deleted


def _still_alone(work: Work, vault: Vault, tokens: Sequence[str]) -> list[str]:
    """Those of ``tokens`` that name a card without a customer, checked while the site's
    database keeps other requests out."""
    if not tokens:
        return []
    work.write()
    work.site.connection()
    alone = _orphan_tokens(work.site, tokens)
    gone = vault.missing(work.vault_db, tokens)
    work.release()
    return [token for token in tokens if token in alone and token not in gone]


def _who_was_deleting(work: Work, vault: Vault, token: str) -> str:
    entries = vault.history(work.vault_db, Token(token))
    return next((entry.actor for entry in entries if entry.event == DELETING), "")


def _remove(work: Work, vault: Vault, orphan: Orphan, by: Actor) -> bool:
    """Delete a card.  If the deletion of its customer was cut off, record that it is
    done now; if the registration or change was, that it failed."""
    token = Token(orphan.token)
    try:
        vault.delete(work.vault_db, token, by)
    except UnknownToken:  # deleted just now
        return False
    if orphan.deleting:
        detail = {"begun_by": orphan.deleting}
        vault.record(
            work.vault_db, "customer.deleted", by, subject=token, detail=detail
        )
    for entry in [] if orphan.deleting else orphan.unsaved:
        unsaved.record_failed(work, entry, by)
    return True


def _orphan_tokens(site: Session, tokens: Sequence[str]) -> set[str]:
    query = select(Customer.token).where(Customer.token.in_(tokens))
    return set(tokens) - set(site.scalars(query))
