"""What a URL of PostgreSQL may set beside the server."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from vault.store.database import connect

pytestmark = pytest.mark.postgres

OF_THE_DRIVER = (
    "prepare_threshold=0",
    "prepare_threshold=5",
    "autocommit=0",
    "autocommit=true",
    "row_factory=x",
    "cursor_factory=x",
    "context=x",
)
PREPARED = text("SELECT count(*) FROM pg_prepared_statements")


@pytest.mark.parametrize("setting", OF_THE_DRIVER)
def test_the_drivers_own_arguments_change_nothing(
    databases: tuple[str, str], setting: str
) -> None:
    """No statement is prepared however often it comes, and what is rolled back is not
    there."""
    engine = connect(f"{databases[0]}?{setting}&application_name=ours")
    with engine.connect() as db:
        db.execute(text("CREATE TABLE made (id int)"))
        for _ in range(12):
            db.execute(text("SELECT 1"))
        assert db.execute(PREPARED).scalar() == 0
        db.rollback()
        assert db.execute(text("SELECT to_regclass('made')")).scalar() is None
        asked = text("SELECT current_setting('application_name')")
        assert db.execute(asked).scalar() == "ours"
    engine.dispose()
