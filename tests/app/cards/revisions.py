"""What a revision does to the rows of before it, on a database of either kind."""

from __future__ import annotations

from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import Session

from app.cards.search.finding import Finder
from app.cards.search.query import Query
from app.cards.search.words import search_words
from app.cards.typed import search_key
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


# What the older site folded of each name, and what the search folds of it.
NAMES = {
    "㈱髙橋商店": ("(株)髙橋商店", "株式会社高橋商店"),
    "さいとう 齊": ("サイトウ齊", "サイトウ斎"),
    "ABCー−": ("abcー−", "abcーー"),
}
MORE = """
    INSERT INTO customer VALUES (:id, :public_id, :name, :folded, '090-1234-5678',
        '09012345678', :token, 'visa', '48', '4444', 16, 203001, 1, 7, 7, 'taro')
"""


def names_are_folded_and_indexed(engine: Engine) -> None:
    """Up, each customer is folded and indexed as the site does it; down, as the older
    site did; up again all is as it was.  More customers than one page are there."""
    HISTORY.upgrade(engine, "0005")
    older = [(name, folded) for name, (folded, _) in NAMES.items()]
    filler = [(f"客{n}", f"客{n}") for n in range(2_000)]
    with engine.begin() as db:
        for number, (name, folded) in enumerate([*older, *filler], 1):
            row = {"id": number, "public_id": f"p{number}", "token": f"card_{number}"}
            db.execute(text(MORE), {**row, "name": name, "folded": folded})

    for _ in range(2):
        HISTORY.upgrade(engine, "0006")
        made = rows(engine, KEYS)
        assert len(made) == 2_003
        now = {name: folded for name, (_, folded) in NAMES.items()}
        assert {row[0]: row[1] for row in made if row[0] in NAMES} == now
        for typed, key, words in made:
            assert key == search_key(str(typed))
            assert words == search_words(str(key), "09012345678", "4444")
        with Session(engine) as site:
            asked = Finder(site, Query(q="高橋 株式会社 345"), 7)
            assert asked.count(10) == 1

        HISTORY.downgrade(engine, "0005")
        assert "customer_words" not in inspect(engine).get_table_names()
        kept = rows(engine, "SELECT name, name_folded FROM customer ORDER BY id")
        assert kept == [*older, *filler]


KEYS = """
    SELECT name, name_folded, words FROM customer
    JOIN customer_words ON customer_words.rowid = customer.id
"""


def marks_come_and_go(engine: Engine) -> None:
    """Up, no customer is marked, and one can be; down, the customers are as they were
    and no table is left over; up again nobody is marked."""
    HISTORY.upgrade(engine, "0007")
    one = {"id": 1, "public_id": "p", "token": "card_x", "rev": 3}
    with engine.begin() as db:
        db.execute(text(CUSTOMER), one)
    before = rows(engine, "SELECT * FROM customer")

    for _ in range(2):
        HISTORY.upgrade(engine, "0008")
        assert rows(engine, "SELECT stopped_at FROM customer") == [(None,)]
        with engine.begin() as db:
            db.execute(text("UPDATE customer SET stopped_at = 7"))
            db.execute(text(UPDATE_JOB))
            db.execute(text(UPDATE_ROW))

        HISTORY.downgrade(engine, "0007")
        assert rows(engine, "SELECT * FROM customer") == before
        tables = set(inspect(engine).get_table_names())
        assert not {"update_job", "update_row"} & tables


UPDATE_JOB = "INSERT INTO update_job VALUES (1, 'd', 1, 1, 'ops', 7, 8)"
UPDATE_ROW = """
    INSERT INTO update_row VALUES (1, 1, 2, 'stopped', 'p', 'card_x', '', 'visa',
        '0000', 4, '')
"""


def columns(engine: Engine, table: str) -> set[str]:
    """The names of a table's columns."""
    return {column["name"] for column in inspect(engine).get_columns(table)}


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    """What a query says."""
    with engine.connect() as db:
        return [tuple(row) for row in db.execute(text(query))]
