"""flask operators, sessions and migrate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import inspect

from app import cli
from app.auth import commands as auth_commands
from app.migrations import HISTORY
from app.startup import safe_config
from config import ConfigError
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock, VaultPlace
from vault.store.database import connect
from vault.store.migrations import HISTORY as VAULT_HISTORY

from .auth.records import trail

ADD = ("operators", "add", "hanako", "--name", "鈴木 花子", "--email", "h@example.jp")


def run(app: Flask, *args: str, typed: str | None = None) -> Result:
    """Run ``flask`` with ``args``."""
    return app.test_cli_runner().invoke(args=args, input=typed)


def first_password(result: Result) -> str:
    """The password a command printed."""
    found = re.search(r"shown once.*: (\S+)$", result.stdout, re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_new_operator_goes_all_the_way(auth: Auth, app: Flask) -> None:
    """Random first password, mailed code, new password, the list."""
    result = run(app, *ADD)
    assert result.exit_code == 0
    first = first_password(result)
    assert len(first) >= 15
    auth.password("hanako", first)
    auth.address("h@example.jp")
    auth.code(auth.mailbox.code())
    assert auth.get("/cards").location == "/password"
    done = auth.post(
        "/password",
        current_password=first,
        new_password=PASSWORD,
        new_password_again=PASSWORD,
    )
    assert done.location == "/cards"


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["bare", "marked"])
def test_a_password_may_be_given(auth: Auth, app: Flask, mark: str) -> None:
    """--password-stdin prints none, and takes a file with a byte order mark;
    --no-change asks for no other."""
    typed = f"{mark}{PASSWORD}\n"
    result = run(app, *ADD, "--password-stdin", "--no-change", typed=typed)
    assert result.stdout == "added hanako\n"
    auth.password("hanako")
    auth.address("h@example.jp")
    auth.code(auth.mailbox.code())
    assert auth.get("/cards").status_code == 200


@pytest.mark.parametrize(
    ("args", "typed"),
    [
        (("operators", "add", LOGIN_ID, "--name", "A", "--email", ADDRESS), None),
        (("operators", "add", "a b", "--name", "A", "--email", ADDRESS), None),
        (("operators", "add", "unknown", "--name", "A", "--email", ADDRESS), None),
        (
            ("operators", "add", "4810000000020000", "--name", "A", "--email", ADDRESS),
            None,
        ),
        (("operators", "add", "x" * 65, "--name", "A", "--email", ADDRESS), None),
        (("operators", "add", "new", "--name", "A\tB", "--email", ADDRESS), None),
        (("operators", "add", "new", "--name", "A", "--email", "nowhere"), None),
        ((*ADD, "--password-stdin"), "too short 1\n"),
        ((*ADD, "--password-stdin"), "password1234567\n"),
        ((*ADD, "--password-stdin"), "花子2024-花子2024-x\n"),
        (("operators", "disable", "nobody"), None),
        (("operators", "enable", "nobody"), None),
        (("operators", "unlock", "nobody"), None),
        (("operators", "reset-password", "nobody"), None),
        (("operators", "reset-factors", "nobody"), None),
        (("operators", "reset-factors", LOGIN_ID), None),
        (("operators", "add-email", LOGIN_ID, ADDRESS.upper()), None),
        (("operators", "add-email", LOGIN_ID, "a@x.jp,e@y.jp"), None),
        (("operators", "remove-email", LOGIN_ID, "other@example.jp"), None),
        (("sessions", "end"), None),
        (("sessions", "end", LOGIN_ID, "--all"), None),
        (("sessions", "end", "nobody"), None),
    ],
)
def test_a_refusal_is_two_lines(
    auth: Auth, app: Flask, args: tuple[str, ...], typed: str | None
) -> None:
    """What is wrong and what to do; nothing is written."""
    before = trail(app)
    result = run(app, *args, typed=typed)
    assert result.exit_code == 2
    assert result.stdout == ""
    what, hint = result.stderr.splitlines()
    assert what.startswith("error: ")
    assert hint.startswith("hint: ")
    assert trail(app) == before
    assert auth.password().status_code == 303


def test_the_list_shows_every_state(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """active, locked, disabled, unused, first password."""

    def state() -> str:
        return run(app, "operators", "list").stdout.splitlines()[-1].split("\t")[2]

    assert run(app, "operators", "list").stdout == (
        f"{LOGIN_ID}\t山田 太郎\tactive\t{ADDRESS}\n"
    )
    for _ in range(5):
        auth.password(password="wrong password 123")
    assert state() == "locked"
    run(app, "operators", "unlock", LOGIN_ID)
    run(app, "operators", "disable", LOGIN_ID)
    assert state() == "disabled"
    run(app, "operators", "enable", LOGIN_ID)
    run(app, "operators", "reset-password", LOGIN_ID)
    assert state() == "first password"
    clock.advance(91 * 24 * 3600)
    assert state() == "unused"


@pytest.mark.parametrize(
    "args",
    [
        ("operators", "disable", LOGIN_ID),
        ("operators", "reset-password", LOGIN_ID),
        ("sessions", "end", LOGIN_ID),
        ("sessions", "end", "--all"),
    ],
)
def test_what_ends_a_login(auth: Auth, app: Flask, args: tuple[str, ...]) -> None:
    """At the operator's next request."""
    auth.login()
    assert run(app, *args).exit_code == 0
    assert auth.get("/cards").location == "/login"


