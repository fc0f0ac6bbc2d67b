"""flask cards update: a file of changes to customers, the acquirer's answer."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from app.cards import texts
from app.cards.models import Customer
from app.cards.search import listing
from app.cards.updating import batches, jobs
from app.db import SiteSession
from tests.actors.operator_client import Desk, boxes
from tests.places.vault import FakeClock, VaultPlace
from vault import Actor, Token
from vault.store.schema import CARD
from vault.trail import read_entries

from .stocked import AMEX, VISA, command, names, stock

pytestmark = pytest.mark.engines("sqlite", "postgres")

MASTERCARD = "5555555555554444"
OTHER_VISA = "4111111111111111"
PHONE = "090-0000-0000"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file lies."""
    return tmp_path / "answer.csv"


@pytest.fixture
def three(desk: Desk) -> list[Customer]:
    """Three customers with a card each."""
    for name in ("A", "B", "C"):
        stock(desk, (name, PHONE, VISA, 203001))
    return desk.customers()


def taken_in(desk: Desk, file: Path, text: str, *flags: str) -> list[str]:
    """Take in a file; returns the status of each row."""
    return [row["status"] for row in rows_of(desk, file, text, *flags)]


def rows_of(desk: Desk, file: Path, text: str, *flags: str) -> list[dict[str, str]]:
    """Take in a file; returns the results."""
    file.write_text(text, encoding="utf-8")
    out = file.with_name("results.csv")
    run(desk, str(file), "--results", str(out), *flags)
    with out.open(encoding="utf-8-sig", newline="") as results:
        return list(csv.DictReader(results))


def run(desk: Desk, *args: str) -> Result:
    """Run the command; it ends without a traceback."""
    ran = command(desk, "update", *args)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran
    return ran


def only(desk: Desk, name: str) -> Customer:
    """The one customer of this name."""
    (found,) = [one for one in desk.customers() if one.name == name]
    return found


def test_each_column_changes_what_it_names_and_a_blank_keeps(
    desk: Desk, file: Path, place: VaultPlace
) -> None:
    """A number, an expiry, a name and a telephone number, each in a row of its own."""
    for name, number in (("A", VISA), ("B", VISA), ("C", VISA), ("D", AMEX)):
        stock(desk, (name, PHONE, number, 203001))
    a, b, c, d = desk.customers()
    heading = "token,card_number,exp_month,exp_year,customer_name,phone,status\n"
    lines = [
        f"{a.token},{MASTERCARD},,,,,\n",
        f"{b.token},,2,2031,,,\n",
        f"{c.token},,,,新しい 名,,\n",
        f"{d.token},,,,,03-1234-5678,\n",
    ]
    assert taken_in(desk, file, heading + "".join(lines)) == 4 * ["updated"]

    new_a, new_b, new_c, new_d = desk.customers()
    assert (new_a.masked, new_a.expiry) == ("55**-****-****-4444", 203001)
    assert (new_a.brand, new_a.name, new_a.phone) == ("mastercard", "A", PHONE)
    assert new_a.token != a.token
    assert (new_b.token, new_b.expiry, new_b.name) == (b.token, 203102, "B")
    assert (new_c.token, new_c.name, new_c.phone) == (c.token, "新しい 名", PHONE)
    assert (new_d.phone, new_d.phone_digits) == ("03-1234-5678", "0312345678")
    assert (new_d.name, new_d.masked, new_d.expiry) == ("D", d.masked, d.expiry)
    assert [one.rev for one in desk.customers()] == [2, 2, 2, 2]
    assert desk.cards() == 4
    with desk.vault.engine.connect() as db:
        assert desk.vault.describe(db, Token(b.token)).expiry.key == 203102
        for token in (a.token, new_a.token):
            found = db.execute(select(CARD.c.id).where(CARD.c.token == token)).all()
            assert len(found) == (token == new_a.token)
    assert place.findings() == {}


