"""An operator at a real Chromium, which reports what is wrong with a page."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import (
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    Response,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import create_app
from app.auth import logins
from app.auth.guard import COOKIE
from app.auth.models import Operator
from app.auth.passwords import Hasher
from app.auth.service import add_operator
from config import Config
from tests.places.site import PASSWORD, ROOT, Place
from vault.clock import system_clock

from .mail import Mails

NARROW = 390
ARTEFACTS = ROOT / "tests" / "artefacts"
# A picture of a whole page costs as much as the page, and no test looks at it.
PICTURED = bool(os.environ.get("PICTURES") or os.environ.get("MANUAL_PICTURES"))
AXE = Axe()
# Notes whether what is pressed leaves the page: a script may keep it.
NOTE_LEAVING = """() => {
  const note = (event) => { window.leaves ||= !event.defaultPrevented; };
  window.leaves = false;
  window.addEventListener("submit", note);
  window.addEventListener("click", (event) => {
    if (event.target.closest("a[href]:not([href^='#'])")) note(event);
  });
}"""
# The page that was left has the mark of NOTE_LEAVING, the next has none.
IS_ON_ITS_WAY = "window.leaves === true || document.readyState !== 'complete'"
RUN_AXE = "axe.run({resultTypes: ['violations']})"


@dataclass
class Site:
    """A running site and its mail."""

    place: Place
    mails: Mails
    operators: int = 0

    @cached_property
    def app(self) -> Flask:
        """The same site in this process, for what is done behind its back."""
        return create_app(Config.from_environ(self.place.environ()))

    def operator(self) -> str:
        """A fresh operator's login ID: codes are a minute apart for each."""
        self.operators += 1
        login_id = f"operator{self.operators}"
        with Session(self.app.extensions["site_engine"]) as db:
            add_operator(
                db,
                login_id,
                "山田",
                [f"{login_id}@example.co.jp"],
                _hashed(),
                must_change=False,
                now=system_clock(),
            )
            db.commit()
        return login_id

    def cookie(self, login_id: str) -> str:
        """The session of a login of the operator's that has gone all the steps."""
        with Session(self.app.extensions["site_engine"]) as db:
            query = select(Operator).where(Operator.login_id == login_id)
            operator, now = db.scalars(query).one(), system_clock()
            login = logins.named(db, logins.begin(db, operator, "127.0.0.1", now))
            assert login is not None
            _, cookie = logins.advance(db, login, "in", now)
            db.commit()
        signer = self.app.session_interface.get_signing_serializer(self.app)  # type: ignore[attr-defined]
        return str(signer.dumps({COOKIE: cookie}))

    def end(self) -> None:
        """Let go of the databases."""
        if "app" in vars(self):
            self.app.extensions["site_engine"].dispose()
            self.app.extensions["vault"].engine.dispose()

    def end_logins(self, login_id: str) -> None:
        """End the operator's logins, and let the next code be sent at once."""
        ended = self.place.run("flask", "--app", "wsgi", "sessions", "end", login_id)
        assert ended.returncode == 0, ended.stderr
        with closing(sqlite3.connect(self.place.folder / "site.db")) as db:
            db.execute("UPDATE operator SET code_sent_at = 0")
            db.commit()


@cache
def _hashed() -> str:
    """PASSWORD's hash, as the demo on loopback makes it."""
    return Hasher(19456).hash(PASSWORD)