def test_a_disabled_operator_can_be_enabled(auth: Auth, app: Flask) -> None:
    """Kept out, then let in."""
    run(app, "operators", "disable", LOGIN_ID)
    assert auth.password().status_code == 422
    run(app, "operators", "enable", LOGIN_ID)
    assert auth.password().status_code == 303


def test_an_unused_operator_can_be_enabled(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """The ninety days begin anew."""
    clock.advance(91 * 24 * 3600)
    assert auth.password().status_code == 422
    run(app, "operators", "enable", LOGIN_ID)
    assert auth.password().status_code == 303


def test_a_reset_password_is_a_first_one(auth: Auth, app: Flask) -> None:
    """The old one is dead; a lock is lifted."""
    for _ in range(5):
        auth.password(password="wrong password 123")
    new = first_password(run(app, "operators", "reset-password", LOGIN_ID))
    assert auth.password().status_code == 422
    assert auth.password(password=new).status_code == 303


def test_a_reset_password_dies_after_a_day(
    auth: Auth, app: Flask, clock: FakeClock
) -> None:
    """As a first one does (AUT-07)."""
    new = first_password(run(app, "operators", "reset-password", LOGIN_ID))
    clock.advance(24 * 3600 + 1)
    assert auth.password(password=new).status_code == 422


def test_addresses_come_and_go(auth: Auth, app: Flask) -> None:
    """A bound address gets the code, an unbound one no more."""
    run(app, "operators", "add-email", LOGIN_ID, "new@example.co.jp")
    run(app, "operators", "remove-email", LOGIN_ID, ADDRESS.upper())
    auth.password()
    auth.address("new@example.co.jp")
    assert auth.mailbox.message()["To"] == "new@example.co.jp"


def test_sessions_are_listed(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """Login ID, step, origin, idle minutes; nothing once it is over."""
    auth.login()
    clock.advance(180)
    assert (
        run(app, "sessions", "list").stdout
        == f"{LOGIN_ID}\tin\t127.0.0.1\t3\t2026-11-23T12:00:00+09:00\n"
    )
    clock.advance(901)
    assert run(app, "sessions", "list").stdout == ""


def test_every_act_is_in_the_trail(auth: Auth, app: Flask) -> None:
    """With the account that ran the command as its actor."""
    assert auth.app is app
    run(app, *ADD)
    run(app, "operators", "add-email", "hanako", "h2@example.jp")
    run(app, "operators", "remove-email", "hanako", "h@example.jp")
    run(app, "operators", "reset-password", "hanako")
    run(app, "operators", "disable", "hanako")
    run(app, "operators", "enable", "hanako")
    run(app, "operators", "unlock", "hanako")
    run(app, "sessions", "end", "--all")
    events = [event for event, _, actor in trail(app) if actor != "ops"]
    assert events == [
        "operator.added",
        "operator.address_added",
        "operator.address_removed",
        "operator.password_reset",
        "operator.disabled",
        "operator.enabled",
        "operator.unlocked",
        "session.ended",
    ]


def test_every_command_has_help_and_an_example() -> None:
    """What it does, and a line to copy."""
    groups = (auth_commands.operators, auth_commands.sessions)
    verbs = [verb for group in groups for verb in group.commands.values()]
    for verb in [*verbs, cli.migrate]:
        assert isinstance(verb, click.Command)
        assert verb.help
        assert f"flask --app wsgi {verb.name}" in (verb.epilog or "") or (
            f" {verb.name} " in f"{verb.epilog} "
        )


# --- migrate


@pytest.fixture
def unmigrated(make_app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flask:
    """The site as the flask command sees it, its database not there yet."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    made: Flask = make_app(DATABASE_URL=f"sqlite:///{tmp_path / 'new' / 'site.db'}")
    return made


def test_migrate_makes_the_tables(unmigrated: Flask) -> None:
    """In a folder made for them; twice is once; --check then says 0."""
    assert run(unmigrated, "migrate", "--check").exit_code == 1
    assert run(unmigrated, "migrate").exit_code == 0
    assert "operator" in inspect(unmigrated.extensions["site_engine"]).get_table_names()
    assert run(unmigrated, "migrate").exit_code == 0
    assert run(unmigrated, "migrate", "--check").exit_code == 0


def test_check_changes_nothing(unmigrated: Flask) -> None:
    """It says what is behind and what to do."""
    result = run(unmigrated, "migrate", "--check")
    assert f"site\tnone\t{HISTORY.head()}" in result.stdout
    assert "flask --app wsgi migrate" in result.stderr
    assert inspect(unmigrated.extensions["site_engine"]).get_table_names() == []


def test_other_commands_say_what_is_missing(unmigrated: Flask) -> None:
    """No trace: the fault in a line, the next step in another."""
    run(unmigrated, "migrate", "--check")
    result = run(unmigrated, "operators", "list")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "hint: flask --app wsgi migrate --check"


def test_a_site_behind_its_code_does_not_start(
    app: Flask, environ: dict[str, str]
) -> None:
    """Only the flask command may run on it (WEB-04)."""
    assert app.name
    HISTORY.downgrade(connect(environ["DATABASE_URL"]), "0001")
    with pytest.raises(ConfigError, match="0001"):
        safe_config(environ)
    assert safe_config({**environ, "FLASK_RUN_FROM_CLI": "true"})


def test_every_fault_is_in_one_message(
    place: VaultPlace, environ: dict[str, str], tmp_path: Path
) -> None:
    """Both databases behind: both are named (WEB-04)."""
    VAULT_HISTORY.downgrade(place.engine, "base")
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    with pytest.raises(ConfigError, match=r"(?s)site database.*vault database"):
        safe_config({**environ, "DATABASE_URL": empty})


def test_an_id_taken_while_the_password_is_hashed_is_named(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command added it after this one looked."""
    hasher = app.extensions["hasher"]
    made = hasher.hash

    def overtaken(password: str) -> str:
        """The hash, made while another command adds the same ID."""
        monkeypatch.setattr(hasher, "hash", made)
        assert run(app, *ADD).exit_code == 0
        return str(made(password))

    monkeypatch.setattr(hasher, "hash", overtaken)
    result = run(app, *ADD)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: the login ID hanako is taken\nhint: ")
    added = [entry for entry in trail(app) if entry[0] == "operator.added"]
    assert len(added) == 1


def test_an_id_the_login_page_would_fold_is_refused(app: Flask) -> None:
    """Nobody could log in with it, because what they type is folded first."""
    ran = app.test_cli_runner().invoke(
        args=[
            "operators",
            "add",
            "ｔａｒｏ",
            "--name",
            "太郎",
            "--email",
            "a@example.jp",
        ]
    )
    assert (ran.exit_code, "half width" in ran.stderr) == (2, True), ran.output
