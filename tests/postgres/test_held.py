"""Somebody at psql holds a row that every login has to write: the site says so, and
goes on with all that needs no such row (LCK-04)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.actors import operator_http
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.operators import hire
from tests.places.site import PASSWORD, Place
from tests.postgres.many import PATIENCE_SECONDS
from vault.store.database import connect

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

# More than the threads of both workers.
LOGINS = 20
LOOKS = 5


@pytest.fixture
def place(
    databases: tuple[str, str],
    tmp_path: Path,
    mails: tuple[Mails, int],
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """A place on two databases; who waits for an answer is patient."""
    monkeypatch.setattr(operator_http, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    more = {"DATABASE_URL": databases[0], "VAULT_DATABASE_URL": databases[1]}
    return Place(tmp_path, mail_port=mails[1], more=more).make()


def look(desk: Desk) -> list[int]:
    """Pages that only read, and whether the site is well."""
    pages = ("/cards", "/healthz")
    return [desk.ask(page).status for _ in range(LOOKS) for page in pages]


def test_logins_behind_a_held_trail_are_503_and_pages_go_on(
    place: Place, mails: tuple[Mails, int]
) -> None:
    """Every login is answered while the row is still held, and so is who looks; when
    it is let go, the same form is taken."""
    names = hire(place, LOGINS)
    psql = connect(place.environ()["VAULT_DATABASE_URL"])
    with place.serving():
        reader = Desk(place)
        reader.login(names[0], mails[0])
        desks = [Desk(place) for _ in names]
        forms = [
            desk.filled("/login", login_id=name, password=PASSWORD)
            for desk, name in zip(desks, names, strict=True)
        ]

        def give(number: int) -> tuple[int, str]:
            answer = desks[number].ask("/login", forms[number])
            return answer.status, answer.url.removeprefix(place.url)

        with psql.connect() as db, ThreadPoolExecutor(LOGINS + 1) as threads:
            db.execute(text("SELECT 1 FROM audit_head FOR UPDATE"))
            given = [threads.submit(give, number) for number in range(LOGINS)]
            looked = threads.submit(look, reader)
            try:
                answers = [one.result(PATIENCE_SECONDS) for one in given]
                seen = looked.result(PATIENCE_SECONDS)
            finally:
                db.rollback()
        assert answers == [(503, "/login")] * LOGINS
        assert seen == [200] * (2 * LOOKS)
        assert give(1) == (200, "/login/email")
    psql.dispose()
