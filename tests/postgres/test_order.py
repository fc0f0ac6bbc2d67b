"""No two requests wait for each other, within a database or across the two (LCK-01).

Each pair of acts on one operator or one customer is tried with the first stopped
before each of its statements in turn, until the second is answered or waits for it.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.orm import Session

from app import create_app
from app.auth import codes, logins
from app.auth.guard import COOKIE
from app.auth.models import Operator
from app.auth.passwords import Hasher
from app.auth.service import add_operator
from app.cards import reconcile
from app.cards.models import Customer
from app.db import Work
from app.migrations import HISTORY
from config import Config
from tests.actors.forms import csrf
from tests.actors.operator_client import A_CARD, Desk, boxes
from tests.places.postgres_cluster import Cluster
from tests.places.vault import EXPIRY, NOON, VISA, FakeClock, VaultPlace
from tests.postgres.many import until
from vault import Actor, Pan, Vault, WebKey
from vault.ops import RootKey
from vault.ops.create import create_vault
from vault.store.database import connect

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

# Who waits for each other is told apart from who is slow: nothing else ends a wait.
PATIENT = "?options=-c%20lock_timeout%3D20s%20-c%20synchronous_commit%3Doff"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
# What another may have to wait for, and what comes right before a commit.
HOLDS = re.compile(r"INSERT|UPDATE|DELETE|advisory|statement_timeout', '0'")
PASSWORD, ADDRESS, CODE = "correct horse battery 5", "taro@example.co.jp", "abcdefgh"
OPS = Actor("ops", "command")
ANSWER_SECONDS = 60


@dataclass
class Stop:
    """Stops one thread before a statement, until it may go on; ``there`` is set when
    it has come to it or to its end."""

    thread: int = 0
    left: int = -1
    came: bool = False
    there: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def look(self, statement: str) -> None:
        """Stop if this is the thread's statement to stop before."""
        if threading.get_ident() != self.thread or not HOLDS.search(statement):
            return
        self.left -= 1
        if self.left == -1:
            self.came = True
            self.there.set()
            assert self.go.wait(ANSWER_SECONDS)


@dataclass
class Here:
    """A site on PostgreSQL in this process, and who looks at both databases."""

    app: Flask
    watcher: Engine
    password_hash: str
    numbers: Iterator[int] = field(default_factory=itertools.count)
    stop: Stop = field(default_factory=Stop)

    @property
    def site(self) -> Engine:
        """The site's database."""
        engine: Engine = self.app.extensions["site_engine"]
        return engine

    def look(self, *args: Any) -> None:
        """SQLAlchemy's hook before each statement."""
        self.stop.look(args[2])

    def waiting(self) -> bool:
        """Say whether anybody waits for a lock."""
        with self.watcher.connect() as db:
            return bool(db.execute(text(WAITING)).scalar_one())

    def operator(self) -> str:
        """The login ID of an operator nobody has used yet."""
        login_id = f"taro{next(self.numbers)}"
        with Session(self.site) as site:
            add_operator(
                site,
                login_id,
                "山田",
                [ADDRESS],
                self.password_hash,
                must_change=False,
                now=NOON,
            )
            site.commit()
        return login_id

    def visitor(self, login_id: str, step: str) -> FlaskClient:
        """A browser in a login of its own at ``step``; at "code" CODE was sent."""
        client = self.app.test_client()
        with Session(self.site) as site:
            operator = site.scalars(
                select(Operator).where(Operator.login_id == login_id)
            ).one()
            login = logins.named(site, logins.begin(site, operator, "192.0.2.1", NOON))
            assert login is not None
            login.address = ADDRESS
            login, cookie = logins.advance(site, login, step, NOON)
            if step == "code":
                key = self.app.extensions["code_key"]
                codes.keep(site, login, codes.digest(key, login, CODE), NOON)
            site.commit()
        with client.session_transaction() as session:
            session[COOKIE] = cookie
        return client

    @cached_property
    def desks(self) -> tuple[Desk, Desk]:
        """Two operators at the list."""
        one, two = (self.visitor(self.operator(), "in") for _ in range(2))
        return Desk(self.app, one), Desk(self.app, two)


