"""Shared IDs: off unless allowed, told apart by address, over at their end (AUT-09)."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.actors.operator_client import ADDRESS, LOGIN_ID, Auth
from tests.places.site import PASSWORD
from tests.places.vault import NOON, FakeClock

from .records import change, scalar, trail

HANAKO, JIRO = "hanako@example.co.jp", "jiro@example.co.jp"
DAY = 24 * 3600
# NOON is the 23rd of November 2026; midnight in Japan is twelve hours away.
ENDS = NOON + 12 * 3600


def add(app: Flask, **changes: str) -> Result:
    """Add the shared ID ``counter`` for two persons, to the end of the day."""
    options = {
        "name": "受付",
        "reason": "one terminal at the counter",
        "approver": "山田 部長",
        "until": "2026-11-23",
        **changes,
    }
    words = ["operators", "add", "counter", "--email", HANAKO, "--email", JIRO]
    words += ["--password-stdin", "--no-change", "--shared"]
    for name, value in options.items():
        words += [f"--{name}", value]
    return app.test_cli_runner().invoke(args=words, input=f"{PASSWORD}\n")


def log_in(desk: Auth, address: str) -> None:
    """Log in as the person with ``address``."""
    desk.password("counter")
    desk.address(address)
    desk.code(desk.mailbox.code())


@pytest.fixture
def desk(auth: Auth, app: Flask) -> Auth:
    """A browser, and the ID allowed."""
    assert add(app).exit_code == 0
    return auth


def entries(app: Flask, name: str) -> list[Any]:
    """(event, subject) of everything ``name`` did."""
    query = "SELECT event, subject FROM audit_entry WHERE actor = ? ORDER BY seq"
    with app.extensions["vault"].engine.connect() as db:
        return [tuple(row) for row in db.exec_driver_sql(query, (name,))]


def test_the_confirmed_address_is_the_person_in_the_trail(
    desk: Auth, app: Flask
) -> None:
    """As it is stored, however it was typed; the ID is the login's subject."""
    log_in(desk, HANAKO.upper())
    desk.get("/cards.csv")
    desk.logout()
    assert entries(app, HANAKO) == [
        ("login.code", "counter"),
        ("login.logged_in", "counter"),
        ("cards.exported_masked", ""),
        ("login.logged_out", "counter"),
    ]


def test_before_the_code_nobody_is_named(desk: Auth, app: Flask) -> None:
    """A typed address proves nothing: the entries are the ID's."""
    desk.password("counter")
    desk.address(HANAKO)
    desk.code("22222222")
    desk.post("/logout", page="/login/code")
    assert ("login.logged_out", "success", "counter") in trail(app)
    assert entries(app, HANAKO) == []
    assert ("login.code", "failure", "counter") in trail(app)


def test_an_unshared_id_stays_one_persons(auth: Auth, app: Flask) -> None:
    """Whichever address the code went to."""
    auth.login()
    assert entries(app, ADDRESS) == []
    assert ("login.logged_in", "success", LOGIN_ID) in trail(app)


def test_each_person_has_one_login(desk: Auth, app: Flask, clock: FakeClock) -> None:
    """Another person's goes on, the same person's older one ends (SES-02)."""
    log_in(desk, HANAKO)
    clock.advance(60)
    other = Auth(app, app.test_client(), desk.mailbox)
    log_in(other, JIRO)
    assert desk.get("/cards").status_code == 200
    clock.advance(60)
    again = Auth(app, app.test_client(), desk.mailbox)
    log_in(again, HANAKO)
    assert desk.get("/cards").location == "/login"
    assert other.get("/cards").status_code == 200


@pytest.mark.parametrize(("now", "open_"), [(ENDS - 1, True), (ENDS, False)])
def test_it_ends_at_its_date(
    desk: Auth, app: Flask, clock: FakeClock, now: int, open_: bool
) -> None:
    """At midnight in Japan, for who is in as well; its state says so."""
    clock.now = now - 60
    log_in(desk, HANAKO)
    clock.now = now
    assert (desk.get("/cards").status_code == 200) is open_
    other = Auth(app, app.test_client(), desk.mailbox)
    assert (other.password("counter").status_code == 303) is open_
    listed = app.test_cli_runner().invoke(args=["operators", "list"]).stdout
    assert ("shared until 2026-11-23" if open_ else "ended") in listed


