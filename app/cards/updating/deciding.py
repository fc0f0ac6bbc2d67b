"""Decides what becomes of one row: what is changed, or why nothing is.

A row is no order against somebody's later work.  What an operator changes while the
file is taken in, or after it was, is left alone and named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from vault import Expiry

from .. import texts, unsaved
from ..importing.rows import Faults, written_faults
from ..models import Customer, UpdateRow
from ..service import CardChange, mask_columns, text_columns, told_changes
from .heading import NUMBER
from .rows import Asked

UPDATED, UNCHANGED, STOPPED = "updated", "unchanged", "stopped"
CONFLICT, REFUSED, UNKNOWN = "conflict", "refused", "unknown"
WOULD_UPDATE, WOULD_STOP = "would_update", "would_stop"

CARD_STOPPED = "card.stopped"


@dataclass(frozen=True)
class Known:
    """What is known of a row's customer when it is decided.

    ``customer`` is theirs now, or None.  ``seen`` is the rev that they had when this
    run began, 0 when they were not there; ``since`` is when the file's update began, by
    the first run (seconds UTC).  ``earlier`` is what an earlier update made of the row.
    ``problem`` says of a token why the vault can't describe its card, or "".
    ``left`` is the status of a row without a customer, and why.
    """

    customer: Customer | None
    seen: int
    since: int
    earlier: UpdateRow | None
    problem: Callable[[str], str]
    left: tuple[str, str]

    @property
    def was_done(self) -> bool:
        """Say whether an earlier update did what the row asks for."""
        done = (UPDATED, UNCHANGED, STOPPED)
        return self.earlier is not None and self.earlier.status in done


@dataclass(frozen=True)
class Decision:
    """A row's ``status`` with the texts about it, and for a customer who is changed
    their ``entered`` values and ``expiry``, and whether they are ``marked``."""

    asked: Asked
    status: str
    customer: Customer | None
    faults: Faults = ()
    entered: CardChange | None = None
    marked: bool = False

    @property
    def error(self) -> str:
        """What the results say of it."""
        return written_faults(self.faults)

    @property
    def expiry(self) -> Expiry | None:
        """The expiry that the card has afterwards, if anything is changed."""
        if self.entered is None or self.customer is None:
            return None
        return self.entered.expiry or self.customer.expires

    @property
    def changes_card(self) -> bool:
        """Say whether the vault's card is replaced or gets another expiry."""
        entered, customer = self.entered, self.customer
        if entered is None or customer is None:
            return False
        return entered.pan is not None or self.expiry != customer.expires

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """The trail's events about the customer."""
        if self.entered is None or self.customer is None:
            return []
        changes = told_changes(self.customer, self.entered)
        events = [(unsaved.UPDATED, changes)] if changes else []
        return [*events, (CARD_STOPPED, {})] if self.marked else events

    def columns(self, customer: Customer, token: str, now: int) -> dict[str, Any]:
        """All columns of the customer that a change may write, as they are after it."""
        entered, expiry = self.entered, self.expiry
        if entered is None or expiry is None:
            raise ValueError("nothing is changed")
        kept = {
            name: getattr(customer, name)
            for name in ("brand", "prefix", "last4", "length", "stopped_at")
        }
        if entered.pan:
            kept = {**mask_columns(entered.pan), "stopped_at": None}
        elif self.marked:
            kept["stopped_at"] = now
        return {
            **text_columns(entered.name, entered.phone),
            **kept,
            "token": token,
            "expiry": expiry.key,
            "rev": customer.rev + 1,
            "updated_at": now,
        }


def decide(asked: Asked, known: Known, now: int) -> Decision:
    """What becomes of a row at ``now`` (seconds UTC)."""
    customer = known.customer
    if asked.faults:
        status = UNKNOWN if asked.names_nobody else REFUSED
        return Decision(asked, status, customer, asked.faults)
    if customer is None:
        status, text = known.left
        return Decision(asked, status, None, (("", text),))
    return _of_customer(asked, customer, known, now)


def _of_customer(asked: Asked, customer: Customer, known: Known, now: int) -> Decision:
    entered = _entered(asked, customer)
    marked = asked.stopped and customer.stopped_at is None
    done = Decision(asked, STOPPED if asked.stopped else UNCHANGED, customer)
    if not marked and not _differs(entered, customer):
        return done
    if text := _conflict(asked, customer, known):
        return replace(done, status=CONFLICT, faults=(("", text),))
    if known.was_done:
        return done
    if fault := _refusal(entered, customer, known.problem, now):
        return replace(done, status=REFUSED, faults=(fault,))
    status = STOPPED if asked.stopped else UPDATED
    return replace(done, status=status, entered=entered, marked=marked)


def _entered(asked: Asked, customer: Customer) -> CardChange:
    """The customer as the row wants them."""
    name = customer.name if asked.name is None else asked.name
    phone = customer.phone if asked.phone is None else asked.phone
    return CardChange(name, phone, asked.pan, asked.expiry)


def _differs(entered: CardChange, customer: Customer) -> bool:
    return (
        entered.pan is not None
        or (entered.name, entered.phone) != (customer.name, customer.phone)
        or entered.expiry not in (None, customer.expires)
    )


def _conflict(asked: Asked, customer: Customer, known: Known) -> str:
    """Whose work the row would undo, or ""."""
    earlier = known.earlier
    if earlier is not None and earlier.status == CONFLICT:
        return earlier.error
    if earlier is not None and known.was_done:
        # A token that this row's card has no more names no other row's.
        if asked.pan and asked.pan.masked != customer.masked:
            return texts.NUMBER_CHANGED
        return "" if customer.rev == earlier.rev else texts.CHANGED_SINCE
    if customer.rev != known.seen or customer.updated_at > known.since:
        return texts.CHANGED_MEANWHILE
    return ""


def _refusal(
    entered: CardChange, customer: Customer, problem: Callable[[str], str], now: int
) -> tuple[str, str] | None:
    """The fault that the edit page would find in such a change of this customer."""
    expiry = entered.expiry
    if entered.pan and expiry is None:
        gone = problem(customer.token) in texts.NUMBERS_NEEDED
        over = gone or customer.expires.is_over(now)
        return ("exp_month", texts.EXPIRY_NEEDED) if over else None
    if expiry and not entered.pan and (reason := problem(customer.token)):
        text = texts.NUMBERS_NEEDED.get(reason, texts.NUMBER_NEEDED)
        return (NUMBER, text)
    return None
