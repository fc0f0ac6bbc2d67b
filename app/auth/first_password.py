"""Takes or makes an operator's first password, and prints it once."""

from __future__ import annotations

import secrets
import sys

import click

from app import current
from app.cli import fail, print_no_more

from .new_operator import NewOperator
from .new_password import Fault, find_fault

FIRST_PASSWORD_BYTES = 12
# What is said of each fault of a given first password.
FAULTS = {
    Fault.LENGTH: "is shorter than 15 or longer than 128 characters",
    Fault.UNPRINTABLE: "holds a control character or one that nobody sees",
    Fault.KINDS: "lacks a letter or a digit",
    Fault.CARD_NUMBER: "holds a card number",
    Fault.OWN: "is easily guessed: the login ID, name, address or site name in it",
    Fault.WORD: "is easily guessed: a common word",
    Fault.REPEAT: "is easily guessed: something repeated",
    Fault.KEYBOARD: "is easily guessed: a run of the keyboard",
    Fault.ORDER: "is easily guessed: letters or digits in order",
    Fault.DATE: "is easily guessed: a date or a year",
}


def given(new: NewOperator) -> str:
    """The first password on standard input; a refused one ends the command with why."""
    # A file that is piped in may begin with a byte order mark.
    password = sys.stdin.readline().rstrip("\r\n").removeprefix("\ufeff")
    own = [new.login_id, new.name, *new.addresses, current.settings().site_name]
    fault = find_fault(password, own)
    if fault is not None:
        fail(
            f"the password {FAULTS[fault]}",
            "give 15 to 128 characters: a few words that have nothing to do with each "
            "other, and a digit",
        )
    return password


def random() -> str:
    """A first password nobody chose, which the rules for a new one let through."""
    # With this ending the password has a letter and a digit, whatever was drawn.
    return secrets.token_urlsafe(FIRST_PASSWORD_BYTES) + "a7"


def show_once(done: str, login_id: str, password: str, life: str) -> None:
    """Print that an act is ``done`` and its password, good for ``life``; when nobody
    could read it, end the command with how to make another."""
    try:
        click.echo(f"{done}\nfirst password (shown once{life}): {password}")
    except BrokenPipeError:
        print_no_more("stdout")
        fail(
            f"nobody read the first password of {login_id}",
            f"flask --app wsgi operators reset-password {login_id}",
        )
