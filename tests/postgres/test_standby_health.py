"""A standby answers every question and takes no writing: no place for a site."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from sqlalchemy.exc import SQLAlchemyError

from app.health import write_nothing
from tests.places.postgres_cluster import PROGRAMS, ROLE, Cluster
from vault.store.database import connect

pytestmark = [pytest.mark.postgres, pytest.mark.faults]


def test_the_write_that_changes_nothing_fails_on_a_standby_alone() -> None:
    """Its primary takes it."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    primary = Cluster().make()
    standby = primary.standby()
    try:
        for cluster, takes in ((primary, True), (standby, False)):
            url = f"postgresql+psycopg://{ROLE}@127.0.0.1:{cluster.port}/postgres"
            engine = connect(url)
            refused = pytest.raises(SQLAlchemyError, match="recovery")
            with nullcontext() if takes else refused, engine.begin() as db:
                write_nothing(db)
            engine.dispose()
    finally:
        for cluster in (primary, standby):
            cluster.remove()
