"""Registers, changes and deletes customers with their cards, in the vault and the site.

No function here commits; ``Work.commit`` commits the vault, then the site.  ``change``
and ``remove`` leave deleting a card to a transaction of the vault after both commits,
so that a crash leaves at worst a card that no customer refers to.  Lock order: the
customer's row, then the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.orm import Session

from app.db import Work
from vault import Actor, Card, Expiry, Pan, Token, Vault
from vault.card.token import ALL, Share, random_letters, sorted_words
from vault.errors import IntegrityFault, UnknownToken
from vault.store.database import reading
from vault.store.sqlite import checkpoint

from . import texts, unsaved
from .models import Customer
from .search import index
from .search.listed import Listed
from .typed import digits_of, search_key

PUBLIC_ID_LETTERS = 24
MAX_LIKELY = 3
DELETING = "customer.deleting"


class Conflict(Exception):
    """Another request changed or deleted the customer first."""


class NewCard(NamedTuple):
    """A new customer with their card, checked."""

    name: str
    phone: str
    pan: Pan
    expiry: Expiry


@dataclass(frozen=True)
class CardChange:
    """What a customer is to be changed to, checked; None keeps what is stored."""

    name: str
    phone: str
    pan: Pan | None
    expiry: Expiry | None


def new_public_id() -> str:
    """A random name for a customer in addresses (104 bits, no digit)."""
    return random_letters(PUBLIC_ID_LETTERS)


def new_public_ids(count: int, share: Share = ALL) -> list[str]:
    """``count`` of them, drawn at once, as ``sorted_words`` draws them."""
    return sorted_words(count, PUBLIC_ID_LETTERS, share)


def register(unit: Work, new: NewCard, public_id: str, by: Actor, now: int) -> Customer:
    """Seal a new customer's card, then write the customer."""
    token = unit.vault.tokenize(unit.vault_db, new.pan, new.expiry, by)
    values = new_customer(new, token, public_id, by, now)
    customer = Customer(**values)
    unit.site.add(customer)
    unit.site.flush()
    index.add(unit.site, [index.row_of(customer.id, values)])
    detail = {"name_after": new.name, "phone_after": new.phone}
    unit.vault.record(
        unit.vault_db, unsaved.REGISTERED, by, subject=token, detail=detail
    )
    _tell_unless(
        unit,
        lambda site: find(site, public_id) is not None,
        (unsaved.REGISTERED, by, token),
    )
    return customer


def _tell_unless(
    unit: Work, is_saved: Callable[[Session], bool], told: tuple[str, Actor, Token]
) -> None:
    """Record the entry that was ``told``, event, actor and subject, once more as failed
    if the site's commit fails."""
    event, by, token = told

    def tell(db: Connection) -> None:
        unit.vault.record(db, event, by, outcome="failure", subject=token)

    unit.unless_saved(is_saved, tell)


def new_customer(
    new: NewCard, token: Token, public_id: str, by: Actor, now: int
) -> dict[str, Any]:
    """A new customer's row."""
    return {
        "public_id": public_id,
        "token": token,
        "rev": 1,
        "created_at": now,
        "updated_at": now,
        "created_by": by.name,
        **text_columns(new.name, new.phone),
        **mask_columns(new.pan),
        "expiry": new.expiry.key,
    }


def change(
    unit: Work, customer: Customer, entered: CardChange, by: Actor, now: int
) -> None:
    """Write an operator's changes to the ``customer`` they were shown.  A card that is
    replaced is deleted after both commits.

    Raises Conflict when the customer, or the card, is no longer as loaded.
    """
    _hold(unit, customer, by)
    token, replaced = Token(customer.token), None
    values = {**text_columns(entered.name, entered.phone), "rev": customer.rev + 1}
    expiry = entered.expiry or customer.expires
    if entered.pan:
        token, replaced = _replace(unit, token, entered.pan, expiry, by)
        values |= {"token": token, "stopped_at": None, **mask_columns(entered.pan)}
    elif expiry != customer.expires:
        try:
            unit.vault.set_expiry(unit.vault_db, token, expiry, by)
        except UnknownToken:  # purged just now
            raise Conflict from None
    detail = told_changes(customer, entered)
    if detail:
        unit.vault.record(
            unit.vault_db, unsaved.UPDATED, by, subject=token, detail=detail
        )
        shown, rev = customer.id, customer.rev
        _tell_unless(
            unit,
            lambda site: site.get_one(Customer, shown).rev != rev,
            (unsaved.UPDATED, by, token),
        )
    values |= {"expiry": expiry.key, "updated_at": now}
    indexed = {"last4": customer.last4, **values}
    index.add(unit.site, [index.row_of(customer.id, indexed)])
    _overwrite(unit.site, customer, values)
    if replaced is not None:
        old = replaced
        _delete_after_commit(unit, lambda db: unit.vault.delete(db, old, by))