@pytest.fixture(scope="module")
def here(
    server: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
    keys: tuple[WebKey, RootKey],
) -> Iterator[Here]:
    """The site, its statements looked at."""
    folder, clock = tmp_path_factory.mktemp("order"), FakeClock()
    keys[0].write(folder / "web.key")
    with server.database("order_site") as site, server.database("order_vault") as vault:
        engine = connect(vault)
        create_vault(*keys, engine, clock, OPS)
        engine.dispose()
        environ = {
            "SECRET_KEY": "a secret of at least thirty-two bytes",
            "DATABASE_URL": site + PATIENT,
            "VAULT_DATABASE_URL": vault + PATIENT,
            "VAULT_WEB_KEY": str(folder / "web.key"),
            "ALLOW_INSECURE_LOOPBACK": "1",
        }
        app = create_app(Config.from_environ(environ), clock)
        app.extensions["hasher"] = Hasher(1024)
        app.extensions["outbox"].put = lambda _letter: None
        HISTORY.upgrade(app.extensions["site_engine"])
        watcher = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
        made = Here(app, watcher, app.extensions["hasher"].hash(PASSWORD))
        engines = (made.site, app.extensions["vault"].engine)
        for looked_at in engines:
            event.listen(looked_at, "before_cursor_execute", made.look)
        yield made
        for looked_at in (*engines, watcher):
            looked_at.dispose()


Act = Callable[[], int]
"""An act ready to be done: it answers with a status, 0 of a command."""


def meet(here: Here, first: Act, second: Act, at: int) -> tuple[int, int] | None:
    """The answers of both when the first is stopped before its statement number
    ``at``; None when it has no such statement and the second came after it."""
    here.stop = Stop(left=at)
    with ThreadPoolExecutor(2) as threads:

        def stopped() -> int:
            here.stop.thread = threading.get_ident()
            try:
                return first()
            finally:
                here.stop.thread = 0  # the next act may be this thread's too
                here.stop.there.set()

        one = threads.submit(stopped)
        assert here.stop.there.wait(ANSWER_SECONDS)
        two = threads.submit(second)
        try:
            until(lambda: two.done() or here.waiting())
        finally:
            here.stop.go.set()
        answers = _answer(one), _answer(two)
    return answers if here.stop.came else None


def _answer(running: Future[int]) -> int:
    return running.result(ANSWER_SECONDS)


