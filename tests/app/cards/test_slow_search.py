"""A search that takes its time delays nobody who registers (LCK-02)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from sqlalchemy import event

from tests.actors.operator_client import Desk

PATIENCE_SECONDS = 120


def test_a_search_that_has_not_ended_delays_no_registration(desk: Desk) -> None:
    """The search stands at its first look at the customers until the registration is
    answered; then it shows the list as it was when it began or as it is."""
    desk.register(customer_name="山田")
    looking, answered = Event(), Event()
    searcher = Desk(desk.app, desk.app.test_client())
    cookie = desk.client.get_cookie("session")
    assert cookie is not None
    searcher.client.set_cookie("session", cookie.value)

    def stand(_db: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "LIKE" in statement.upper() and not looking.is_set():
            looking.set()
            assert answered.wait(PATIENCE_SECONDS)

    engine = desk.app.extensions["site_engine"]
    event.listen(engine, "before_cursor_execute", stand)
    with ThreadPoolExecutor(1) as thread:
        search = thread.submit(searcher.open, "/cards?q=山田")
        assert looking.wait(PATIENCE_SECONDS)
        public_id = desk.register(customer_name="佐藤")
        assert not search.done()
        answered.set()
        assert search.result().status_code == 200
    event.remove(engine, "before_cursor_execute", stand)
    assert "山田" in searcher.page
    assert public_id
