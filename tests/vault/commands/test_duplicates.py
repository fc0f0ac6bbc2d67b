"""cardvault duplicates."""

from __future__ import annotations

import json

from vault import Actor, Expiry, Pan

from .shell import Shell


def seal_other(shell: Shell) -> None:
    """A card of another number."""
    vault = shell.vault()
    with vault.engine.begin() as db:
        pan, expiry = Pan.parse("5555555555554444"), Expiry(2030, 1)
        vault.tokenize(db, pan, expiry, Actor("t", "x"))
    vault.engine.dispose()


def test_groups_are_shown_and_exit_is_1(shell: Shell) -> None:
    """Token, mask and expiry a line; the count and where to look beside it."""
    first, second = shell.seal(2)
    seal_other(shell)
    ran = shell("duplicates")
    assert ran.code == 1
    assert (
        ran.out
        == "".join(
            f"{token}  48**-****-****-0000  01/2030\n" for token in (first, second)
        )
        + "\n"
    )
    assert ran.err == (
        "1 number on 2 cards\nwhose they are: flask --app wsgi cards list\n"
    )
    told = json.loads(shell("duplicates", "--json").out)
    assert [card["token"] for card in told["groups"][0]] == [first, second]
    assert told["left_out"] == 0


def test_none_is_exit_0(shell: Shell) -> None:
    """Said, and an empty list for a machine; nothing changes but the trail, which
    has the root key's use before a card is opened."""
    shell.seal()
    seal_other(shell)
    before = shell.but_the_trail()
    ran = shell("duplicates")
    assert (ran.code, ran.out) == (0, "no number is stored twice\n")
    assert json.loads(shell("duplicates", "--json").out) == {
        "groups": [],
        "left_out": 0,
    }
    assert shell.but_the_trail() == before
    used = ("root.used", "success", {"command": "duplicates"})
    found = ("check.done", "success", {"numbers": 0, "found": 0, "left_out": 0})
    assert shell.trail()[-4:] == [used, found, used, found]


def test_a_card_that_cannot_be_opened_is_never_silence(shell: Shell) -> None:
    """Exit 4: it may be one of them."""
    bad, _ = shell.seal(2)
    shell.edit(f"UPDATE card SET mac = x'00' WHERE token = '{bad}'")
    ran = shell("duplicates")
    assert ran.code == 4
    assert ran.err.startswith(f"{bad}  is not as it was written (MAC), left out\n")
