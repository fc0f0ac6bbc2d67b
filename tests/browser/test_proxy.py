"""A real nginx in front, set up as deploy/nginx.conf says, and what its logs keep, also
when it logs more than that (WEB-06)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.actors.mail import Mails, receiving
from tests.actors.operator_browser import Desk, Site
from tests.places.nginx import NGINX, Behind, placed, proxying, replaced, shipped
from tests.places.site import free_port
from tests.spellings import holders, typed_ways

# A published test number that nothing else here uses.
NUMBER = "4012888888881881"

pytestmark = pytest.mark.skipif(
    NGINX is None and "CI" not in os.environ, reason="nginx is not installed"
)


def talkative(folder: Path, front: int, behind: int) -> str:
    """The file as shipped, and beside its logs those an nginx keeps when nobody says
    anything: whole addresses, and errors at their default level."""
    file = replaced(
        shipped(),
        ("error.log crit;", "error.log;"),
        (
            "    location / {",
            f"    access_log {folder}/combined.log;\n    location / {{",
        ),
    )
    return placed(file, folder, front, behind, free_port())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The site off loopback's exceptions, its root key away, behind nginx."""
    mails = Mails()
    with receiving(mails) as port:
        more = {
            "ALLOW_INSECURE_LOOPBACK": "0",
            "TRUSTED_HOSTS": "127.0.0.1",
            "PROXY_HOPS": "1",
        }
        (tmp_path / "place").mkdir()
        place = Behind(tmp_path / "place", mail_port=port, more=more)
        place.make()
        (place.folder / "root.key").unlink()
        place.front = free_port()
        folder = tmp_path / "nginx"
        file = talkative(folder, place.front, place.port)
        with proxying(folder, file, place.front):
            site = Site(place, mails)
            yield site
            site.end()


def search(desk: Desk, text: str) -> None:
    """Type into the search and send it off."""
    desk.fill(q=text)
    desk.press("検索")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_proxys_logs_hold_no_number_that_was_searched_for(
    new_desk: Callable[..., Desk], site: Site, tmp_path: Path, scripts: bool
) -> None:
    """However it was typed, while the site answers and while it doesn't, which is
    when nginx writes whole requests into its error log; on a port of its own."""
    desk = new_desk(scripts=scripts)
    with site.place.serving("--workers", "1"):
        desk.login()
        for text in typed_ways(NUMBER):
            search(desk, text)
            assert re.search(r"/cards\?q=[^&]*1881", desk.page.url)
            assert desk.page.locator("[name=q]").input_value().find("8888") == -1
    desk.fill(q=NUMBER)
    desk.page.get_by_role("button", name="検索", exact=True).click()
    desk.page.wait_for_load_state()
    assert "502 Bad Gateway" in desk.text()
    logs = {path.name: path.read_bytes() for path in (tmp_path / "nginx").glob("*.log")}
    assert b'"POST /cards/search HTTP/1.1" 303' in logs["combined.log"]
    assert b"GET /cards?q=1881" in logs["combined.log"]
    assert b"POST /cards/search 303" in logs["access.log"]
    assert b"q=" not in logs["access.log"]
    assert b'request: "POST /cards/search HTTP/1.1"' in logs["error.log"]
    assert holders(logs, NUMBER) == []
