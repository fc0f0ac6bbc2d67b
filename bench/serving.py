"""Pages and registrations over HTTP by 1 to 16 clients, alone and beside a rotation,
and the floor beside them: a bare view under the same gunicorn.

Each client is a process, so that what a client costs doesn't wait for another.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.auth.passwords import Hasher
from app.auth.service import add_operator
from tests.actors.mail import Mails, receiving
from tests.actors.operator_http import Desk
from tests.places.filled_vault import fill
from tests.places.site import BIN, PASSWORD, ROOT, Place, free_port
from vault.clock import system_clock
from vault.store.database import connect

from .server import Server

CLIENTS = (1, 4, 8, 16)
REGISTERING = (1, 4)
SEARCHING = 2
SECONDS = float(os.environ.get("HTTP_SECONDS", "5"))
START_SECONDS = 30
HIDDEN = re.compile(r'name="(csrf_token|ticket)"[^>]* value="([^"]*)"')
FLOOR_TABLE = "CREATE TABLE IF NOT EXISTS floor (said TEXT)"
FIELDS = {
    "customer_name": "山田",
    "phone": "090-0000-0000",
    "card_number_1": "4810000000020000",
    "exp_month": "1",
    "exp_year": "2030",
    "confirmed": "y",
}


@dataclass(frozen=True)
class Answered:
    """What so many clients were answered: a second, milliseconds in the median and at
    99 %, and how many answers were none of the expected."""

    clients: int
    rate: float
    median: float
    nearly_all: float
    errors: int


class Line:
    """One client's way to the site."""

    def __init__(self, port: int, cookie: str) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Cookie": cookie} if cookie else {}

    def ask(self, path: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
        """The status and the text of an answer."""
        headers, body, method = dict(self._headers), None, "GET"
        if fields is not None:
            method, body = "POST", urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._http.request(method, path, body, headers)
        with self._http.getresponse() as answer:
            return answer.status, answer.read().decode()


def page(line: Line) -> tuple[float, bool]:
    """The list, once: seconds, and whether it came."""
    began = time.perf_counter()
    status, _ = line.ask("/cards")
    return time.perf_counter() - began, status == HTTPStatus.OK


def registration(line: Line) -> tuple[float, bool]:
    """A form sent, once; its page is asked for before, and not in the seconds."""
    _, shown = line.ask("/cards")
    fields = FIELDS | dict(HIDDEN.findall(shown))
    began = time.perf_counter()
    status, _ = line.ask("/cards", fields)
    return time.perf_counter() - began, status == HTTPStatus.SEE_OTHER


def search(line: Line, asked: str) -> tuple[float, bool]:
    """A search, once."""
    began = time.perf_counter()
    status, _ = line.ask(f"/cards?q={asked}")
    return time.perf_counter() - began, status == HTTPStatus.OK


def floor(line: Line, *, writes: bool) -> tuple[float, bool]:
    """One read, or one durable insert, behind a bare view."""
    began = time.perf_counter()
    status, _ = line.ask("/write", {}) if writes else line.ask("/read")
    return time.perf_counter() - began, status == HTTPStatus.OK


Act = Callable[[Line], tuple[float, bool]]


def crowd(port: int, act: Act, cookies: list[str], seconds: float) -> Answered:
    """A client for each of ``cookies``, who acts again and again for ``seconds``."""
    spawn = multiprocessing.get_context("fork")
    told, start = spawn.SimpleQueue(), spawn.Barrier(len(cookies))
    given = [(port, act, cookie, seconds, start, told) for cookie in cookies]
    processes = [spawn.Process(target=_client, args=one) for one in given]
    for process in processes:
        process.start()
    waits: list[float] = []
    errors = 0
    for _ in processes:
        spent, wrong = told.get()
        waits += spent
        errors += wrong
    for process in processes:
        process.join()
    waits.sort()
    median, nearly_all = (
        1000 * waits[len(waits) * part // 100] if waits else 0.0 for part in (50, 99)
    )
    return Answered(len(cookies), len(waits) / seconds, median, nearly_all, errors)


def _client(
    port: int, act: Act, cookie: str, seconds: float, start: Any, told: Any
) -> None:
    line, waits, errors = Line(port, cookie), [], 0
    act(line)
    start.wait()
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        try:
            spent, right = act(line)
        except OSError:
            right = False
            line = Line(port, cookie)
        if right:
            waits.append(spent)
        else:
            errors += 1
    told.put((waits, errors))


def hire(place: Place, count: int) -> list[str]:
    """Add operators, their password hashed once; their login IDs."""
    hashed, names = Hasher(19456).hash(PASSWORD), [f"op{n}" for n in range(count)]
    engine = connect(place.environ()["DATABASE_URL"])
    with Session(engine) as site:
        for name in names:
            mail, now = [f"{name}@example.co.jp"], system_clock()
            add_operator(site, name, "山田", mail, hashed, must_change=False, now=now)
        site.commit()
    engine.dispose()
    return names


def cookies(place: Place, mails: Mails, count: int) -> list[str]:
    """Log so many operators in; the Cookie header of each."""
    held = []
    for login_id in hire(place, count):
        desk = Desk(place)
        desk.login(login_id, mails)
        held.append("; ".join(f"{cookie.name}={cookie.value}" for cookie in desk.jar))
    return held


@contextmanager
def bare(url: str) -> Iterator[int]:
    """gunicorn on the floor, with the site's own settings; its port."""
    engine = create_engine(url)
    with engine.begin() as db:
        db.exec_driver_sql(FLOOR_TABLE)
    engine.dispose()
    with _served("bench.floor:app", {**os.environ, "FLOOR_URL": url}) as port:
        yield port


@contextmanager
def _served(app: str, environ: Mapping[str, str]) -> Iterator[int]:
    """gunicorn on an ``app``, with the site's own settings; its port."""
    port = free_port()
    served = subprocess.Popen(
        [str(BIN / "gunicorn"), "--bind", f"127.0.0.1:{port}", app],
        env=environ,
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(port)
        yield port
    finally:
        served.terminate()
        served.wait()


def _await(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            Line(port, "").ask("/read")
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def rotating(place: Place) -> Iterator[None]:
    """Rotation after rotation until the end of the block."""
    stop = threading.Event()

    def rotate() -> None:
        while not stop.is_set():
            done = place.ops("rotate")
            if done.returncode:
                raise RuntimeError(done.stderr)

    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def databases(folder: Path, *, postgresql: bool) -> Iterator[dict[str, str]]:
    """The URLs of the site's, the vault's and the floor's database."""
    names = ("DATABASE_URL", "VAULT_DATABASE_URL", "FLOOR_URL")
    if not postgresql:
        yield {name: f"sqlite:///{folder}/{name.lower()}.db" for name in names}
        return
    server = Server().make()
    try:
        with ExitStack() as stack:
            yield {
                name: stack.enter_context(server.database(name.lower()))
                for name in names
            }
    finally:
        server.remove()


def measure(
    folder: Path, count: int, *, postgresql: bool
) -> Iterator[tuple[str, list[Answered]]]:
    """What is measured, and what 1 to 16 clients were answered; ``count`` cards in the
    vault, as many customers as were registered."""
    folder.mkdir(parents=True)
    mails = Mails()
    with ExitStack() as stack:
        port = stack.enter_context(receiving(mails))
        urls = stack.enter_context(databases(folder, postgresql=postgresql))
        floor_port = stack.enter_context(bare(urls.pop("FLOOR_URL")))
        place = Place(folder, mail_port=port, more=urls).make()
        fill(place, count)
        stack.enter_context(place.serving(anew=True))
        held = cookies(place, mails, max(CLIENTS))
        # A list of a full page, whoever looks first.
        crowd(place.port, registration, held[:1], 2.0)
        for writes, name, act in (
            (False, "GET /cards", page),
            (True, "POST /cards", registration),
        ):
            yield f"{name}, floor", _all(floor_port, partial(floor, writes=writes))
            yield name, _all(place.port, act, held)
            with rotating(place):
                yield f"{name} beside a rotation", _all(place.port, act, held)


def beside_searches(
    folder: Path, count: int, *, postgresql: bool
) -> Iterator[tuple[str, Answered]]:
    """What one and four clients who register were answered alone and beside two who
    ask for a search of a second again and again, and what those two were."""
    folder.mkdir(parents=True)
    mails = Mails()
    with ExitStack() as stack:
        port = stack.enter_context(receiving(mails))
        urls = stack.enter_context(databases(folder, postgresql=postgresql))
        urls.pop("FLOOR_URL")
        place = Place(folder, mail_port=port, more=urls).make()
        fill(place, count)
        with place.serving(anew=True):
            held = cookies(place, mails, max(REGISTERING) + SEARCHING)
        slow = stack.enter_context(_served("bench.slow:app", place.environ()))
        crowd(slow, registration, held[:1], 2.0)
        searchers, others = held[:SEARCHING], held[SEARCHING:]
        for clients in REGISTERING:
            yield "alone", crowd(slow, registration, others[:clients], SECONDS)
            for asked in ("sleep", "compute"):
                with ThreadPoolExecutor(1) as thread:
                    given = slow, partial(search, asked=asked), searchers, SECONDS
                    searched = thread.submit(crowd, *given)
                    registered = crowd(slow, registration, others[:clients], SECONDS)
                yield f"beside searches that {asked}", registered
                yield "  those searches", searched.result()


def _all(port: int, act: Act, held: list[str] | None = None) -> list[Answered]:
    known = held or [""] * max(CLIENTS)
    return [crowd(port, act, known[:count], SECONDS) for count in CLIENTS]
