"""What every verb of cardvault has in common."""

from __future__ import annotations

import json

import click
import pytest

from vault.commands import cardvault

from .shell import Shell, all_commands


@pytest.mark.parametrize(("words", "command"), all_commands(cardvault))
def test_every_verb_has_help_with_an_example(
    words: str, command: click.Command
) -> None:
    """A sentence of help, and an example that names the verb."""
    assert command.help
    assert command.epilog is not None
    assert "Example:" in command.epilog
    assert words in command.epilog


def test_nothing_typed_shows_where_things_stand(shell: Shell) -> None:
    """cardvault alone is status."""
    assert shell().out == shell("status").out
    assert "next        cardvault verify" in shell().out


def test_nothing_there_says_how_to_begin(empty: Shell) -> None:
    """Without a place the error names the file and the hint the command."""
    ran = empty()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "cardvault: error: instance/web.key is not there\n"
        "cardvault: hint: put it back from where you keep it; if it is lost: "
        "cardvault web-key recover; only where there is no vault yet: cardvault init\n"
    )


def test_usage_errors_point_at_the_help(shell: Shell) -> None:
    """Exit 2, one line of what and one of what to do."""
    ran = shell("rotat")
    assert ran.code == 2
    assert ran.err.endswith("cardvault: hint: cardvault --help\n")
    assert shell("rotate", "--batch", "0").code == 2
    assert shell("rotate", "--help").code == 0


def test_a_database_that_does_not_answer_is_exit_3(shell: Shell) -> None:
    """No trace: what is wrong and what to check."""
    ran = shell("status", VAULT_DATABASE_URL="postgresql+psycopg://127.0.0.1:1/none")
    assert ran.code == 3
    assert "does not answer" in ran.err
    assert "Traceback" not in ran.err


def test_a_database_without_its_tables_says_migrate(shell: Shell) -> None:
    """Another path: the schema is missing, and the next command is named."""
    ran = shell("status", VAULT_DATABASE_URL="sqlite:///instance/other.db")
    assert (ran.code, "flask --app wsgi migrate" in ran.err) == (2, True)


def test_interrupting_a_prompt_is_exit_3(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C anywhere ends without a trace."""

    def interrupt(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr("vault.commands.vaults.read_root_key", interrupt)
    assert shell("verify").code == 3


def test_verify_names_each_bad_token(shell: Shell) -> None:
    """Exit 1, a line each, and the JSON says the same."""
    good, bad = shell.seal(2)
    assert shell("verify").out.startswith("2 cards opened")
    shell.edit(f"UPDATE card SET last4 = '9999' WHERE token = '{bad}'")
    ran = shell("verify")
    assert ran.code == 1
    assert ran.out.startswith(f"{bad}  is not as it was written (MAC)\n1 found")
    told = json.loads(shell("verify", "--json").out)
    assert [found["subject"] for found in told["findings"]] == [bad]
    assert good not in ran.out
