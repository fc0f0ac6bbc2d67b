"""The card forms, which fold and check what was typed and don't keep the number."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, HiddenField, StringField
from wtforms.validators import ValidationError

from vault import Expiry, Pan
from vault.errors import InputError

from . import rules, texts
from .conflict import Shown, shown_of
from .models import Customer
from .service import CardChange, NewCard
from .tickets import Tickets
from .typed import phone_of


class ConfirmedForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """A form that works once, and only after the operator confirmed it.

    ``ticket`` names this one form; ``confirmed``, which each form declares where the
    page shows it, is the answer of the dialog.  A form sent without a ticket counts as
    a new one.
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

    @property
    def problem(self) -> str:
        """What is wrong with the form as a whole, or ""; the summary has it for a
        heading."""
        return str(self.form_errors[0]) if self.form_errors else ""

    def validate_ticket(self, field: Field) -> None:
        """Refuse a ticket that was not made for this login, and put in a new one."""
        if not self._tickets.are_ours(self.ticket_shown):
            field.data = self._tickets.new()
            raise ValidationError(texts.STALE_FORM)

    def validate_confirmed(self, field: Field) -> None:
        """Refuse unless the dialog, or without script its checkbox, was answered."""
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
    def new_card(self) -> NewCard:
        """The entered card; raises ValueError unless ``validate`` returned True."""
        if self.pan is None or self.expiry is None:
            raise ValueError("a new card needs a number and an expiry")
        name, phone = self.customer_name.data or "", self.phone.data or ""
        return NewCard(name, phone, self.pan, self.expiry)

    def validate(self, extra_validators: Any = None) -> bool:
        """Check every field, and empty the four boxes whatever the result is."""
        super().validate(extra_validators)
        typed = any(box.data for box in self.boxes)
        self._read_number()
        self._read_expiry()
        self._empty_boxes()
        self._check_whole()
        if self.errors:
            self.pan = None
            if typed:
                _refuse(self.card_number_1, texts.NUMBER_AGAIN)
        return not self.errors

    def validate_customer_name(self, field: Field) -> None:
        """Refuse all but 1 to 100 characters without a card number and without
        invisible characters."""
        field.data = rules.name_of(field.data or "")
        if fault := rules.name_fault(field.data):
            raise ValidationError(fault)

    def validate_phone(self, field: Field) -> None:
        """Refuse all but ten or eleven digits, the first a 0, with hyphens anywhere."""
        field.data = phone_of(field.data or "")
        if fault := rules.phone_fault(field.data):
            raise ValidationError(fault)

    def _empty_boxes(self) -> None:
        for box in self.boxes:
            box.data, box.raw_data = "", []

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
        """Check the fields together; there is nothing to check for a new card."""


class EditForm(CardForm):
    """Changes of a stored card: empty boxes keep the number, an empty expiry keeps the
    expiry.  ``problem_of_card`` is why the vault can't describe the old card, or "";
    where the card is gone for good nothing can be kept, so a new number and its expiry
    are needed.
    """

    rev = HiddenField()
    seen = HiddenField()

    def __init__(
        self, customer: Customer, *, problem_of_card: str, **kwargs: Any
    ) -> None:
        super().__init__(
            data={
                "customer_name": customer.name,
                "phone": customer.phone,
                "rev": customer.rev,
                "seen": kwargs["tickets"].sign(shown_of(customer)),
            },
            **kwargs,
        )
        self.customer = customer
        self.beside: dict[str, str] = {}
        self.readable = not problem_of_card
        self.renew = problem_of_card in texts.NUMBERS_NEEDED
        self.number_needed = texts.NUMBERS_NEEDED.get(
            problem_of_card, texts.NUMBER_NEEDED
        )

    @property
    def card_change(self) -> CardChange:
        """The entered changes; only valid after ``validate`` returned True."""
        name, phone = self.customer_name.data or "", self.phone.data or ""
        return CardChange(name, phone, self.pan, self.expiry)

    def meet_conflict(self, seen: Shown) -> None:
        """Make the form one against the customer's newest state, after somebody else
        changed it since ``seen`` was shown.

        What was typed stays, but the number; a box that nobody typed into shows the
        newest state.  ``beside`` says, by a field's name, what is stored now where a
        box holds something else.
        """
        self.form_errors.append(texts.CONFLICT)
        if any(box.data for box in self.boxes):
            _refuse(self.card_number_1, texts.NUMBER_AGAIN)
        self._empty_boxes()
        now = shown_of(self.customer)
        self.rev.data = str(self.customer.rev)
        self.seen.data = self._tickets.sign(now)
        if not self._tickets.are_ours(self.ticket_shown):
            self.ticket.data = self._tickets.new()
        for field, label, read in (
            (self.customer_name, texts.NAME, rules.name_of),
            (self.phone, texts.PHONE, phone_of),
        ):
            field.data = read(field.data or "")
            if field.data == seen.get(label):
                field.data = now[label]
            if field.data != now[label]:
                self.beside[field.name] = texts.stored_now(now[label])
        if self.exp_month.data or self.exp_year.data:
            self.beside["expiry"] = texts.stored_now(now[texts.EXPIRY])

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
            _refuse(self.card_number_1, self.number_needed)
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
    """The deletion form beside the edit form, with a confirmation of its own."""

    confirmed = BooleanField(id="delete_confirmed")
    rev = HiddenField()
    seen = HiddenField()


def _refuse(field: Field, text: str) -> None:
    field.errors = [*field.errors, text]
