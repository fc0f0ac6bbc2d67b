"""The search: what it takes for the same, and that its index finds what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from app.cards.search import finding, index_check
from app.cards.search.words import search_words
from app.cards.typed import MAX_KEY, search_key
from app.migrations import HISTORY
from tests.actors.operator_client import Desk
from tests.places.site import site_path
from vault.store.database import connect

from .searching import COUNT, all_agree, customers, insert_all
from .stocked import VISA, command, names, stock

SHEET = (
    "customer_name,phone,card_number,exp_month,exp_year\n"
    "山田 太郎,090-0000-0000,4810000000020000,1,2030\n"
)
INDEX = "SELECT rowid, words FROM customer_words ORDER BY rowid"
MADE = "SELECT id, name_folded, phone_digits, last4 FROM customer ORDER BY id"


def index(engine: Engine) -> list[tuple[int, str]]:
    """The rows of the index."""
    with engine.connect() as db:
        return [(row[0], row[1]) for row in db.execute(text(INDEX))]


def is_whole(engine: Engine) -> bool:
    """Say whether the index has each customer's words, and nothing else."""
    with engine.connect() as db:
        made = [(row[0], search_words(*row[1:])) for row in db.execute(text(MADE))]
    return index(engine) == made


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("髙橋", "高橋"),
        ("山﨑", "山崎"),
        ("渡邊", "渡辺"),
        ("渡邉", "渡邊"),
        ("齋藤", "斉藤"),
        ("𠮷田", "吉田"),
        ("濵田", "浜田"),
        ("神田", "神田"),
        ("葛\U000e0100西", "葛西"),
        ("㈱杉山運輸", "株式会社杉山"),
        ("株式会社杉山運輸", "㈱杉山"),
        ("杉山運輸(有)", "有限会社"),
        ("㍿スギヤマ", "株式会社すぎやま"),
        ("ラーメン−本店", "ラーメンー本店"),
        ("A〜Z", "a～z"),
        ("ｽｷﾞﾔﾏ", "すぎやま"),
        ("鈴木 花子", "花子 鈴木"),
        ("鈴木　花子", "鈴木花子"),
        ("鈴木花子", "鈴木　1234"),
        ("鈴木花子", "0000 鈴木"),
        ("林", "林"),
        ("鈴木花子", "03-1234"),
        ("鈴木花子", "234-567"),
        ("鈴木花子", "5678"),
        ("鈴木花子", "45"),
        ("株式会社365", "365"),
    ],
)
def test_what_is_meant_is_found(desk: Desk, stored: str, typed: str) -> None:
    """As people write it on one day and say it on another; what is shown stays as it
    was typed."""
    stock(desk, (stored, "03-1234-5678", VISA, 203001), ("別人", "0666", VISA, 203001))
    assert names(desk, f"/cards?q={typed}") == (
        [stored, "別人"][::-1] if typed == "0000" else [stored]
    )


@pytest.mark.parametrize(
    "typed", ["鈴木 佐藤", "木鈴", "鈴木 9999", "04", "1245", "鈴花"]
)
def test_what_is_not_meant_is_not_found(desk: Desk, typed: str) -> None:
    """All words have to be there, and a word's letters side by side."""
    stock(desk, ("鈴木花子", "03-1234-5678", VISA, 203001))
    assert names(desk, f"/cards?q={typed}") == []


def test_a_key_is_no_longer_than_an_index_takes() -> None:
    """NFKC makes 18 characters of U+FDFA."""
    assert len(search_key("\ufdfa" * 100)) == MAX_KEY


@pytest.mark.parametrize(
    ("few", "walked"),
    [(5_000, 20_000), (20, 100_000), (20, 60)],
    ids=["all are few", "walks", "walks and gives up"],
)
def test_each_way_finds_what_comparing_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, walked: int
) -> None:
    """In every order, page by page from either end, whichever way is gone."""
    monkeypatch.setattr(finding, "FEW", few)
    monkeypatch.setattr(finding, "WALKED", walked)
    monkeypatch.setattr(finding, "SKIPPED", walked)
    monkeypatch.setattr(finding, "FIRST_STEP", 25)
    engine = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(engine)
    rows = customers(COUNT)
    insert_all(engine, rows)
    all_agree(engine, rows)
    engine.dispose()


