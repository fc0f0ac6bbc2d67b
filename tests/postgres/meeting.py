"""Two acts that meet: the first is stopped before a statement of its own, until the
second is answered or waits for it."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Flask
from flask.cli import ScriptInfo
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, event, select, text
from sqlalchemy.orm import Session

from app import create_app
from app.auth import codes, logins
from app.auth.guard import COOKIE
from app.auth.models import Operator
from app.auth.passwords import Hasher
from app.auth.service import add_operator
from app.migrations import HISTORY
from config import Config
from tests.actors.operator_client import Desk
from tests.lengths import at_length
from tests.places.postgres_cluster import Cluster
from tests.places.vault import NOON, FakeClock
from tests.postgres.many import until
from vault import Actor, Vault, WebKey
from vault.ops import OpenVault, RootKey
from vault.ops.create import create_vault
from vault.store.database import connect

# The limits are the site's own: PostgreSQL's clock ends a wait of two seconds.
OPTIONS = "?options=-c%20synchronous_commit%3Doff"
TIMED_OUT = "due to lock timeout"
# A machine that is busy can make somebody wait so long, but not at every try.
TRIES = 4
SLOW = (-1, -1)
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
# What another may have to wait for, and what comes before the trail is locked.
HOLDS = re.compile(r"INSERT|UPDATE|DELETE|advisory|statement_timeout', '0'")
PASSWORD, ADDRESS, CODE = "correct horse battery 5", "taro@example.co.jp", "abcdefgh"
OPS = Actor("ops", "command")
# Only what hangs takes so long; a rotation looks at each key there ever was, and takes
# longer the more of them these tests have made.
ANSWER_SECONDS = 300
# How long to look at the second act before asking whether it waits.
LOOK_SECONDS = 0.02


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
    """A site on PostgreSQL in this process with the keys of its vault, and who looks at
    both databases."""

    app: Flask
    folder: Path
    web_key: WebKey
    root_key: RootKey
    watcher: Engine
    log: Path
    password_hash: str
    numbers: Iterator[int] = field(default_factory=itertools.count)
    stop: Stop = field(default_factory=Stop)
    slow: bool = False

    def stops(self, first: int = 0, stride: int = 1) -> Iterator[int]:
        """The statements to stop before, from number ``first`` on, or with AT_LENGTH
        all; one at which somebody waited for two seconds comes once more, and not for
        ever."""
        for at in itertools.count(at_length(first, 0), at_length(stride, 1)):
            for _ in range(TRIES):
                self.slow = False
                yield at
                if not self.slow:
                    break
            assert not self.slow, f"at {at} somebody waits for two seconds each time"

    @property
    def site(self) -> Engine:
        """The site's database."""
        engine: Engine = self.app.extensions["site_engine"]
        return engine

    @property
    def vault(self) -> Vault:
        """The site's vault."""
        opened: Vault = self.app.extensions["vault"]
        return opened

    def open_vault(self) -> OpenVault:
        """The ops role, as a command of this moment has it."""
        vault = self.vault
        return OpenVault(vault.web_key, self.root_key, vault.engine, vault.clock)

    def renew(self, web_key: WebKey) -> None:
        """Begin the site again with another web key."""
        vault, self.web_key = self.vault, web_key
        self.app.extensions["vault"] = Vault(web_key, vault.engine, vault.clock)

    def command(self, *words: str) -> int:
        """The exit code of one of the flask commands, in this thread."""
        info = ScriptInfo(create_app=lambda: self.app)
        try:
            done = self.app.cli.main(list(words), obj=info, standalone_mode=False)
        except SystemExit as ended:
            return int(ended.code or 0)
        return int(done or 0)

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


@contextmanager
def site_here(
    server: Cluster, folder: Path, keys: tuple[WebKey, RootKey], options: str = OPTIONS
) -> Iterator[Here]:
    """The site on two databases of the server, its statements looked at; ``options``
    end their URLs."""
    clock = FakeClock()
    keys[0].write(folder / "web.key")
    with server.database("order_site") as site, server.database("order_vault") as vault:
        engine = connect(vault)
        create_vault(*keys, engine, clock, OPS)
        engine.dispose()
        environ = {
            "SECRET_KEY": "a secret of at least thirty-two bytes",
            "DATABASE_URL": site + options,
            "VAULT_DATABASE_URL": vault + options,
            "VAULT_WEB_KEY": str(folder / "web.key"),
            "ALLOW_INSECURE_LOOPBACK": "1",
        }
        app = create_app(Config.from_environ(environ), clock)
        app.extensions["hasher"] = Hasher(1024)
        app.extensions["outbox"].put = lambda _letter: None
        HISTORY.upgrade(app.extensions["site_engine"])
        watcher = create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
        hashed = app.extensions["hasher"].hash(PASSWORD)
        made = Here(app, folder, *keys, watcher, server.folder / "log", hashed)
        engines = (made.site, made.vault.engine)
        for looked_at in engines:
            event.listen(looked_at, "before_cursor_execute", made.look)
        yield made
        for looked_at in (*engines, watcher):
            looked_at.dispose()


Act = Callable[[], int]
"""An act ready to be done: it answers with a status, 0 of a command."""


def meet(here: Here, first: Act, second: Act, at: int) -> tuple[int, int] | None:
    """The answers of both when the first is stopped before its statement number
    ``at``; None when it has no such statement and the second came after it; SLOW when
    the server ended a wait after two seconds by its own clock."""
    here.stop, known = Stop(left=at), here.log.stat().st_size
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
            until(lambda: _ends(two) or here.waiting(), ANSWER_SECONDS)
        finally:
            here.stop.go.set()
        answers = _answer(one), _answer(two)
    with here.log.open(errors="replace") as log:
        log.seek(known)
        here.slow = TIMED_OUT in log.read()
    if here.slow:
        return SLOW
    return answers if here.stop.came else None


def _ends(running: Future[int]) -> bool:
    """Say whether it has ended, or does within a moment."""
    return bool(wait([running], LOOK_SECONDS).done)


def _answer(running: Future[int]) -> int:
    return running.result(ANSWER_SECONDS)


def pairs(acts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every act with every other and itself.  One order of the two is enough: where
    each holds what the other wants, the first is stopped when it holds its own."""
    return list(itertools.combinations_with_replacement(acts, 2))
