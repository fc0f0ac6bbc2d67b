"""Checks what an administrator says of an operator before it is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vault.card.scrub import holds_card_number
from vault.errors import VaultError

from .forms import MAX_LOGIN_ID, is_address, typed_address, typed_login_id
from .shared_ids import Sharing
from .trace import NOBODY

MAX_NAME = 100


class OperatorRefused(VaultError):
    """What was given of an operator can't be stored; ``hint`` says what to give."""


@dataclass(frozen=True)
class NewOperator:
    """A checked operator: login ID, the person's name, the addresses codes may go to,
    and why the ID is shared, if it is."""

    login_id: str
    name: str
    addresses: list[str]
    sharing: Sharing | None

    @classmethod
    def checked(
        cls, login_id: str, name: str, emails: Iterable[str], sharing: Sharing | None
    ) -> NewOperator:
        """The operator; raises OperatorRefused with the first thing that is wrong."""
        addresses = [checked_address(email) for email in emails]
        if not name.isprintable() or not 1 <= len(name.strip()) <= MAX_NAME:
            raise OperatorRefused(
                f"the name must be 1 to {MAX_NAME} characters in one line",
                hint="shorten it",
            )
        _check_login_id(login_id)
        return cls(login_id, name, addresses, sharing)


def checked_address(text: str) -> str:
    """A typed mail address as it is stored; raises OperatorRefused if it is none."""
    address = typed_address(text)
    if not is_address(address):
        raise OperatorRefused(
            f"{text!r} is not a mail address", hint="give one like taro@example.co.jp"
        )
    return address


def taken(login_id: str) -> OperatorRefused:
    """The error for a login ID that another operator has."""
    return OperatorRefused(
        f"the login ID {login_id} is taken", hint="choose another, one ID a person"
    )


def _check_login_id(login_id: str) -> None:
    fits = login_id.isprintable() and 1 <= len(login_id) <= MAX_LOGIN_ID
    if not fits or " " in login_id:
        raise OperatorRefused(
            f"the login ID must be 1 to {MAX_LOGIN_ID} characters without blanks",
            hint="choose another",
        )
    if login_id != typed_login_id(login_id):
        # The login page folds what is typed, so nobody could log in with such an ID.
        raise OperatorRefused(
            "the login ID has full-width characters",
            hint="type it in half width, like taro",
        )
    if login_id == NOBODY or holds_card_number(login_id):
        raise OperatorRefused(
            "the login ID can't be told from something else in the trail",
            hint="choose another",
        )