def test_the_longest_search_is_answered(desk: Desk) -> None:
    """A hundred characters, all different, as one word and half of them as fifty."""
    letters = "".join(chr(0x4E00 + number) for number in range(100))
    stock(desk, (letters, "03-1234-5678", VISA, 203001))
    assert names(desk, f"/cards?q={letters}") == [letters]
    assert names(desk, f"/cards?q={'+'.join(letters[:50])}") == [letters]
    assert names(desk, f"/cards?q={'㈱' * 100}") == []


def test_the_index_is_kept_by_every_act(desk: Desk, tmp_path: Path) -> None:
    """Registration, change and deletion on the pages, and an import."""
    engine = desk.app.extensions["site_engine"]
    first = desk.register(customer_name="鈴木")
    second = desk.register(customer_name="佐藤")
    assert len(index(engine)) == 2
    assert is_whole(engine)
    desk.change(first, customer_name="田中", phone="090-9999-8888")
    assert is_whole(engine)
    assert names(desk, "/cards?q=鈴木") == []
    assert names(desk, "/cards?q=田中 9998") == ["田中"]
    desk.delete(second)
    assert len(index(engine)) == 1
    file = tmp_path / "customers.csv"
    file.write_text(SHEET)
    assert command(desk, "import", str(file)).exit_code == 0
    assert len(index(engine)) == 2
    assert is_whole(engine)


def test_an_act_that_fails_leaves_no_words(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are written in the customer's own transaction."""
    engine = desk.app.extensions["site_engine"]
    desk.register(customer_name="鈴木")
    before = index(engine)

    def fail(*_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    monkeypatch.setattr("app.db.SiteSession.commit", fail)
    answer = desk.press(
        "/cards",
        "登録",
        customer_name="佐藤",
        phone="090-0000-0000",
        card_number_1=VISA,
        exp_month="1",
        exp_year="2030",
        confirmed="y",
    )
    assert answer.status_code == 503
    monkeypatch.undo()
    assert index(engine) == before


SPOILT = {
    "UPDATE customer_words SET words = 'x' WHERE rowid = 1": "differs",
    "DELETE FROM customer_words WHERE rowid = 1": "differs",
    "UPDATE customer SET name = '田中' WHERE id = 1": "differs",
    "UPDATE customer SET phone = '0312345678' WHERE id = 1": "differs",
    "INSERT INTO customer_words (rowid, words) VALUES (9, 'x')": "row 9 ",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_reconcile_names_what_the_index_has_wrong_and_mends_it(
    desk: Desk, spoilt: str
) -> None:
    """Named at first, mended with --apply, entered in the trail, then nothing."""
    engine = desk.app.extensions["site_engine"]
    desk.register(customer_name="鈴木")
    desk.register(customer_name="佐藤")
    with engine.begin() as db:
        db.execute(text(spoilt))

    named = command(desk, "reconcile")
    assert named.exit_code == 1
    assert SPOILT[spoilt] in named.output
    assert "next       flask --app wsgi cards reconcile --apply" in named.output
    mended = command(desk, "reconcile", "--apply")
    assert mended.exit_code == 1
    assert is_whole(engine)
    if SPOILT[spoilt] == "differs":
        assert [entry[0] for entry in desk.trail()].count("customer.mended") == 1
    assert command(desk, "reconcile").exit_code == 0


def test_reconcile_makes_the_words_of_who_was_deleted_leave_the_files(
    desk: Desk, environ: dict[str, str]
) -> None:
    """SQLite's index keeps them, marked as deleted, until its parts are merged."""
    rare = search_words(search_key("鰐淵麒麟"), "", "").split()[1].encode()[5:]
    path = site_path(environ)
    public_id = desk.register(customer_name="鰐淵麒麟")
    for name in ("鈴木", "佐藤", "田中"):
        desk.register(customer_name=name)
    desk.delete(public_id)
    assert rare in files(path)
    assert command(desk, "reconcile", "--apply").exit_code == 0
    assert rare not in files(path)
    assert is_whole(desk.app.extensions["site_engine"])


def files(path: Path) -> bytes:
    """What is in a database's file and its log."""
    log = path.with_name(f"{path.name}-wal")
    return path.read_bytes() + (log.read_bytes() if log.exists() else b"")


def test_merging_an_index_ends(desk: Desk) -> None:
    """Also where there is nothing to merge."""
    engine = desk.app.extensions["site_engine"]
    for _ in range(2):
        index_check.forget_deleted(engine)
    assert index(engine) == []
