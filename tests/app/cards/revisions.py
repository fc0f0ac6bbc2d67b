"""What a revision does to files imported before it, on a database of either kind."""

from __future__ import annotations

from sqlalchemy import Engine, inspect, text

from app.migrations import HISTORY

CUSTOMER = """
    INSERT INTO customer VALUES (:id, :public_id, 'A', 'a', '090-0000-0000',
        '09000000000', :token, 'visa', '48', '0000', 16, 203001, :rev, 7, 7, 'taro')
"""
JOB = "INSERT INTO import_job VALUES (1, '$argon2id$of a file', 90, 4, 4, 0, 'ops', 7)"
ROW = """
    INSERT INTO import_row VALUES (1, :number, :number, 'imported', :public_id, :token,
        'visa', '0000', '')
"""
KEPT = "SELECT number, token, prefix, length, expiry FROM import_row ORDER BY number"
ADDED = {"prefix", "length", "expiry"}


def digests_go_and_files_are_set_aside(engine: Engine) -> None:
    """Up, a row has what its customer still tells and no digest is left; down, the
    older site meets no file of a size it could look for; up again all is as it was."""
    HISTORY.upgrade(engine, "0004")
    with engine.begin() as db:
        db.execute(text(JOB))
        for number, rev in ((1, 1), (2, 2)):
            row = {"id": number, "public_id": f"p{number}", "token": f"card_{number}"}
            db.execute(text(CUSTOMER), {**row, "rev": rev})
        for number in (1, 2, 3):
            row = {"public_id": f"p{number}", "token": f"card_{number}"}
            db.execute(text(ROW), {"number": number, **row})
        refused = {"number": 4, "public_id": "", "token": ""}
        db.execute(text(ROW), refused)

    told = [
        (1, "card_1", "48", 16, 203001),
        (2, "card_2", "48", 16, 0),
        (3, "card_3", "", 0, 0),
        (4, "", "", 0, 0),
    ]
    HISTORY.upgrade(engine, "0005")
    assert "digest" not in columns(engine, "import_job")
    assert rows(engine, KEPT) == told
    assert rows(engine, "SELECT size FROM import_job") == [(90,)]

    HISTORY.downgrade(engine, "0004")
    assert not ADDED & columns(engine, "import_row")
    assert rows(engine, "SELECT digest, size, done FROM import_job") == [("", -90, 4)]
    assert len(rows(engine, "SELECT * FROM import_row")) == 4

    HISTORY.upgrade(engine, "0005")
    assert rows(engine, KEPT) == told
    assert rows(engine, "SELECT size FROM import_job") == [(90,)]


def columns(engine: Engine, table: str) -> set[str]:
    """The names of a table's columns."""
    return {column["name"] for column in inspect(engine).get_columns(table)}


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    """What a query says."""
    with engine.connect() as db:
        return [tuple(row) for row in db.execute(text(query))]
