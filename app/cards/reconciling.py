"""Compares customers with cards and repairs what a crash between two commits can leave.

A crash between the two databases leaves at worst a card that no customer refers
to.  Such a card is removed when it is an hour old: by then nobody is still about
to refer to it, since tokens come fresh from a seal and are never taken up later.
Or a customer with the old expiry of a card whose new one was written first; the
card's is right.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.db import Work
from vault import Actor, Token, Vault
from vault.errors import IntegrityFault, UnknownToken

from .models import Customer

GRACE_SECONDS = 3600
PAGE = 500


def unreferred(
    work: Work, vault: Vault, now: int, by: Actor, applied: bool
) -> Iterator[str]:
    """Name the cards no customer refers to that are an hour old or older than
    ``now`` (seconds UTC); with ``applied`` each page's are deleted first."""
    after = 0
    while True:
        # The site's lock comes first: no customer is written while it is held.
        vault_db = work.vault_db
        page = vault.page_of_cards(vault_db, after, PAGE, keep=applied)
        if not page:
            work.release()
            return
        after = page[-1][0]
        old = {token for _, token, made_at in page if now - made_at >= GRACE_SECONDS}
        for token in sorted(old - _referred(work.site, old)):
            if applied:
                vault.delete(vault_db, Token(token), by)
            done = "removed" if applied else "no customer refers to it"
            yield f"{token}\t{done}"
        work.commit()


def without_card(work: Work, vault: Vault) -> Iterator[str]:
    """Name the customers whose card is not in the vault."""
    after = 0
    while True:
        query = select(Customer.id, Customer.public_id, Customer.token)
        query = query.where(Customer.id > after).order_by(Customer.id).limit(PAGE)
        page = work.site.execute(query).all()
        if not page:
            work.release()
            return
        after = page[-1].id
        missing = vault.missing(work.vault_db, [row.token for row in page])
        for row in page:
            if row.token in missing:
                yield f"{row.public_id}\t{row.token}\t{missing[row.token]}"
        work.release()


def unlike(
    work: Work, vault: Vault, now: int, by: Actor, applied: bool
) -> Iterator[str]:
    """Name the customers who are shown another expiry than their card has; with
    ``applied`` each is given the card's."""
    after = 0
    while True:
        query = select(Customer).where(Customer.id > after)
        # The site's lock comes first: no change is half done while it is held.
        vault_db = work.vault_db
        page = list(work.site.scalars(query.order_by(Customer.id).limit(PAGE)))
        if not page:
            work.release()
            return
        after = page[-1].id
        held = vault.expiries(vault_db, [customer.token for customer in page])
        for customer in page:
            if held.get(customer.token, customer.expiry) != customer.expiry:
                yield from _mend(vault, vault_db, customer, now, by, applied)
        work.commit()


def _mend(
    vault: Vault,
    vault_db: Connection,
    customer: Customer,
    now: int,
    by: Actor,
    applied: bool,
) -> Iterator[str]:
    try:
        expiry = vault.describe(vault_db, Token(customer.token)).expiry
    except (IntegrityFault, UnknownToken):
        return  # for verify to name, or deleted just now
    line = f"{customer.public_id}\t{customer.token}\texpiry {customer.expires}"
    line += f", its card's is {expiry}"
    if applied:
        detail = {"before": str(customer.expires), "after": str(expiry)}
        vault.record(
            vault_db, "customer.mended", by, subject=customer.token, detail=detail
        )
        customer.expiry, customer.updated_at = expiry.key, now
        customer.rev += 1
    yield line + (", mended" if applied else "")


def _referred(site: Session, tokens: set[str]) -> set[str]:
    query = select(Customer.token).where(Customer.token.in_(tokens))
    return set(site.scalars(query))
