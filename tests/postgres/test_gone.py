"""PostgreSQL stops under the running site and comes back."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.actors.witness import PATIENCE_SECONDS, UNSAVED, Witness
from tests.places.postgres_cluster import Cluster
from tests.places.site import PASSWORD, Place
from vault.store.database import connect

pytestmark = [pytest.mark.postgres, pytest.mark.faults]


@pytest.fixture
def place(
    tmp_path: Path, databases: tuple[str, str], mails: tuple[Mails, int]
) -> Place:
    """A place on PostgreSQL, with the operator taro."""
    site, vault = databases
    more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
    place = Place(tmp_path, mail_port=mails[1], more=more).make()
    place.add_operator("taro")
    return place


def test_postgresql_gone_and_back_is_503_and_passes(
    place: Place, server: Cluster, mails: tuple[Mails, int]
) -> None:
    """A request cut off between the two databases' work is told, and so is everybody
    after it; the next request after it is back is taken, in the same login."""
    holder = connect(place.more["VAULT_DATABASE_URL"]).connect()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with place.serving(), ThreadPoolExecutor(1) as threads:
        witness, stranger = Witness(place, mails[0]), Desk(place)
        door = stranger.filled("/login", login_id="taro", password=PASSWORD)
        holder.execute(text("SELECT seq FROM audit_head FOR UPDATE"))
        told = threads.submit(witness.is_told)
        while server.say(waiting) != [(1,)]:
            assert not told.done()
        server.stop()
        holder.invalidate()
        try:
            told.result()
            assert witness.desk.ask("/cards").status == 503
            refused = stranger.ask("/login", door)
            assert (refused.status, UNSAVED in refused.text) == (503, True)
            assert witness.health() == 503
        finally:
            server.start()
        witness.goes_on()
        assert witness.health() == 200
        assert stranger.ask("/login", door).url.endswith("/login/email")
        # Started anew between two requests, nobody notices.
        server.stop()
        server.start()
        assert witness.desk.ask("/cards").status == 200
    # Each request that met it is a line of the log.
    assert "Traceback" not in (place.folder / "gunicorn.log").read_text()


def test_a_host_that_never_answers_is_passed_over(server: Cluster) -> None:
    """The next host of the URL is asked within seconds; without one it is an error."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"host=127.0.0.1:{silent.getsockname()[1]}"
        alone = connect(f"postgresql+psycopg://cardsite@/postgres?{host}")
        both = connect(f"{alone.url}&host={server.host}")
        began = time.monotonic()
        with pytest.raises(OperationalError):
            alone.connect()
        with both.connect() as db:
            assert db.execute(text("SELECT 1")).scalar() == 1
        assert time.monotonic() - began < PATIENCE_SECONDS
        both.dispose()