@dataclass
class Desk:
    """An operator at a browser.  ``wrong`` collects what a page did wrong,
    ``bodies`` every response the browser was given, unless ``keeps_bodies`` is off (a
    file that is saved has none, nor a page left at once), ``read`` the text of each page that
    was looked at, by its picture's name.  Without ``looks`` none is: a walk whose pages
    another test has looked at."""

    page: Page
    site: Site
    name: str
    wrong: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    read: dict[str, str] = field(default_factory=dict)
    dialogs: list[str] = field(default_factory=list)
    pictures: int = 0
    scripts: bool = True
    keeps_bodies: bool = True
    looks: bool = True

    def watch(self) -> None:
        """Note CSP violations, script errors, foreign requests and dialogs."""
        page = self.page
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("dialog", self._dialog)

    def _console(self, message: ConsoleMessage) -> None:
        # The browser logs every answer over 399; those are asserted elsewhere.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.accept()

    def _request(self, request: Request) -> None:
        if not request.url.startswith(self.site.place.url):
            self.wrong.append(f"a request outside the site: {request.url}")

    def _response(self, response: Response) -> None:
        if self.keeps_bodies and response.status not in (301, 302, 303, 204):
            self.bodies.append(response.body())

    def open(self, path: str) -> None:
        """Go to an address of the site."""
        self.page.goto(self.site.place.url + path)

    def press(self, label: str) -> None:
        """Press a button or link, and wait for the page it leads to; without scripts,
        tick its confirmation first."""
        target = self.page.get_by_role("button", name=label, exact=True)
        if target.count() == 0:
            target = self.page.get_by_role("link", name=label, exact=True)
        if not self.scripts:
            box = target.first.locator("xpath=..").get_by_role("checkbox")
            if box.count():
                box.check()
        self.page.evaluate(NOTE_LEAVING if self.scripts else "window.leaves = true")
        target.first.click()
        while self._is_on_its_way():
            self.page.wait_for_timeout(10)

    def _is_on_its_way(self) -> bool:
        try:
            return bool(self.page.evaluate(IS_ON_ITS_WAY))
        except Error as left:
            if "context was destroyed" not in left.message:
                raise
            return True

    def fill(self, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, value in fields.items():
            self.page.locator(f"[name={name}]").first.fill(value)

    def card(self, number: str, month: str = "", year: str = "") -> None:
        """Type a card number into the four boxes, and an expiry."""
        parts = [number[:4], number[4:8], number[8:12], number[12:]]
        self.fill(**{f"card_number_{i}": part for i, part in enumerate(parts, 1)})
        self.fill(exp_month=month, exp_year=year)

    def enter(self) -> str:
        """Be a fresh operator at the list, who went the steps earlier; returns the
        login ID."""
        login_id = self.site.operator()
        self.page.context.add_cookies(
            [
                {
                    "name": self.site.app.config["SESSION_COOKIE_NAME"],
                    "value": self.site.cookie(login_id),
                    "url": self.site.place.url,
                    "httpOnly": True,
                    "sameSite": "Strict",
                }
            ]
        )
        self.open("/cards")
        return login_id

    def login(self) -> str:
        """Go all the steps as a fresh operator; returns the login ID."""
        login_id = self.site.operator()
        self.open("/login")
        self.log_in(login_id)
        return login_id

    def log_in(self, login_id: str) -> None:
        """Go all the steps from the login page that is open."""
        self.fill(login_id=login_id, password=PASSWORD)
        self.press("ログイン")
        self.fill(email=f"{login_id}@example.co.jp")
        self.press("送信")
        self.fill(code=self.site.mails.code())
        self.press("ログイン")

    def look(self, step: str, *, narrow: bool = False) -> None:
        """Let axe read the page, as it is and as narrow as a telephone's.  Where
        pictures are asked for take one, and with ``narrow`` one of that too."""
        if not self.looks:
            return
        self.pictures += 1
        path = ARTEFACTS / self.name / f"{self.pictures:02d}-{step}.png"
        self.read[path.name] = self.text()
        self._take(path)
        if not self.scripts:
            return
        self._let_axe_read(step)
        size = self.page.viewport_size
        if size is not None and size["width"] > NARROW:
            self.page.set_viewport_size({"width": NARROW, "height": size["height"]})
            self._let_axe_read(f"{step}, narrow")
            if narrow:
                self._take(path.with_stem(f"{path.stem}-narrow"))
            self.page.set_viewport_size(size)

    def _take(self, path: Path) -> None:
        if PICTURED:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=path, full_page=True)

    def _let_axe_read(self, step: str) -> None:
        # The page keeps it from the first time on, and it is half a megabyte.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.axe_script)
        found = self.page.evaluate(RUN_AXE)["violations"]
        self.wrong += [f"axe: {v['id']} on {step}: {v['help']}" for v in found]

    def text(self) -> str:
        """What a person can read on the page."""
        return self.page.locator("body").inner_text()


def files_of(place: Place) -> list[Path]:
    """Every file the site wrote."""
    return [path for path in place.folder.rglob("*") if path.is_file()]
