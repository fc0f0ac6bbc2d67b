"""Who runs a command."""

from __future__ import annotations

import os
import pwd

import pytest

from app.cli import account
from vault.account import MAX_NAME, account_name
from vault.commands.vaults import actor

OWN = pwd.getpwuid(os.getuid()).pw_name
ROOT = pwd.getpwuid(0).pw_name


@pytest.fixture
def uid(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that claims to be somebody else's in every way there is."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "suzuki")
    monkeypatch.delenv("SUDO_USER", raising=False)
    return monkeypatch


@pytest.mark.usefixtures("uid")
def test_the_environment_does_not_say_who_runs_a_command() -> None:
    """On both sides it is the account the process runs as."""
    assert account_name() == OWN
    assert account().name == actor().name == OWN


def test_sudo_is_believed_of_root_alone(uid: pytest.MonkeyPatch) -> None:
    """An account that is not root set SUDO_USER by itself."""
    uid.setenv("SUDO_USER", "jiro")
    uid.setattr(os, "getuid", lambda: 0)
    assert account_name() == f"{ROOT} (sudo: jiro)"
    uid.setattr(os, "getuid", lambda: 1_234_567)
    assert account_name() == "uid 1234567"


def test_an_account_without_a_name_is_its_number(uid: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number."""
    uid.setattr(os, "getuid", lambda: 1_234_567)
    assert account_name() == "uid 1234567"
    assert account().name == "uid 1234567"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("j\r\n9\tx\x1b[2K", "j\ufffd\ufffd9\ufffdx\ufffd[2K"),
        ("j" * 1000, "j" * MAX_NAME),
        (" ", ""),
    ],
)
def test_what_sudo_says_is_one_short_line(
    uid: pytest.MonkeyPatch, given: str, shown: str
) -> None:
    """Nothing in it forges another entry, however root came to have it."""
    uid.setattr(os, "getuid", lambda: 0)
    uid.setenv("SUDO_USER", given)
    assert account_name() == (f"{ROOT} (sudo: {shown})" if shown else ROOT)
