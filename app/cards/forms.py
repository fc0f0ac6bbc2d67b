"""The card forms: they fold, check, and forget the number at once."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, HiddenField, StringField
from wtforms.validators import ValidationError

from vault import Expiry, Pan
from vault.errors import InputError

from . import rules, texts
from .folding import phone_of
from .models import Customer
from .service import Entry
from .tickets import Tickets


class ConfirmedForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """A form that is sent once and only when the operator said yes.

    ``ticket`` names this very form; ``confirmed``, declared by each form where
    the page shows it, is the dialog's answer.  A form sent without a ticket
    counts as one never seen before.
    """

    ticket = HiddenField()

    def __init__(self, *, tickets: Tickets, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._tickets = tickets
        self.ticket.data = self.ticket.data or tickets.new()

    @property
    def ticket_shown(self) -> str:
        """The ticket this form was shown with, or will be."""
        return self.ticket.data or ""

    def validate_ticket(self, field: Field) -> None:
        """The ticket was made for this login; a foreign one is exchanged."""
        if not self._tickets.are_ours(self.ticket_shown):
            field.data = self._tickets.new()
            raise ValidationError(texts.STALE_FORM)

    def validate_confirmed(self, field: Field) -> None:
        """The dialog, or without script its checkbox, was answered."""
        if not field.data:
            raise ValidationError(texts.CONFIRM_MISSING)


class CardForm(ConfirmedForm):
    """A new customer's card.  After ``validate``: ``pan``, ``expiry`` and the
    folded ``customer_name`` and ``phone``; the four boxes are empty.

    ``now`` is seconds since 1970 UTC, ``luhn_exempt`` names brands whose check
    digit is not asked for.
    """

    customer_name = StringField(texts.NAME)
    phone = StringField(texts.PHONE)
    card_number_1 = StringField(f"{texts.NUMBER} 1")
    card_number_2 = StringField(f"{texts.NUMBER} 2")
    card_number_3 = StringField(f"{texts.NUMBER} 3")
    card_number_4 = StringField(f"{texts.NUMBER} 4")
    exp_month = StringField(texts.MONTH)
    exp_year = StringField(texts.YEAR)
    confirmed = BooleanField()

    def __init__(self, *, now: int, luhn_exempt: frozenset[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.now = now
        self.luhn_exempt = luhn_exempt
        self.pan: Pan | None = None
        self.expiry: Expiry | None = None

    @property
    def boxes(self) -> tuple[Field, ...]:
        """The four boxes of the card number, left to right."""
        return (
            self.card_number_1,
            self.card_number_2,
            self.card_number_3,
            self.card_number_4,
        )

    @property
    def entry(self) -> Entry:
        """What was entered, once ``validate`` has said yes."""
        return Entry(
            name=self.customer_name.data or "",
            phone=self.phone.data or "",
            pan=self.pan,
            expiry=self.expiry,
        )

    def validate(self, extra_validators: Any = None) -> bool:
        """Check every field; whatever comes out, the boxes hold nothing more."""
        super().validate(extra_validators)
        typed = any(box.data for box in self.boxes)
        self._read_number()
        self._read_expiry()
        for box in self.boxes:
            box.data, box.raw_data = "", []
        self._check_whole()
        if self.errors:
            self.pan = None
            if typed:
                _refuse(self.card_number_1, texts.NUMBER_AGAIN)
        return not self.errors

    def validate_customer_name(self, field: Field) -> None:
        """1 to 100 characters that hold no card number and hide nothing."""
        field.data = rules.name_of(field.data or "")
        if fault := rules.name_fault(field.data):
            raise ValidationError(fault)

    def validate_phone(self, field: Field) -> None:
        """Ten or eleven digits from 0, hyphens anywhere between them."""
        field.data = phone_of(field.data or "")
        if fault := rules.phone_fault(field.data):
            raise ValidationError(fault)

    def _read_number(self) -> None:
        try:
            boxes = [box.data or "" for box in self.boxes]
            self.pan = Pan.parse(*boxes, luhn_exempt=self.luhn_exempt)
        except InputError as error:
            self._number_refused(error.reason)

    def _read_expiry(self) -> None:
        month, year = self.exp_month.data or "", self.exp_year.data or ""
        try:
            self.expiry = Expiry.parse(month, year, self.now)
        except InputError as error:
            self._expiry_refused(error.reason)

    def _number_refused(self, reason: str) -> None:
        _refuse(self.card_number_1, texts.NUMBER_REASONS[reason])

    def _expiry_refused(self, reason: str) -> None:
        box = self.exp_year if reason in ("year", "far") else self.exp_month
        _refuse(box, texts.EXPIRY_REASONS[reason])

    def _check_whole(self) -> None:
        """What only the fields together tell; nothing for a new card."""


class EditForm(CardForm):
    """A stored card's changes: empty boxes keep the number, an empty expiry the
    expiry.  ``readable`` says whether the vault can tell about the old card,
    ``renew`` that there is nothing to keep: a new number needs its expiry.
    """

    rev = HiddenField()

    def __init__(
        self, customer: Customer, *, readable: bool, renew: bool, **kwargs: Any
    ) -> None:
        super().__init__(
            data={
                "customer_name": customer.name,
                "phone": customer.phone,
                "rev": customer.rev,
            },
            **kwargs,
        )
        self.customer = customer
        self.readable = readable
        self.renew = renew

    def _number_refused(self, reason: str) -> None:
        if reason != "empty":
            super()._number_refused(reason)

    def _expiry_refused(self, reason: str) -> None:
        if reason != "empty":
            super()._expiry_refused(reason)

    def _check_whole(self) -> None:
        customer = self.customer
        if self.errors:
            return
        over = self.renew or customer.expires.is_over(self.now)
        if self.pan and not self.expiry and over:
            _refuse(self.exp_month, texts.EXPIRY_NEEDED)
        elif self.expiry and not self.pan and not self.readable:
            _refuse(self.card_number_1, texts.NUMBER_NEEDED)
        elif not (self.pan or self._differs()):
            self.form_errors.append(texts.UNCHANGED)

    def _differs(self) -> bool:
        customer = self.customer
        return (
            self.customer_name.data != customer.name
            or self.phone.data != customer.phone
            or self.expiry not in (None, customer.expires)
        )


class DeleteForm(ConfirmedForm):
    """The deletion beside the edit form, with its own confirmation."""

    confirmed = BooleanField(id="delete_confirmed")
    rev = HiddenField()


def _refuse(field: Field, text: str) -> None:
    field.errors = [*field.errors, text]
