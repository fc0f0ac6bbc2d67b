"""The site and the ops commands do all their work as the roles of the runbook (ATH-07)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from flask import Flask

from app import create_app
from app.auth.factors import totp
from app.auth.passwords import Hasher
from config import Config
from tests.actors.forms import CHANGE
from tests.actors.mail import Mails
from tests.actors.operator_client import LOGIN_ID, Auth, Desk, boxes
from tests.app.auth.authenticator import (
    Authenticator,
    enrol_app,
    enrol_passkey,
    give_passkey,
)
from tests.places.site import Place
from tests.places.vault import FakeClock
from vault import Actor, Expiry, Pan, Vault
from vault.clock import system_clock
from vault.commands import VERBS

from .roles import Roles, blocks, chapter

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

# Files alone, a database of SQLite's alone, or the owner's.
NOT_FOR_OPS = {"init", "backup", "restore", "pan-scan"}
FLASK = ("flask", "--app", "wsgi")
GOOD = (200, 302, 303, 404)
OLD = Expiry(2020, 1)


@pytest.fixture
def web(roles: Roles, mails: tuple[Mails, int]) -> Place:
    """The site's host."""
    place = roles.place("web1")
    place.mail_port = mails[1]
    return place


@pytest.fixture
def clock() -> FakeClock:
    """An hour ago: what is turned on from there is before the commands' own time."""
    return FakeClock(system_clock() - 3600)


@pytest.fixture
def app(web: Place, clock: FakeClock) -> Iterator[Flask]:
    """The site on the site's host, in this process."""
    made = create_app(Config.from_environ(web.environ()), clock)
    made.extensions["hasher"] = Hasher(1024)
    yield made
    made.extensions["site_engine"].dispose()
    made.extensions["vault"].engine.dispose()


def done(place: Place, *words: str, code: int = 0) -> str:
    """What a command says that ends with a code."""
    ran = place.run(*words)
    assert ran.returncode == code, f"{words}: {ran.stdout}{ran.stderr}"
    assert "denied" not in ran.stdout + ran.stderr
    return ran.stdout


