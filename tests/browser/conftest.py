"""The real site behind gunicorn, and a real Chromium that reports what is wrong."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.actors.mail import Mails, receiving
from tests.actors.operator_browser import Desk, Site
from tests.places.site import Place

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Only what never comes takes so long, however busy the machine is.
PATIENCE_MS = 120_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs Chromium; in CI its absence is a failure."""
    missing = shutil.which("chromium") is None and "CI" not in os.environ
    for item in items:
        if "browser" in item.nodeid.split("/"):
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A place made by the real commands, served by gunicorn."""
    mails = Mails()
    with receiving(mails) as port:
        place = Place(tmp_path_factory.mktemp("site"), mail_port=port).make()
        with place.serving():
            site = Site(place, mails)
            yield site
            site.end()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Playwright turns the back/forward cache off; operators' browsers don't.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=FLAGS,
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@pytest.fixture
def new_desk(
    chromium: Browser, site: Site, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Desk]]:
    """Sit an operator down at a browser of their own."""
    opened: list[Page] = []

    def make(
        *, scripts: bool = True, width: int = 1280, keeps_bodies: bool = True
    ) -> Desk:
        # axe needs to put its own script into the page.
        context = chromium.new_context(
            java_script_enabled=scripts,
            bypass_csp=False,
            # A test's own certificate, where there is a proxy in front.
            ignore_https_errors=True,
            locale="ja-JP",
            viewport={"width": width, "height": 1000},
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        opened.append(page)
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        desk = Desk(page, site, name, scripts=scripts, keeps_bodies=keeps_bodies)
        desk.watch()
        return desk

    yield make
    for page in opened:
        page.context.close()
