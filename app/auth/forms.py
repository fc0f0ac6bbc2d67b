"""The login forms."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, HiddenField, PasswordField, StringField
from wtforms.validators import ValidationError

from vault.card.pan import UNSEEN
from vault.card.scrub import holds_card_number

from . import codes, texts

MAX_TEXT = 256
MAX_LOGIN_ID = 64
MAX_ADDRESS = 254
MAX_PASSKEY_NAME = 30
# Tolerant on purpose: Japan's mobile carriers gave out addresses with dots in a row and
# before the at sign.  It only has to be one address that adds no header to a mail.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]+")
_QUOTED = re.compile(r'^"([^"\\]*)"@')
_DOMAIN = re.compile(
    r"(?=.{3,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


# What nobody sees, and the kinds of characters that are in no name.
_UNSEEN: dict[int, int | None] = {ord(character): None for character in UNSEEN}
_NO_NAME = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Full-width ASCII, which an IME writes, as ASCII, without what nobody sees.
_WIDTH: dict[int, int | None] = {
    **{0xFF01 + place: 0x21 + place for place in range(94)},
    **_UNSEEN,
}


def typed_login_id(text: str) -> str:
    """A typed login ID with the width of its characters folded, and nothing else."""
    return text.translate(_WIDTH).strip()


def is_address(text: str) -> bool:
    """Say whether ``text`` is one mail address, by a tolerant rule.  What holds a card
    number is refused, because the typed address is stored (PCI DSS 3.5.1)."""
    return (
        len(text) <= MAX_ADDRESS
        and not holds_card_number(text)
        and _ADDRESS.fullmatch(text) is not None
        and _DOMAIN.fullmatch(text.rpartition("@")[2]) is not None
    )


def typed_address(text: str) -> str:
    """A typed address with full width folded and outer blanks cut, and without the
    quotes that some programs put round a part with dots in a row; a line break stays,
    so that ``is_address`` refuses it."""
    folded = unicodedata.normalize("NFKC", text).translate(_WIDTH).strip(" ")
    return _QUOTED.sub(r"\1@", folded)


class LoginForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """Login ID and password."""

    login_id = StringField(texts.LOGIN_ID)
    password = PasswordField(texts.PASSWORD)

    def validate_login_id(self, field: Field) -> None:
        """Refuse an empty ID, and a NUL, which PostgreSQL refuses in a query."""
        field.data = typed_login_id(field.data or "")
        if not field.data:
            raise ValidationError(texts.LOGIN_ID_EMPTY)
        if len(field.data) > MAX_LOGIN_ID or not field.data.isprintable():
            field.data = ""
            raise ValidationError(texts.REFUSED)

    def validate_password(self, field: Field) -> None:
        """Something was typed."""
        if not field.data:
            raise ValidationError(texts.PASSWORD_EMPTY)

    def refuse(self) -> None:
        """Show the same answer for a wrong password, an unknown ID and a locked one."""
        self.form_errors.append(texts.REFUSED)


class EmailForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """The address a code is to be mailed to."""

    email = StringField(texts.EMAIL)

    def validate_email(self, field: Field) -> None:
        """Refuse all but one well-formed address."""
        raw = field.data or ""
        field.data = typed_address(raw[: MAX_ADDRESS * 2])
        if not field.data:
            raise ValidationError(texts.EMAIL_EMPTY)
        if len(raw) > MAX_ADDRESS or not is_address(field.data):
            raise ValidationError(texts.EMAIL_FORM)


class ToldForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """A form that may be refused though nothing that was typed is wrong; ``problem`` is
    then why, and the summary has it for a heading."""

    problem = ""

    def tell(self, text: str) -> None:
        """Say why the form was refused."""
        self.form_errors.append(text)
        self.problem = text


class CodeForm(ToldForm):
    """The mailed code."""

    code = PasswordField(texts.CODE)

    def validate_code(self, field: Field) -> None:
        """Refuse an empty code; the service checks it."""
        field.data = codes.typed((field.data or "")[:MAX_TEXT])
        if not field.data:
            raise ValidationError(texts.CODE_EMPTY)


class TotpForm(CodeForm):
    """The code that confirms an authenticator app."""


class PasskeyForm(ToldForm):
    """A passkey's answer, JSON the script puts in; checked by its signature."""

    credential = HiddenField()


class NewPasskeyForm(PasskeyForm):
    """The same of a new passkey, and what its operator calls it."""

    name = StringField(texts.PASSKEY_NAME, default=texts.PASSKEY_NAME_GIVEN)

    def validate_name(self, field: Field) -> None:
        """Refuse what is too long or can't be seen; an empty name is the usual one."""
        typed = unicodedata.normalize("NFC", field.data or "")
        field.data = typed.translate(_UNSEEN).strip() or texts.PASSKEY_NAME_GIVEN
        if len(field.data) > MAX_PASSKEY_NAME:
            raise ValidationError(texts.PASSKEY_NAME_LONG)
        if any(unicodedata.category(c) in _NO_NAME for c in field.data):
            raise ValidationError(texts.PASSKEY_NAME_CHARACTERS)
        if holds_card_number(field.data):
            raise ValidationError(texts.PASSKEY_NAME_NUMBER)


class FactorForm(ToldForm):
    """Which factor to give up, and the answer to the question whether it is meant."""

    factor = HiddenField()
    confirmed = BooleanField()

    @classmethod
    def about(cls, factor: str) -> FactorForm:
        """An empty form for one of a page's factors."""
        form = cls(formdata=None)
        form.name_after(factor)
        return form

    def name_after(self, factor: str) -> None:
        """Make the id of the answer one of its own on a page with several."""
        self.confirmed.id = f"remove_{factor}"


class ProofForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """The current password once more."""

    current_password = PasswordField(texts.CURRENT_PASSWORD)

    def validate_current_password(self, field: Field) -> None:
        """Something was typed."""
        if not field.data:
            raise ValidationError(texts.CURRENT_EMPTY)

    def refuse(self, field: Field, text: str) -> None:
        """Say what is wrong with a field after the form's own checks."""
        field.errors = [*field.errors, text]


class PasswordForm(FlaskForm):  # type: ignore[misc]  # untyped library
    """A changed password, typed twice."""

    current_password = PasswordField(texts.CURRENT_PASSWORD)
    new_password = PasswordField(texts.NEW_PASSWORD)
    new_password_again = PasswordField(texts.NEW_PASSWORD_AGAIN)

    def validate_current_password(self, field: Field) -> None:
        """Something was typed."""
        if not field.data:
            raise ValidationError(texts.CURRENT_EMPTY)

    def validate_new_password(self, field: Field) -> None:
        """Something was typed."""
        if not field.data:
            raise ValidationError(texts.NEW_EMPTY)

    def validate_new_password_again(self, field: Field) -> None:
        """Refuse unless it is the same as the new password."""
        if field.data != self.new_password.data:
            raise ValidationError(texts.AGAIN_DIFFERS)

    def refuse(self, field: Field, text: str) -> Any:
        """Say what is wrong with a field after the form's own checks."""
        field.errors = [*field.errors, text]