def logged_in(app: Flask, mails: Mails, clock: FakeClock) -> Desk:
    """An operator who came in at the second try, after a wrong code, enrolled an app
    and a passkey, and came in by each of them."""
    client = app.test_client()
    auth = Auth(app, client, mails)
    assert auth.password(password="a wrong password 1").status_code == 422
    code = auth.to_code()
    auth.code("zzzzzzzz")
    assert auth.code(code).location == "/cards"
    seed, passkey = enrol_app(auth), Authenticator()
    assert enrol_passkey(auth, passkey).status_code == 303
    auth.logout()
    clock.advance(60)
    auth.password()
    assert auth.code(totp.code_at(seed, clock() // 30)).location == "/cards"
    auth.logout()
    auth.password()
    assert give_passkey(auth, passkey).location == "/cards"
    return Desk(app, client)


def every_page(desk: Desk, public_id: str) -> None:
    """Ask for every page there is."""
    for rule in desk.app.url_map.iter_rules():
        if "GET" in (rule.methods or ()):
            path = re.sub("<[^>]*>", public_id, rule.rule)
            answer = desk.open(path)
            assert answer.status_code in GOOD, f"{path}: {answer.status_code}"


def test_the_site_works_as_its_role(
    web: Place, app: Flask, mails: tuple[Mails, int], clock: FakeClock
) -> None:
    """Every page, each act on a customer, and every flask command but ``migrate``."""
    operators = (*FLASK, "operators")
    done(web, *FLASK, "migrate", "--check")
    web.add_operator(LOGIN_ID)
    desk = logged_in(app, mails[0], clock)
    first, second = desk.register(), desk.register(customer_name="B")
    every_page(desk, first)
    assert desk.change(first, exp_month="12", exp_year="2031").status_code == 303
    assert desk.change(first, customer_name="C").status_code == 303
    number = boxes("5555", "5555", "5555", "4444")
    assert desk.change(first, **number).status_code == 303
    assert desk.delete(second).status_code == 303
    every_page(desk, first)
    assert desk.press("/password", "変更", **CHANGE).status_code == 303
    (customer,) = desk.customers()
    assert customer.last4 == "4444"

    _files(web, str(customer.token))
    assert "C" in done(web, *FLASK, "cards", "list")
    done(web, *FLASK, "cards", "reconcile", "--apply")
    done(web, *FLASK, "sessions", "list")
    for words in (
        ("add-email", LOGIN_ID, "second@example.co.jp"),
        ("remove-email", LOGIN_ID, "second@example.co.jp"),
        ("disable", LOGIN_ID),
        ("enable", LOGIN_ID),
        ("unlock", LOGIN_ID),
        ("reset-password", LOGIN_ID),
        ("reset-factors", LOGIN_ID),
        ("list",),
    ):
        done(web, *operators, *words)
    done(web, *FLASK, "sessions", "end", "--all")


def _files(web: Place, token: str) -> None:
    """Take in customers, and the acquirer's answer about them, each file twice."""
    heading = "customer_name,phone,card_number,exp_month,exp_year"
    rows = [f"客{n},090-0000-{n:04},4810000000020000,1,2030" for n in range(20)]
    newcomers = web.folder / "customers.csv"
    newcomers.write_text("\n".join([heading, *rows, ""]), encoding="utf-8")
    changes = web.folder / "answer.csv"
    changes.write_text(f"token,exp_month,exp_year\n{token},1,2033\n")
    for verb, path in (("import", newcomers), ("update", changes)) * 2:
        done(web, *FLASK, "cards", verb, str(path))


def seal(app: Flask, *expiries: Expiry) -> list[str]:
    """Register cards as the site does."""
    vault: Vault = app.extensions["vault"]
    cards = [(Pan.parse("4810000000020000"), expiry) for expiry in expiries]
    with vault.engine.begin() as db:
        return list(map(str, vault.tokenize_many(db, cards, Actor("taro", "::1"))))


def test_every_ops_command_works_as_its_role(roles: Roles, app: Flask) -> None:
    """Each verb that works on the vault; what it leaves is whole."""
    ops = roles.place("ops1", DATABASE_URL="", VAULT_ROOT_KEY="root.key")
    tried: set[str] = set()

    def typed(*words: str, code: int = 0) -> str:
        tried.add(words[0])
        return done(ops, "cardvault", *words, code=code)

    expired, bad, *_ = seal(app, OLD, *[Expiry(2030, 1)] * 5)
    typed("status")
    typed("audit", "list")
    typed("audit", "anchor")
    told = typed("doctor", code=1)
    assert re.search(r"^ok +vault role: ops1 ", told, re.M), told
    assert re.search(r"^ok +vault TLS: sslmode=verify-full$", told, re.M), told
    assert re.search(r"^unknown +site database: DATABASE_URL is not set", told, re.M)
    assert expired in typed("purge", "--expired-for", "90", "--dry-run")
    typed("purge", "--expired-for", "90")
    typed("duplicates", code=1)
    _export(typed, ops.folder)
    _rotate(typed, roles, bad)
    _new_keys(typed, ops.folder)
    typed("verify")
    typed("audit", "verify")
    assert tried == set(VERBS) - NOT_FOR_OPS


def _export(typed: object, folder: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    words = ("--recipient", str(identity.to_public()), "--reason", "billing")
    assert callable(typed)
    typed("export", *words, "--out", str(folder / "cards.age"))


def _rotate(typed: object, roles: Roles, bad: str) -> None:
    """Twice: with workers, and with a card that can't be opened, which is given up."""
    assert callable(typed)
    typed("rotate", "--workers", "2", "--reason", "yearly")
    typed("report", "rotation")
    spoil = f"UPDATE card SET envelope = 'x' WHERE token = '{bad}'"
    roles.cluster.say(spoil, database="vault")
    typed("rotate", code=4)
    assert bad in typed("quarantine", "list")
    typed("quarantine", "drop", bad, "--reason", "no backup has it")
    typed("rotate")


def _new_keys(typed: object, folder: Path) -> None:
    """A root that is given up, one that is finished, a web key, and a lost one."""
    assert callable(typed)
    typed("root", "rotate")
    typed("root", "rotate", "--abandon")
    typed("root", "rotate")
    typed("root", "rotate", "--finalize")
    for name in ("root.key", "web.key"):
        (folder / f"{name}.new").replace(folder / name)
    typed("web-key", "rotate")
    (folder / "web.key.new").replace(folder / "web.key")
    (folder / "web.key").unlink()
    typed("web-key", "recover")


@pytest.mark.parametrize(
    ("login", "line"),
    [("web1@", "flask --app wsgi cards list"), ("ops1@", "cardvault status")],
)
def test_the_chapters_urls_are_right(roles: Roles, login: str, line: str) -> None:
    """The settings of a web host and of the ops machine, as they are printed; a login
    that is made later has its rights at once."""
    block = next(b for b in blocks("PostgreSQL: roles") if login in b)
    typed = roles.type(f"{block}export VAULT_WEB_KEY=web.key\n{line}\n")
    assert typed.returncode == 0, typed.stdout
    (made,) = re.findall(r"`(CREATE ROLE web2 [^`]*)`", chapter("PostgreSQL: roles"))
    roles.cluster.say(made)
    later = block.replace(login, "web2@")
    typed = roles.type(f"{later}export VAULT_WEB_KEY=web.key\ncardvault status\n")
    roles.cluster.say("DROP ROLE web2")
    assert typed.returncode == 0, typed.stdout


def test_a_backup_has_a_login_of_its_own(roles: Roles) -> None:
    """It reads both databases, as the runbook's lines make it, and writes neither; the
    site's login can make a backup too, and that of ops one of the vault."""
    block = next(b for b in blocks("PostgreSQL: roles") if "backup1" in b)
    typed = roles.type(block)
    assert typed.returncode == 0, typed.stdout
    for login, databases in {
        "backup1": ("site", "vault"),
        "web1": ("site", "vault"),
        "ops1": ("vault",),
    }.items():
        for database in databases:
            url = roles.url(login, database).replace("+psycopg", "")
            dumped = roles.type(f"pg_dump --format=custom --file=dump '{url}'\n")
            assert dumped.returncode == 0, dumped.stdout
            refused = roles.type(f"psql '{url}' --command='CREATE TABLE planted ()'\n")
            assert "permission denied" in refused.stdout
