"""``operators list --csv``: what a review of the accounts asks for."""

from __future__ import annotations

import csv
import io

from flask import Flask

from app.auth.listing import COLUMNS
from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import FakeClock
from vault.clock import japan_stamp

NEW = "a longer phrase of others 7"


def listed(app: Flask) -> dict[str, dict[str, str]]:
    """The rows of the CSV by login ID, read as a program reads them."""
    ran = app.test_cli_runner().invoke(args=["operators", "list", "--csv"])
    assert ran.exit_code == 0, ran.output
    text = ran.stdout_bytes.decode("utf-8")
    assert text.startswith("\ufeff")
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    return {row["login_id"]: row for row in rows}


def test_every_date_is_there(auth: Auth, app: Flask, clock: FakeClock) -> None:
    """Made, logged in, password changed, disabled and enabled, each at its time."""
    made = listed(app)[LOGIN_ID]["made"]
    assert made
    never = listed(app)[LOGIN_ID]
    assert (never["last_login"], never["password_changed"], never["enabled"]) == (
        "",
        "",
        "",
    )
    clock.advance(3600)
    logged_in = japan_stamp(clock())
    auth.login()
    clock.advance(60)
    changed = japan_stamp(clock())
    auth.post(
        "/password",
        current_password=PASSWORD,
        new_password=NEW,
        new_password_again=NEW,
    )
    clock.advance(60)
    runner = app.test_cli_runner()
    runner.invoke(args=["operators", "disable", LOGIN_ID])
    assert listed(app)[LOGIN_ID]["state"] == "disabled"
    assert listed(app)[LOGIN_ID]["disabled"] == japan_stamp(clock())
    clock.advance(60)
    runner.invoke(args=["operators", "enable", LOGIN_ID])
    row = listed(app)[LOGIN_ID]
    assert row["made"] == made
    assert row["last_login"] == logged_in
    assert row["password_changed"] == changed
    assert row["enabled"] == japan_stamp(clock())
    assert row["disabled"] == ""
    assert row["factors"] == "mail"
    assert row["addresses"] == ADDRESS


def test_a_name_is_no_formula(app: Flask) -> None:
    """A spreadsheet that opens the file runs nothing."""
    words = ("operators", "add", "hanako", "--name", "=1+1", "--email", "h@example.jp")
    done = app.test_cli_runner().invoke(args=words)
    assert done.exit_code == 0, done.output
    assert listed(app)["hanako"]["name"] == "'=1+1"