def pairs(acts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every act with every other and itself.  One order of the two is enough: where
    each holds what the other wants, the first is stopped when it holds its own."""
    return list(itertools.combinations_with_replacement(acts, 2))


# --- On one customer.


def customer_act(here: Here, desk: Desk, name: str, public_id: str) -> Act:
    """An act on a customer, the form filled in."""
    if name == "reconcile":
        seal_alone(here)
        return lambda: mend(here)
    if name == "register":
        desk.open("/cards")
        path, fields = "/cards", desk.filled("登録", **A_CARD)
    else:
        path = f"/cards/{public_id}/edit"
        desk.open(path)
        button = "削除" if name == "delete" else "更新"
        changes = {
            "name": {"customer_name": "B"},
            "expiry": {"exp_month": "12", "exp_year": "2031"},
            "number": boxes("5555", "5555", "5555", "4444"),
            "delete": {},
        }
        fields = desk.filled(button, confirmed="y", **changes[name])
    return lambda: desk.send(path, fields).status_code


def seal_alone(here: Here) -> None:
    """A card that a crash left two hours ago."""
    vault = here.app.extensions["vault"]
    other = Vault(vault.web_key, vault.engine, FakeClock(NOON - 7200))
    with vault.engine.begin() as db:
        other.tokenize(db, Pan.parse(VISA), EXPIRY, OPS)


def mend(here: Here) -> int:
    """What ``cards reconcile --apply`` does."""
    vault = here.app.extensions["vault"]
    work = Work(here.site, vault)
    try:
        found = reconcile.orphans(work, vault, NOON)
        due = [orphan for orphan in found if not orphan.young]
        list(reconcile.remove(work, vault, due, OPS))
        list(reconcile.other_expiries(work, vault, NOON, OPS, applied=True))
    finally:
        work.close()
    return 0


CUSTOMER_ACTS = ("register", "name", "expiry", "number", "delete", "reconcile")
TOLD_LATER = {404, 409}


@pytest.mark.parametrize(("first", "second"), pairs(CUSTOMER_ACTS))
def test_two_acts_on_one_customer(here: Here, first: str, second: str) -> None:
    """Both are answered; of two changes one is told that it came too late."""
    for at in itertools.count():
        one, two = here.desks
        public_id = one.register()
        act = customer_act(here, one, first, public_id)
        other = customer_act(here, two, second, public_id)
        answers = meet(here, act, other, at)
        if answers is None:
            break
        apart = {first, second} & {"register", "reconcile"}
        if apart:
            assert set(answers) <= {0, 303}, (at, answers)
        else:
            assert 303 in answers, (at, answers)
            assert set(answers) - {303} <= TOLD_LATER, (at, answers)
            assert answers != (303, 303), at
    assert first == "reconcile" or at > 2


# --- On one operator.


def operator_act(here: Here, name: str, login_id: str) -> Act:
    """An act of an operator, or of a stranger who knows the login ID."""
    if name in ("wrong password", "right password"):
        client, page = here.app.test_client(), "/login"
        typed = PASSWORD if name.startswith("right") else "no such password 1"
        fields = {"login_id": login_id, "password": typed}
        path = "/login"
    else:
        step = {"ask": "password", "again": "code", "logout": "in", "change": "in"}
        client = here.visitor(login_id, step.get(name, "code"))
        page, path, fields = {
            "ask": ("/login/email", "/login/email", {"email": ADDRESS}),
            "again": ("/login/code", "/login/code/resend", {}),
            "right code": ("/login/code", "/login/code", {"code": CODE}),
            "wrong code": ("/login/code", "/login/code", {"code": "22222222"}),
            "logout": ("/cards", "/logout", {}),
            "change": (
                "/password",
                "/password",
                {
                    "current_password": PASSWORD,
                    "new_password": "another horse battery 6",
                    "new_password_again": "another horse battery 6",
                },
            ),
        }[name]
    fields["csrf_token"] = csrf(client.get(page).text)
    return lambda: client.post(path, data=fields).status_code


OPERATOR_ACTS = (
    "wrong password",
    "right password",
    "ask",
    "again",
    "right code",
    "wrong code",
    "logout",
    "change",
)


@pytest.mark.parametrize(("first", "second"), pairs(OPERATOR_ACTS))
def test_two_acts_on_one_operator(here: Here, first: str, second: str) -> None:
    """Both are answered with a page of theirs, whoever comes first."""
    for at in itertools.count():
        login_id = here.operator()
        act = operator_act(here, first, login_id)
        other = operator_act(here, second, login_id)
        with here.site.begin() as db:
            # Nobody is held off for what the others did.
            db.execute(text("DELETE FROM origin_failure"))
        answers = meet(here, act, other, at)
        if answers is None:
            break
        assert set(answers) <= {303, 422, 429}, (at, answers)
    assert at > 1


def test_all_logins_end_while_one_goes_on(here: Here) -> None:
    """``sessions end --all`` and a code that is right."""

    def end_all() -> int:
        words = ["sessions", "end", "--all"]
        return here.app.test_cli_runner().invoke(args=words).exit_code

    for at in itertools.count():
        login_id = here.operator()
        here.visitor(login_id, "in")
        act = operator_act(here, "right code", login_id)
        if (answers := meet(here, act, end_all, at)) is None:
            break
        assert answers == (303, 0)
        login_id = here.operator()
        act = operator_act(here, "right code", login_id)
        assert meet(here, end_all, act, at) in (None, (0, 303))


def test_nothing_was_lost_meanwhile(
    here: Here, tmp_path: Path, keys: tuple[WebKey, RootKey]
) -> None:
    """After all of it each customer has a card, and the trail is whole."""
    engine = here.app.extensions["vault"].engine
    place = VaultPlace(tmp_path, "", *keys, engine, FakeClock())
    assert place.findings() == {}
    with Session(here.site) as site:
        tokens = set(site.scalars(select(Customer.token)))
    vault = here.app.extensions["vault"]
    with engine.connect() as db:
        assert vault.missing(db, tokens) == {}
        assert {card[1] for card in vault.page_of_cards(db, 0, 10**6)} == tokens
