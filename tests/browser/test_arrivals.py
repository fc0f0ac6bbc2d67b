"""A link on another site, while somebody works in another tab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.actors.operator_browser import Desk


@contextmanager
def another_site(link: str) -> Iterator[str]:
    """A site under another name, with a page that links to ``link``; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f'<a href="{link}">cards</a>'.encode())

        def log_message(self, *_words: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("path", ["/cards", "/login", "/"])
def test_a_link_from_another_site_ends_no_login(
    new_desk: Callable[..., Desk], scripts: bool, path: str
) -> None:
    """The half-filled form of the first tab is registered all the same, before and
    after a reload of the second."""
    desk = new_desk(scripts=scripts)
    desk.enter()
    desk.fill(customer_name="半分", phone="0312345678")
    with another_site(desk.site.place.url + path) as address:
        tab = follow(desk, address)
        expect(tab.locator("#list")).to_be_visible()
        tab.reload()
        expect(tab.locator("#list")).to_be_visible()
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")
    assert desk.wrong == []


def test_a_stranger_who_comes_by_a_link_logs_in(new_desk: Callable[..., Desk]) -> None:
    """Nobody is logged in: the login page, whose form works."""
    desk = new_desk()
    with another_site(desk.site.place.url + "/cards") as address:
        tab = follow(desk, address)
        expect(tab.locator("[name=login_id]")).to_be_visible()
        there = Desk(tab, desk.site, desk.name)
        there.log_in(desk.site.operator())
        assert "クレジットカード情報の一覧" in there.text()


def follow(desk: Desk, address: str) -> Page:
    """A second tab that came by the link of the page at ``address``."""
    tab = desk.page.context.new_page()
    tab.goto(address)
    tab.get_by_role("link").click()
    return tab