def remove(unit: Work, customer: Customer, by: Actor) -> None:
    """Record that a customer is being deleted, and delete it.

    After both commits the card is deleted and the trail records that it is done; after
    a crash before that the trail says who was deleting the customer.  Raises Conflict
    when the customer is no longer as loaded.
    """
    _hold(unit, customer, by)
    vault, token = unit.vault, Token(customer.token)
    detail = {"name_before": customer.name, "phone_before": customer.phone}
    vault.record(unit.vault_db, DELETING, by, subject=token, detail=detail)
    index.remove(unit.site, customer.id)
    unit.site.execute(delete(Customer).where(Customer.id == customer.id))

    def finish(db: Connection) -> None:
        with suppress(UnknownToken):  # purged earlier: there is nothing left to delete
            vault.delete(db, token, by)
        vault.record(db, "customer.deleted", by, subject=token, detail=detail)

    _delete_after_commit(unit, finish)


def _delete_after_commit(unit: Work, act: Callable[[Connection], object]) -> None:
    """Let ``act`` delete a card after both commits, then empty SQLite's log, so that
    the envelope is in no file."""
    unit.then_in_vault(act)
    unit.after_commit(lambda: checkpoint(unit.vault.engine))


def may_name_a_customer(public_id: str) -> bool:
    """Say whether this part of an address has the form of a customer's name there."""
    # PostgreSQL refuses a NUL in a query.
    return public_id.isascii() and public_id.isalpha()


def find(site: Session, public_id: str) -> Customer | None:
    """The customer an address names."""
    if not may_name_a_customer(public_id):
        return None
    return site.scalar(select(Customer).where(Customer.public_id == public_id))


def describe(vault: Vault, vault_db: Connection, customer: Customer) -> Card | str:
    """The customer's card as the vault has it, or why the vault can't describe it: a
    key of ``texts.CARD_PROBLEMS``."""
    token = Token(customer.token)
    try:
        return vault.describe(vault_db, token)
    except IntegrityFault:
        return "damaged"
    except UnknownToken:
        return vault.missing(vault_db, [token])[token]


def gone(vault: Vault, customers: Iterable[Customer | Listed]) -> dict[str, str]:
    """Those of ``customers``' tokens whose card no longer exists, with the reason."""
    with reading(vault.engine) as vault_db:
        return vault.missing(vault_db, [customer.token for customer in customers])


def summary(customer: Customer, why_gone: str = "") -> dict[str, str]:
    """What a completion page shows of a customer; ``why_gone`` is set when the card no
    longer exists."""
    return {
        texts.NAME: customer.name,
        texts.PHONE: customer.phone,
        texts.NUMBER: texts.number_of(customer.masked, why_gone),
    }


def likely(
    site: Session, prefix: str, last4: str, expiry: int, *, but: Customer | None = None
) -> list[Customer]:
    """Customers (at most three, newest first) whose cards look the same; with
    ``but``, of its brand and not itself."""
    query = select(Customer).where(
        Customer.last4 == last4, Customer.prefix == prefix, Customer.expiry == expiry
    )
    if but is not None:
        query = query.where(Customer.id != but.id, Customer.brand == but.brand)
    return list(site.scalars(query.order_by(Customer.id.desc()).limit(MAX_LIKELY)))


def _replace(
    unit: Work, old: Token, pan: Pan, expiry: Expiry, by: Actor
) -> tuple[Token, Token | None]:
    """The new card's token, and the old one's when its card is still to be deleted."""
    vault, vault_db = unit.vault, unit.vault_db
    try:
        return vault.replace(vault_db, old, pan, expiry, by), old
    except UnknownToken:
        return vault.tokenize(vault_db, pan, expiry, by, instead_of=old), None


def _hold(unit: Work, customer: Customer, by: Actor) -> None:
    """Lock a customer's row as it was loaded until the transaction ends, and record of
    an earlier change that was cut off that it was not saved."""
    same = select(Customer.id).where(
        Customer.id == customer.id, Customer.rev == customer.rev
    )
    if unit.site.execute(same.with_for_update()).first() is None:
        raise Conflict
    unsaved.tell(unit, [customer], by)


def _overwrite(site: Session, customer: Customer, values: dict[str, object]) -> None:
    written = update(Customer).where(Customer.id == customer.id).values(values)
    site.execute(written.execution_options(synchronize_session=False))
    site.expire(customer)


def text_columns(name: str, phone: str) -> dict[str, str]:
    """The columns that hold a customer's name and telephone number."""
    return {
        "name": name,
        "name_folded": search_key(name),
        "phone": phone,
        "phone_digits": digits_of(phone),
    }


def mask_columns(pan: Pan) -> dict[str, str | int]:
    """The columns that hold what may be shown of a card number."""
    return {
        "brand": pan.brand.name,
        "prefix": pan.prefix,
        "last4": pan.last4,
        "length": pan.length,
    }


def told_changes(customer: Customer, entered: CardChange) -> dict[str, Any]:
    """What the trail says about a customer's changed name and telephone number, with
    the rev that the customer has after it; nothing when neither is changed."""
    detail: dict[str, Any] = {}
    for field in ("name", "phone"):
        before, after = getattr(customer, field), getattr(entered, field)
        if before != after:
            detail |= {f"{field}_before": before, f"{field}_after": after}
    # Not "rev": that is the card's, which verify counts.
    return {**detail, "customer_rev": customer.rev + 1} if detail else {}