def test_enabling_does_not_lengthen_it(
    desk: Auth, app: Flask, clock: FakeClock
) -> None:
    """Another approval is another ID."""
    clock.now = ENDS
    app.test_cli_runner().invoke(args=["operators", "enable", "counter"])
    assert desk.password("counter").status_code == 422


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": ""},
        {"reason": "x" * 201},
        {"approver": " "},
        {"approver": "a\nb"},
        {"until": ""},
        {"until": "tomorrow"},
        {"until": "2026-11-22"},
        {"until": "2027-02-22"},
    ],
    ids=[
        "no reason",
        "long reason",
        "no approver",
        "two lines",
        "no end",
        "no date",
        "yesterday",
        "91 days",
    ],
)
def test_it_needs_reason_approver_and_a_near_end(
    app: Flask, changes: dict[str, str]
) -> None:
    """Two lines, exit 2, nobody added."""
    refused = add(app, **changes)
    assert refused.exit_code == 2
    assert len(refused.stderr.splitlines()) == 2
    assert scalar(app, "SELECT count(*) FROM operator") == 0


def test_ninety_days_are_allowed_and_told(app: Flask) -> None:
    """The trail keeps why, by whose leave and until when."""
    assert add(app, until="2027-02-21").exit_code == 0
    query = "SELECT detail FROM audit_entry WHERE event = 'operator.added'"
    with app.extensions["vault"].engine.connect() as db:
        told = db.exec_driver_sql(query).scalar_one()
    for word in ("one terminal at the counter", "山田 部長", "2027-02-21"):
        assert word in told


def test_the_reason_belongs_to_a_shared_id(app: Flask) -> None:
    """Said without --shared it is a mistake, not an ordinary ID."""
    words = ["operators", "add", "x", "--name", "X", "--email", HANAKO]
    words += ["--until", "2026-12-01"]
    refused = app.test_cli_runner().invoke(args=words)
    assert refused.exit_code == 2
    assert "--shared" in refused.stderr


def test_a_required_factor_takes_no_shared_ids(make_app: Any, app: Flask) -> None:
    """Its persons are told apart by mail alone."""
    assert app.name
    refused = add(make_app(LOGIN_FACTOR="totp"))
    assert refused.exit_code == 2
    assert "LOGIN_FACTOR" in refused.stderr


def test_a_shared_id_enrols_nothing(desk: Auth, make_app: Any) -> None:
    """The page says so, its link is not there, and a setting that requires one
    leads nowhere else."""
    log_in(desk, HANAKO)
    assert 'href="/factors"' not in desk.get("/cards").text
    for path in ("/factors", "/factors/totp"):
        answer = desk.get(path)
        assert answer.status_code == 403
        assert "共有のログインIDでは、ログイン方法を設定できません。" in answer.text
    strict = make_app(LOGIN_FACTOR="any-strong").test_client()
    cookie = desk.client.get_cookie("session")
    assert cookie is not None
    strict.set_cookie("session", cookie.value)
    assert strict.get("/cards").location == "/factors"


def test_an_address_taken_away_ends_its_persons_login(
    desk: Auth, app: Flask, clock: FakeClock
) -> None:
    """Who is in by it is out, who was mailed a code can't use it; others stay."""
    log_in(desk, HANAKO)
    clock.advance(60)
    other = Auth(app, app.test_client(), desk.mailbox)
    log_in(other, JIRO)
    words = ["operators", "remove-email", "counter", HANAKO.upper()]
    assert app.test_cli_runner().invoke(args=words).exit_code == 0
    assert desk.get("/cards").location == "/login"
    assert other.get("/cards").status_code == 200


def test_an_address_unbound_meanwhile_confirms_nobody(desk: Auth, app: Flask) -> None:
    """The right code to it is a wrong one."""
    desk.password("counter")
    desk.address(HANAKO)
    code = desk.mailbox.code()
    change(app, "DELETE FROM operator_address WHERE address = :a", a=HANAKO)
    assert "残り4回" in desk.code(code).text


def test_a_new_address_is_a_new_person(desk: Auth, app: Flask) -> None:
    """Bound by an administrator like any other."""
    words = ["operators", "add-email", "counter", "saburo@example.co.jp"]
    app.test_cli_runner().invoke(args=words)
    log_in(desk, "saburo@example.co.jp")
    assert len(entries(app, "saburo@example.co.jp")) == 2