def test_a_customer_is_named_by_public_id_too(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """Either column names them; the results have both."""
    text = f"public_id,exp_month,exp_year\n{three[1].public_id},2,2031\n"
    (row,) = rows_of(desk, file, text)
    assert (row["status"], row["line"]) == ("updated", "2")
    assert (row["public_id"], row["token"]) == (three[1].public_id, three[1].token)
    assert (row["brand"], row["last4"]) == ("visa", '="0000"')
    assert [one.expiry for one in desk.customers()] == [203001, 203102, 203001]


def test_the_trail_tells_of_each_row_what_it_tells_of_an_edit(
    desk: Desk, three: list[Customer], file: Path, place: VaultPlace
) -> None:
    """Entry by entry: the same events with the same details, but for tokens."""
    a, b, c = three
    desk.change(a.public_id, customer_name="X", **boxes("5555", "5555", "5555", "4444"))
    by_hand = told_of(desk, "A", a.public_id)
    heading = "token,card_number,customer_name\n"
    taken_in(desk, file, heading + f"{b.token},{MASTERCARD},X\n{c.token},{VISA},Y\n")
    by_file = told_of(desk, "B", b.public_id)
    assert [name for name, _ in by_hand] == [
        "card.replaced",
        "customer.updated",
        "card.deleted",
    ]
    assert by_file == by_hand
    assert len(told_of(desk, "C", c.public_id)) == 3
    assert place.findings() == {}


def told_of(desk: Desk, was: str, public_id: str) -> list[tuple[str, str]]:
    """The trail's entries about a customer since their registration, without tokens
    and with the name that they had at first as A."""
    (now,) = [one for one in desk.customers() if one.public_id == public_id]
    tokens = [now.token]
    for event_name, subject, detail in desk.trail():
        if event_name == "card.replaced" and subject == now.token:
            tokens.append(detail.partition('"instead_of": "')[2].partition('"')[0])
    found = []
    for event_name, subject, detail in desk.trail():
        if subject in tokens and not event_name.endswith(("registered", "viewed")):
            plain = detail.replace(f'"{was}"', '"A"')
            for token in tokens:
                plain = plain.replace(token, "T")
            found.append((event_name, plain))
    return found


@pytest.mark.engines("sqlite")
def test_a_customers_history_shows_one_act_by_the_administrator(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """A batch's rows are apart, and a row's card and name together."""
    heading = "token,card_number,customer_name\n"
    lines = "".join(f"{one.token},{MASTERCARD},新{one.name}\n" for one in three)
    taken_in(desk, file, heading + lines)
    desk.open(f"/cards/{three[1].public_id}/edit")
    history = desk.page.partition('id="history"')[2]
    assert history.count("<tr>") == 1 + 2
    assert "管理者（洗替）" in history
    assert "お客様情報の変更\nカード番号の変更" in history
    assert "お客様名：B" in history
    assert "お客様名：新B" in history


def test_a_stopped_card_is_marked_until_a_new_number_is_there(
    desk: Desk, three: list[Customer], file: Path, clock: FakeClock
) -> None:
    """With the date of the file, on the list and on the edit page; another name keeps
    the mark, an operator's new number or a file's ends it."""
    a, b, _ = three
    heading = "token,status\n"
    ran = rows_of(desk, file, heading + f"{a.token},停止\n{b.token},ＳＴＯＰＰＥＤ \n")
    assert [row["status"] for row in ran] == ["stopped", "stopped"]
    assert shown_stopped(desk) == 2
    assert {one.rev for one in desk.customers()[:2]} == {2}
    desk.open(f"/cards/{a.public_id}/edit")
    assert "要確認 2026/11/23" in desk.page
    assert "カード停止の回答（要確認）" in desk.page

    clock.advance(7 * 86400)
    assert run_again(desk, file, heading + f"{a.token},stopped\n") == ["stopped"]
    assert only(desk, "A").stopped_at == clock() - 7 * 86400


def shown_stopped(desk: Desk) -> int:
    """How many rows of the list have the mark."""
    desk.open("/cards")
    return desk.page.count("要確認 2026/11/23")


def test_a_new_number_ends_the_mark(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """Whoever enters it; a new name or expiry alone does not."""
    a, b, c = three
    stopped = "".join(f"{one.public_id},stopped\n" for one in three)
    taken_in(desk, file, "public_id,status\n" + stopped)
    desk.change(c.public_id, customer_name="Z", exp_month="2", exp_year="2031")
    assert [one.stopped_at is None for one in desk.customers()] == 3 * [False]
    desk.change(a.public_id, **boxes("5555", "5555", "5555", "4444"))
    text = f"token,card_number\n{b.token},{MASTERCARD}\n"
    assert run_again(desk, file, text) == ["updated"]
    assert [one.stopped_at is None for one in desk.customers()] == [True, True, False]
    assert shown_stopped(desk) == 1


def test_the_list_shows_those_who_are_stopped_alone(
    desk: Desk, three: list[Customer], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the filter beside the others, with its pages, its search and its file."""
    monkeypatch.setattr(listing, "PAGE_SIZE", 1)
    a, _, c = three
    assert "要確認" not in desk.open("/cards").text
    taken_in(desk, file, f"token,status\n{a.token},停止\n{c.token},停止\n")
    assert names(desk, "/cards") != ["A"]
    link = re.search('href="/cards[?]expiry=stopped">(.*?)</a>', desk.page, re.DOTALL)
    assert link is not None
    assert "".join(link[1].replace("<wbr>", "").split()) == "要確認（2）"
    pages = [names(desk, f"/cards?expiry=stopped&sort=name&page={n}") for n in (1, 2)]
    assert pages == [["A"], ["C"]]
    for beyond in ("3", "-1"):
        answer = desk.open(f"/cards?expiry=stopped&sort=name&page={beyond}")
        assert answer.location == "/cards?sort=name&page=2&expiry=stopped"
    answer = desk.open("/cards?expiry=stopped&sort=name&page=-9")
    assert answer.location == "/cards?sort=name&expiry=stopped"
    assert names(desk, "/cards?q=C&expiry=stopped") == ["C"]
    assert names(desk, "/cards?q=B&expiry=stopped") == []
    assert "該当" in desk.page or "一致する" in desk.page
    lines = desk.client.get("/cards.csv?expiry=stopped&sort=name").text.splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == ["A", "C"]


@pytest.mark.engines("sqlite")
def test_what_stands_for_stopped_is_a_setting(
    desk: Desk, three: list[Customer], file: Path, make_app: Callable[..., object]
) -> None:
    """Another word is refused by name, so that a slip of the pen is seen."""
    a, b, c = three
    desk.app = make_app(CARD_STOPPED_VALUES="9,解約")  # type: ignore[assignment]
    text = f"token,status\n{a.token},９\n{b.token},停止\n{c.token},\n"
    rows = rows_of(desk, file, text)
    assert [row["status"] for row in rows] == ["stopped", "refused", "unchanged"]
    assert rows[1]["error"] == f"status: {texts.STATUS_UNKNOWN}"
    assert [one.stopped_at is None for one in desk.customers()] == [False, True, True]


BAD_ROWS = [
    (
        "{token},5555555555554445,,,,,",
        "card_number",
        texts.NUMBER_REASONS["check_digit"],
    ),
    ("{token},5.55E+15,,,,,", "card_number", texts.EXCEL_NUMBER),
    ("{token},,2,,,,", "exp_month", texts.EXPIRY_REASONS["half"]),
    ("{token},,1,2020,,,", "exp_month", texts.EXPIRY_REASONS["past"]),
    ("{token},,30-Jan,2030,,,", "exp_month", texts.EXCEL_EXPIRY),
    ("{token},,,,4111 1111 1111 1111,,", "customer_name", texts.NAME_DIGITS),
    ("{token},,,,山田?,,", "customer_name", texts.NAME_LOST),
    ("{token},,,,,9012345678,", "phone", texts.EXCEL_PHONE),
    ("{token},,,,,12,", "phone", texts.PHONE_FORM),
    ("{token},,,,,,gestoppt", "status", texts.STATUS_UNKNOWN),
    ("{token},{number},,,,,stopped", "status", texts.STOPPED_WITH_NUMBER),
    ("{token},,", "", texts.wrong_width(3)),
]


@pytest.mark.engines("sqlite")
def test_bad_rows_are_named_and_change_nothing(
    desk: Desk, file: Path, place: VaultPlace
) -> None:
    """By line and column, without the cell; the row after them is taken in."""
    stock(desk, *[(f"N{n}", PHONE, VISA, 203001) for n in range(len(BAD_ROWS) + 1)])
    before = desk.customers()
    lines = [
        row.format(token=one.token, number=MASTERCARD)
        for (row, *_), one in zip(BAD_ROWS, before, strict=False)
    ]
    heading = "token,card_number,exp_month,exp_year,customer_name,phone,status"
    text = "\n".join([heading, *lines, f"{before[-1].token},,,,L,,", ""])
    file.write_text(text, encoding="utf-8")
    ran = run(desk, str(file))
    assert ran.exit_code == 1
    for line, (_, column, fault) in enumerate(BAD_ROWS, 2):
        where = f"{column}: " if column else ""
        assert f"line {line}: refused: {where}{fault}\n" in ran.stdout
    assert "4111 1111" not in ran.output
    after = desk.customers()
    assert [one.rev for one in after] == [1] * len(BAD_ROWS) + [2]
    assert f"{len(BAD_ROWS)} refused" in ran.stdout
    assert place.findings() == {}


def test_a_customer_named_twice_is_refused_in_both_rows(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """However far apart, because nobody knows which of the two is meant."""
    a, b, c = (one.token for one in three)
    rows = rows_of(desk, file, f"token,customer_name\n{a},X\n{b},Y\n{c},\n{a},Z\n")
    assert [row["status"] for row in rows] == [
        "refused",
        "updated",
        "unchanged",
        "refused",
    ]
    assert rows[0]["error"] == f"token: {texts.KEY_TWICE}"
    assert [one.name for one in desk.customers()] == ["A", "Y", "C"]


def test_whom_nobody_knows_is_named(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """A token that never was, one of a customer who was deleted since, and one whose
    number an operator has replaced since: each says what it is."""
    a, b, _ = three
    desk.delete(a.public_id)
    desk.change(b.public_id, **boxes("5555", "5555", "5555", "4444"))
    never = Token.new()
    text = f"token,card_number\n{never},{VISA}\n{a.token},{VISA}\n{b.token},{VISA}\n"
    rows = rows_of(desk, file, text)
    assert [(row["status"], row["error"]) for row in rows] == [
        ("unknown", texts.CUSTOMER_UNKNOWN),
        ("unknown", texts.CUSTOMER_DELETED),
        ("conflict", texts.NUMBER_CHANGED),
    ]
    assert [row["token"] for row in rows] == [never, a.token, b.token]
    assert desk.customers()[0].masked == "55**-****-****-4444"
    text = f"public_id,status\n{a.public_id},停止\n"
    assert run_again(desk, file, text) == ["unknown"]


@pytest.mark.engines("sqlite")
def test_what_is_no_token_names_nobody(desk: Desk, file: Path) -> None:
    """It is not repeated, because it may be a number; another fault refuses the row."""
    text = f"token,status\ncard_x,停止\n{VISA},停止\n,停止\ncard_x,gestoppt\n"
    rows = rows_of(desk, file, text)
    shape = f"token: {texts.KEY_FORMS['token']}"
    assert [(row["status"], row["error"]) for row in rows] == [
        *3 * [("unknown", shape)],
        ("refused", f"{shape} / status: {texts.STATUS_UNKNOWN}"),
    ]
    assert [row["token"] for row in rows] == 4 * [""]


def test_what_the_edit_page_refuses_of_this_card_is_refused(
    desk: Desk, file: Path, clock: FakeClock
) -> None:
    """An expiry of a damaged or missing card, and a new number without an expiry where
    the old one is over."""
    stock(
        desk,
        ("damaged", PHONE, VISA, 203001),
        ("missing", PHONE, VISA, 203001),
        ("over", PHONE, VISA, 202612),
    )
    damaged, missing, over = desk.customers()
    clock.advance(60 * 86400)
    with desk.vault.engine.begin() as db:
        db.execute(update(CARD).where(CARD.c.token == damaged.token).values(last4="1"))
        desk.vault.delete(db, Token(missing.token), Actor("x", "command"))
    heading = "token,card_number,exp_month,exp_year\n"
    rows = rows_of(
        desk,
        file,
        heading
        + f"{damaged.token},,2,2031\n{missing.token},,2,2031\n"
        + f"{over.token},{MASTERCARD},,\n",
    )
    assert [row["status"] for row in rows] == 3 * ["refused"]
    assert [row["error"] for row in rows] == [
        f"card_number: {texts.NUMBER_NEEDED}",
        f"card_number: {texts.NUMBER_NEEDED}",
        f"exp_month: {texts.EXPIRY_NEEDED}",
    ]
    with_number = "".join(
        f"{one.token},{MASTERCARD},2,2031\n" for one in (damaged, missing, over)
    )
    assert run_again(desk, file, heading + with_number) == 3 * ["updated"]
    assert desk.cards() == 3


def run_again(desk: Desk, file: Path, text: str) -> list[str]:
    """Take in another file, with results of its own."""
    file.with_name("results.csv").unlink()
    return taken_in(desk, file, text)


def test_a_dry_run_says_it_all_and_writes_nothing(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """The statuses it would have, and neither a row nor an entry more."""
    a, b, c = three
    before, cards = desk.trail(), desk.cards()
    text = (
        "token,card_number,customer_name,status\n"
        f"{a.token},{MASTERCARD},,\n{b.token},,,停止\n{c.token},,C,\n"
        f"{Token.new()},,,\n"
    )
    assert taken_in(desk, file, text, "--dry-run") == [
        "would_update",
        "would_stop",
        "unchanged",
        "unknown",
    ]
    assert (desk.trail(), desk.cards()) == (before, cards)
    assert [one.rev for one in desk.customers()] == [1, 1, 1]
    ran = run(desk, str(file), "--dry-run")
    assert ran.stdout.endswith(
        "4 rows: 1 would be updated, 1 unchanged, 1 would be marked as stopped, "
        "1 unknown\nnothing was changed\n"
    )
    # A real run's results take the place of the dry run's.
    assert taken_in(desk, file, text)[0] == "updated"


def test_the_same_file_again_changes_nothing(desk: Desk, file: Path) -> None:
    """By token and by public id: what is done stays done, with the same tokens."""
    for name in ("A", "B", "C"):
        stock(desk, (name, PHONE, VISA, 203001))
    for key in ("token", "public_id"):
        a, b, c = desk.customers()
        text = (
            f"{key},card_number,exp_month,exp_year,status\n"
            f"{getattr(a, key)},{MASTERCARD},,,\n"
            f"{getattr(b, key)},,3,2032,\n"
            f"{getattr(c, key)},,,,停止\n"
        )
        out = file.with_name("results.csv")
        out.unlink(missing_ok=True)
        first = rows_of(desk, file, text)
        if key == "token":
            assert [row["status"] for row in first] == ["updated", "updated", "stopped"]
        revs, entries = [one.rev for one in desk.customers()], len(desk.trail())
        for _ in range(2):
            again = rows_of(desk, file, text)
            assert [row["status"] for row in again] == [
                "unchanged",
                "unchanged",
                "stopped",
            ]
            assert [row["token"] for row in again] == [row["token"] for row in first]
        assert [one.rev for one in desk.customers()] == revs
        assert len(desk.trail()) == entries
        assert desk.cards() == 3


def test_a_mended_file_takes_in_the_mended_row_alone(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """The rows that were taken in name tokens that are no card's any more."""
    a, b, _ = three
    heading = "token,card_number\n"
    good, bad = f"{a.token},{MASTERCARD}\n", f"{b.token},5555555555554445\n"
    assert taken_in(desk, file, heading + good + bad) == ["updated", "refused"]
    mended = f"{b.token},{OTHER_VISA}\n"
    assert run_again(desk, file, heading + good + mended) == ["unchanged", "updated"]
    # Another number for a card that was replaced is no row of that file.
    other = f"{a.token},{OTHER_VISA}\n"
    assert run_again(desk, file, heading + other) == ["conflict"]
    assert [one.last4 for one in desk.customers()] == ["4444", "1111", "0000"]


def test_what_an_operator_changed_since_is_left_alone(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """The same file does not put its name back over theirs."""
    a, b, c = three
    text = (
        "public_id,card_number,customer_name\n"
        f"{a.public_id},,NEU\n{b.public_id},{MASTERCARD},\n{c.public_id},,C2\n"
    )
    assert taken_in(desk, file, text) == 3 * ["updated"]
    desk.change(a.public_id, customer_name="operator's")
    desk.change(b.public_id, **boxes("4111", "1111", "1111", "1111"))
    desk.change(c.public_id, phone="03-1111-1111")
    rows = rows_of(desk, file, text)
    # C is as the row wants it, whoever changed the rest.
    assert [row["status"] for row in rows] == ["conflict", "conflict", "unchanged"]
    assert rows[0]["error"] == texts.CHANGED_SINCE
    assert [one.name for one in desk.customers()] == ["operator's", "B", "C2"]
    assert desk.customers()[1].last4 == "1111"


def test_an_edit_between_the_reading_and_the_writing_is_left_alone(
    desk: Desk, three: list[Customer], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was, in the same second: the row is in conflict, and stays so when
    the file is given again."""
    a, b, c = three
    real = batches.take_in

    def late(*args: object) -> object:
        monkeypatch.setattr(batches, "take_in", real)
        desk.change(a.public_id, customer_name="operator's")
        desk.delete(b.public_id)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "take_in", late)
    text = "token,card_number\n" + "".join(
        f"{one.token},{MASTERCARD}\n" for one in (a, b, c)
    )
    rows = rows_of(desk, file, text)
    assert [row["status"] for row in rows] == ["conflict", "conflict", "updated"]
    assert {row["error"] for row in rows[:2]} == {texts.CHANGED_MEANWHILE}
    assert [one.name for one in desk.customers()] == ["operator's", "C"]
    assert only(desk, "operator's").token == a.token
    assert taken_in(desk, file, text) == ["conflict", "unknown", "unchanged"]


def test_a_run_that_was_cut_off_goes_on(
    desk: Desk,
    three: list[Customer],
    file: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The results tell of both runs; what an operator changed in between is in
    conflict, and a second process does not take in what is done."""
    a, b, c = three
    monkeypatch.setattr(batches, "BATCH", 1)
    real, calls = batches.take_in, iter([True, False])

    def cut(*args: object) -> object:
        if next(calls, False):
            return real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    text = "token,card_number,exp_month,exp_year\n" + "".join(
        f"{one.token},{MASTERCARD},2,2031\n" for one in (a, b, c)
    )
    monkeypatch.setattr(batches, "take_in", cut)
    file.write_text(text, encoding="utf-8")
    stopped = run(desk, str(file))
    assert stopped.exit_code == 3
    assert "run the same command again" in stopped.stderr
    monkeypatch.setattr(batches, "take_in", real)
    clock.advance(1)
    desk.change(b.public_id, customer_name="operator's")
    rows = rows_of(desk, file, text)
    assert [row["status"] for row in rows] == ["updated", "conflict", "updated"]
    assert [row["line"] for row in rows] == ["2", "3", "4"]
    assert rows[0]["token"] == desk.customers()[0].token
    assert only(desk, "operator's").last4 == "0000"


def test_what_the_sites_commit_lost_is_told_and_done_again(
    desk: Desk, three: list[Customer], file: Path, place: VaultPlace
) -> None:
    """The vault's commit told of a name, of a number and of a mark; when the site's
    fails the trail says so, and the same command does it."""
    a, b, c = three
    text = (
        "token,card_number,customer_name,status\n"
        f"{a.token},{MASTERCARD},,\n{b.token},,X,\n{c.token},,,停止\n"
    )
    file.write_text(text, encoding="utf-8")
    commits = iter(["the job's"])

    def lose(_site: SiteSession) -> None:
        if not next(commits, ""):
            raise OperationalError("COMMIT", {}, Exception("the disk is full"))

    event.listen(SiteSession, "before_commit", lose)
    try:
        ran = run(desk, str(file))
    finally:
        event.remove(SiteSession, "before_commit", lose)
    assert ran.exit_code == 2
    assert [one.rev for one in desk.customers()] == [1, 1, 1]
    assert desk.cards() == 4
    with place.engine.connect() as db:
        told = [
            (entry.event, entry.outcome, entry.subject)
            for entry in read_entries(db)
            if entry.event in ("customer.updated", "card.stopped")
        ]
    rows = (("customer.updated", b.token), ("card.stopped", c.token))
    assert told == [
        (event_name, outcome, token)
        for outcome in ("success", "failure")
        for event_name, token in rows
    ]
    assert taken_in(desk, file, text) == ["updated", "updated", "stopped"]
    assert only(desk, "X").rev == 2
    assert place.findings() == {}


def test_two_processes_take_in_no_row_twice(
    desk: Desk, three: list[Customer], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that comes to a batch second is told to wait, and changes nothing."""
    real = batches.take_in

    def second(*args: object) -> object:
        monkeypatch.setattr(batches, "take_in", real)
        assert run(desk, str(file)).exit_code == 0
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "take_in", second)
    file.write_text(f"token,card_number\n{three[0].token},{MASTERCARD}\n")
    ran = run(desk, str(file))
    assert ran.exit_code == 2
    assert "another update by this file is running" in ran.stderr
    assert [one.rev for one in desk.customers()] == [2, 1, 1]
    assert desk.cards() == 3


HEADINGS = {
    "customer_name,phone\n": "the column token or public_id is missing",
    "token,public_id,phone\n": "there are both token and public_id; leave one",
    "token\n": "there is no column to update",
    "token,phone,phone\n": "the column phone is there twice",
    "token,card_numbr\n": "there are columns of other names (column 2)",
    "token;phone\n": "separated by semicolons",
    "sep=,\n": "begins with the line sep=",
}


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_that_is_none_is_refused(
    desk: Desk, file: Path, heading: str
) -> None:
    """Before anything is written, with what the first line must name."""
    file.write_text(heading + "x,y,z\n")
    ran = run(desk, str(file))
    assert ran.exit_code == 2
    assert HEADINGS[heading] in ran.stderr
    assert "token or public_id" in ran.stderr or "CSV UTF-8" in ran.stderr


@pytest.mark.engines("sqlite")
def test_a_file_that_changes_while_it_is_read_is_refused(
    desk: Desk, three: list[Customer], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that was not there at the first reading is not taken in."""
    a, b, _ = three
    real = jobs.begin

    def grown(*args: object) -> object:
        with file.open("a") as more:
            more.write(f"{b.token},Y\n")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "begin", grown)
    file.write_text(f"token,customer_name\n{a.token},X\n")
    ran = run(desk, str(file))
    assert ran.exit_code == 2
    assert "was changed while it was read" in ran.stderr
    assert [one.name for one in desk.customers()] in (["A", "B", "C"], ["X", "B", "C"])


@pytest.mark.engines("sqlite")
def test_results_of_something_else_are_not_written_over(
    desk: Desk, three: list[Customer], file: Path
) -> None:
    """Neither another file's results nor the file itself."""
    text = f"token,customer_name\n{three[0].token},X\n"
    assert taken_in(desk, file, text) == ["updated"]
    file.write_text(text.replace("X", "Y"))
    results = file.with_name("results.csv")
    for path in (results, file):
        ran = run(desk, str(file), "--results", str(path))
        assert ran.exit_code == 2
        assert "holds something else" in ran.stderr
    assert desk.customers()[0].name == "X"
