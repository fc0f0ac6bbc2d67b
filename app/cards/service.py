"""Registers, changes and deletes customers with their cards, in the vault and the site.

No function here commits.  The caller commits the vault, then the site, and then runs
what ``change`` or ``remove`` returned for the vault, so that a crash leaves at worst a
card that no customer refers to.  Lock order: the customer's row, then the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.orm import Session

from vault import Actor, Card, Expiry, Pan, Token, Vault
from vault.card.token import random_letters
from vault.errors import IntegrityFault, UnknownToken
from vault.store.database import reading

from . import texts
from .models import Customer
from .typed import digits_of, search_key

PUBLIC_ID_LETTERS = 24
MAX_LIKELY = 3
DELETING = "customer.deleting"

Rest = Callable[[Connection], None]
"""What is left to be done in the vault once both databases are committed."""


class Conflict(Exception):
    """Another request changed or deleted the customer first."""


@dataclass(frozen=True)
class Entry:
    """What an operator entered, checked; None keeps what is stored."""

    name: str
    phone: str
    pan: Pan | None
    expiry: Expiry | None


def new_public_id() -> str:
    """A random name for a customer in addresses (104 bits, no digit)."""
    return random_letters(PUBLIC_ID_LETTERS)


def register(
    site: Session,
    vault: Vault,
    vault_db: Connection,
    entry: Entry,
    public_id: str,
    by: Actor,
    now: int,
) -> Customer:
    """Seal a new customer's card, then write the customer.

    Raises ValueError when ``entry`` lacks the number or the expiry.
    """
    if entry.pan is None or entry.expiry is None:
        raise ValueError("a new card needs a number and an expiry")
    token = vault.tokenize(vault_db, entry.pan, entry.expiry, by)
    customer = Customer(**new_customer(entry, token, public_id, by, now))
    site.add(customer)
    detail = {"name_after": entry.name, "phone_after": entry.phone}
    vault.record(vault_db, "customer.registered", by, subject=token, detail=detail)
    return customer


def new_customer(
    entry: Entry, token: Token, public_id: str, by: Actor, now: int
) -> dict[str, Any]:
    """A new customer's row.  Raises ValueError when ``entry`` lacks the number or
    the expiry."""
    if entry.pan is None or entry.expiry is None:
        raise ValueError("a new card needs a number and an expiry")
    return {
        "public_id": public_id,
        "token": token,
        "rev": 1,
        "created_at": now,
        "updated_at": now,
        "created_by": by.name,
        **_written(entry.name, entry.phone),
        **_shown_of(entry.pan),
        "expiry": entry.expiry.key,
    }


def change(
    site: Session,
    vault: Vault,
    vault_db: Connection,
    customer: Customer,
    entry: Entry,
    by: Actor,
    now: int,
) -> Rest | None:
    """Write an operator's changes to the ``customer`` they were shown.

    Returns the function that deletes the replaced card, if one was replaced.  Raises
    Conflict when the customer, or the card, is no longer as loaded.
    """
    _hold(site, customer)
    token, replaced = Token(customer.token), None
    values = {**_written(entry.name, entry.phone), "rev": customer.rev + 1}
    expiry = entry.expiry or customer.expires
    if entry.pan:
        token, replaced = _replace(vault, vault_db, token, entry.pan, expiry, by)
        values |= {"token": token, **_shown_of(entry.pan)}
    elif expiry != customer.expires:
        try:
            vault.set_expiry(vault_db, token, expiry, by)
        except UnknownToken:  # purged just now
            raise Conflict from None
    detail = _differences(customer, entry)
    if detail:
        vault.record(vault_db, "customer.updated", by, subject=token, detail=detail)
    _overwrite(site, customer, values | {"expiry": expiry.key, "updated_at": now})
    if replaced is None:
        return None
    old = replaced
    return lambda db: vault.delete(db, old, by)


def remove(
    site: Session, vault: Vault, vault_db: Connection, customer: Customer, by: Actor
) -> Rest:
    """Record that a customer is being deleted, and delete it.

    Returns the function that deletes the card and records that it is done; after a
    crash before that the trail says who was deleting the customer.  Raises Conflict
    when the customer is no longer as loaded.
    """
    _hold(site, customer)
    token = Token(customer.token)
    detail = {"name_before": customer.name, "phone_before": customer.phone}
    vault.record(vault_db, DELETING, by, subject=token, detail=detail)
    site.execute(delete(Customer).where(Customer.id == customer.id))

    def finish(db: Connection) -> None:
        with suppress(UnknownToken):  # purged earlier: there is nothing left to delete
            vault.delete(db, token, by)
        vault.record(db, "customer.deleted", by, subject=token, detail=detail)

    return finish


def find(site: Session, public_id: str) -> Customer | None:
    """The customer an address names."""
    # PostgreSQL refuses a NUL in a query.
    if not (public_id.isascii() and public_id.isalpha()):
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


def gone(vault: Vault, customers: Iterable[Customer]) -> dict[str, str]:
    """Those of ``customers``' tokens whose card no longer exists, with the reason."""
    with reading(vault.engine) as vault_db:
        return vault.missing(vault_db, [customer.token for customer in customers])


def summary(customer: Customer, why_gone: str = "") -> dict[str, str]:
    """What a completion page shows of a customer; ``why_gone`` is set when the card no
    longer exists."""
    return {
        texts.NAME: customer.name,
        texts.PHONE: customer.phone,
        texts.NUMBER: texts.CARD_GONE[why_gone] if why_gone else customer.masked,
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
    vault: Vault, vault_db: Connection, old: Token, pan: Pan, expiry: Expiry, by: Actor
) -> tuple[Token, Token | None]:
    try:
        return vault.replace(vault_db, old, pan, expiry, by), old
    except UnknownToken:
        return vault.tokenize(vault_db, pan, expiry, by, instead_of=old), None


def _hold(site: Session, customer: Customer) -> None:
    """Lock a customer's row as it was loaded until the transaction ends."""
    same = select(Customer.id).where(
        Customer.id == customer.id, Customer.rev == customer.rev
    )
    if site.execute(same.with_for_update()).first() is None:
        raise Conflict


def _overwrite(site: Session, customer: Customer, values: dict[str, object]) -> None:
    written = update(Customer).where(Customer.id == customer.id).values(values)
    site.execute(written.execution_options(synchronize_session=False))
    site.expire(customer)


def _written(name: str, phone: str) -> dict[str, str]:
    return {
        "name": name,
        "name_folded": search_key(name),
        "phone": phone,
        "phone_digits": digits_of(phone),
    }


def _shown_of(pan: Pan) -> dict[str, str | int]:
    return {
        "brand": pan.brand.name,
        "prefix": pan.prefix,
        "last4": pan.last4,
        "length": pan.length,
    }


def _differences(customer: Customer, entry: Entry) -> dict[str, str]:
    detail: dict[str, str] = {}
    for field in ("name", "phone"):
        before, after = getattr(customer, field), getattr(entry, field)
        if before != after:
            detail |= {f"{field}_before": before, f"{field}_after": after}
    return detail
