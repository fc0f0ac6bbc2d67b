"""The real site behind gunicorn, and a real Chromium that reports what is wrong."""

from __future__ import annotations

import email
import email.policy
import os
import queue
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    sync_playwright,
)

from tests.site import PASSWORD, ROOT, Place, free_port

ARTEFACTS = ROOT / "tests" / "artefacts"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs Chromium; in CI its absence is a failure."""
    missing = shutil.which("chromium") is None and "CI" not in os.environ
    for item in items:
        if "browser" in item.nodeid.split("/"):
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


class Mails:
    """Keeps every mail; hands out codes."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self._codes: queue.Queue[str] = queue.Queue()

    async def handle_DATA(
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """aiosmtpd's hook."""
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        message = email.message_from_bytes(
            envelope.content, policy=email.policy.default
        )
        found = re.search(r"^[2-9a-z]{8}$", message.get_content(), re.MULTILINE)
        self._codes.put(found[0] if found else "")
        return "250 OK"

    def code(self) -> str:
        """The code of the next mail."""
        return self._codes.get(timeout=15)


@dataclass
class Site:
    """A running site and its mail."""

    place: Place
    mails: Mails
    operators: int = 0

    def operator(self) -> str:
        """A fresh operator's login ID: codes are a minute apart for each."""
        self.operators += 1
        login_id = f"operator{self.operators}"
        self.place.add_operator(login_id)
        return login_id


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place made by the real commands, served by gunicorn."""
    mails = Mails()
    controller = Controller(mails, hostname="127.0.0.1", port=free_port())
    controller.start()
    place = Place(tmp_path_factory.mktemp("site"), mail_port=controller.port).make()
    with place.serving():
        yield Site(place, mails)
    controller.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        # Playwright turns the back/forward cache off; operators' browsers don't.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=FLAGS,
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@dataclass
class Desk:
    """An operator at a browser.  ``wrong`` collects what a page did wrong,
    ``bodies`` every response the browser was given."""

    page: Page
    site: Site
    name: str
    wrong: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    pictures: int = 0
    scripts: bool = True

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
        if response.status not in (301, 302, 303, 204):
            self.bodies.append(response.body())

    def open(self, path: str) -> None:
        """Go to an address of the site."""
        self.page.goto(self.site.place.url + path)

    def press(self, label: str) -> None:
        """Press a button or link; without scripts, tick its confirmation first."""
        target = self.page.get_by_role("button", name=label, exact=True)
        if target.count() == 0:
            target = self.page.get_by_role("link", name=label, exact=True)
        if not self.scripts:
            box = target.first.locator("xpath=..").get_by_role("checkbox")
            if box.count():
                box.check()
        target.first.click()
        self.page.wait_for_load_state()

    def fill(self, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, value in fields.items():
            self.page.locator(f"[name={name}]").first.fill(value)

    def card(self, number: str, month: str = "", year: str = "") -> None:
        """Type a card number into the four boxes, and an expiry."""
        parts = [number[:4], number[4:8], number[8:12], number[12:]]
        self.fill(**{f"card_number_{i}": part for i, part in enumerate(parts, 1)})
        self.fill(exp_month=month, exp_year=year)

    def login(self) -> str:
        """Go all the steps; returns the login ID."""
        login_id = self.site.operator()
        self.open("/login")
        self.fill(login_id=login_id, password=PASSWORD)
        self.press("ログイン")
        self.fill(email=f"{login_id}@example.co.jp")
        self.press("送信")
        self.fill(code=self.site.mails.code())
        self.press("ログイン")
        return login_id

    def look(self, step: str) -> None:
        """Take a picture and let axe read the page."""
        self.pictures += 1
        folder = ARTEFACTS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.pictures:02d}-{step}.png"
        self.page.screenshot(path=path, full_page=True)
        if self.scripts:
            found = Axe().run(self.page).response["violations"]
            self.wrong += [f"axe: {v['id']} on {step}: {v['help']}" for v in found]

    def text(self) -> str:
        """What a person can read on the page."""
        return self.page.locator("body").inner_text()


@pytest.fixture
def new_desk(
    chromium: Browser, site: Site, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Desk]]:
    """Sit an operator down at a browser of his own."""
    opened: list[Page] = []

    def make(*, scripts: bool = True, width: int = 1280) -> Desk:
        # axe needs to put its own script into the page.
        context = chromium.new_context(
            java_script_enabled=scripts,
            bypass_csp=False,
            # A test's own certificate, where there is a proxy in front.
            ignore_https_errors=True,
            locale="ja-JP",
            viewport={"width": width, "height": 1000},
        )
        page = context.new_page()
        opened.append(page)
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        desk = Desk(page, site, name, scripts=scripts)
        desk.watch()
        return desk

    yield make
    for page in opened:
        page.context.close()


def files_of(place: Place) -> list[Path]:
    """Every file the site wrote."""
    return [path for path in place.folder.rglob("*") if path.is_file()]
