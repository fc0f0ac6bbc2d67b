"""The pages of the list, on more customers than one page holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.orm import Session

from app.cards.models import Customer
from app.cards.search import index, listing, statements
from app.cards.search.query import Query
from app.db import looking
from tests.actors.operator_client import Desk
from tests.places.vault import NOON

SORTS = ("name", "-name", "expiry", "-expiry", "updated", "-updated")


def fill(desk: Desk, count: int, *, expiry: int = 203001, begin: int = 1) -> None:
    """Insert customers ``begin`` and following, named 客00001 and so on: many are equal
    in every order but the name's, and the order of the names is another."""
    rows: list[dict[str, Any]] = [
        {
            "id": number,
            "public_id": letters(number),
            "name": f"客{number * 7 % 99_991:05}",
            "name_folded": f"客{number * 7 % 99_991:05}",
            "phone": f"090{number:08}",
            "phone_digits": f"090{number:08}",
            "token": f"card_{number}",
            "brand": "visa",
            "prefix": "48",
            "last4": f"{number % 10_000:04}",
            "length": 16,
            "expiry": expiry + number % 3,
            "rev": 1,
            "created_at": NOON,
            "updated_at": NOON + number // 40,
            "created_by": "taro",
        }
        for number in range(begin, begin + count)
    ]
    with desk.app.extensions["site_engine"].begin() as db:
        db.execute(insert(Customer), rows)
        with Session(db) as site:
            index.add(site, [index.row_of(row["id"], row) for row in rows])


def letters(number: int) -> str:
    """A public id for a number."""
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:024}")


def page_of(desk: Desk, address: str) -> list[str]:
    """The names at ``address``, redirects followed."""
    answer = desk.open(address)
    while answer.status_code == 303:
        answer = desk.open(str(answer.location))
    assert answer.status_code == 200
    return re.findall(r'class="name"[^>]*>([^<]*)<', desk.page)


def link(desk: Desk, words: str) -> str | None:
    """Where a link of the page with these words leads."""
    found = re.search(rf'href="([^"]*)"[^>]*>{words}<', desk.page)
    return unescape(found[1]) if found else None


def walk(desk: Desk, address: str, words: str) -> Iterator[list[str]]:
    """The pages from ``address`` on, by the link ``words``."""
    at: str | None = address
    while at is not None:
        yield page_of(desk, at)
        at = link(desk, words)


def in_order(desk: Desk, sort: str) -> list[str]:
    """All names in an order, by the database alone."""
    column = sort.removeprefix("-").replace("updated", "updated_at")
    turn = "DESC" if sort.startswith("-") else "ASC"
    column = column.replace("name", "name_folded")
    query = f"SELECT name FROM customer ORDER BY {column} {turn}, id {turn}"
    with looking(desk.app.extensions["site_engine"]) as site:
        return list(site.scalars(text(query)))


@pytest.mark.parametrize("sort", SORTS)
def test_the_links_lead_through_everyone_and_back(desk: Desk, sort: str) -> None:
    """Each customer is on one page, in the order, forwards and backwards."""
    fill(desk, 173)
    wanted = in_order(desk, sort)

    there = list(walk(desk, f"/cards?sort={sort}", "次の50件"))
    assert [name for page in there for name in page] == wanted
    assert [len(page) for page in there] == [50, 50, 50, 23]

    back = list(walk(desk, f"/cards?sort={sort}&page=4", "前の50件"))
    assert back == there[::-1]


@pytest.mark.parametrize("sort", SORTS)
def test_the_last_page_of_more_than_a_thousand_is_counted_from_the_end(
    desk: Desk, sort: str
) -> None:
    """最後へ leads to the last fifty, and from there the links lead back to the first
    and forwards again."""
    fill(desk, 1_020)
    wanted = in_order(desk, sort)
    page_of(desk, f"/cards?sort={sort}")
    last = link(desk, "最後へ")
    assert last == f"/cards?{'' if sort == '-updated' else f'sort={sort}&'}page=-1"

    back = list(walk(desk, last, "前の50件"))
    assert [name for page in back[::-1] for name in page] == wanted
    assert [len(page) for page in back[-2:]] == [50, 20]
    assert "最後から21ページ目" in desk.page
    there = list(walk(desk, f"/cards?sort={sort}&page=-3", "次の50件"))
    assert there == [wanted[-150:-100], wanted[-100:-50], wanted[-50:]]


def test_the_last_page_of_up_to_a_thousand_has_its_number(desk: Desk) -> None:
    """As many customers are counted."""
    fill(desk, 1_000)
    page_of(desk, "/cards")
    assert link(desk, "最後へ") == "/cards?page=20"
    assert "1〜50件を表示（全1,000件）" in desk.page


def test_a_thousand_and_more_are_not_counted(desk: Desk) -> None:
    """The list says so, and each filter has its number."""
    fill(desk, 1_001)
    fill(desk, 7, expiry=202601, begin=2_000)
    page_of(desk, "/cards?page=2")
    assert "51〜100件を表示（全1,000件以上）" in desk.page
    assert re.search(r"期限切れ\s*（7）", desk.page)
    assert re.search(r"期限間近\s*（0）", desk.page)
    page_of(desk, "/cards?page=-1")
    assert "最後から1〜50件を表示（全1,000件以上）" in desk.page


def test_a_search_says_how_many_it_found_and_leads_out(desk: Desk) -> None:
    """The words, the number, a page's part of it, and the way back to everyone."""
    fill(desk, 73)
    page_of(desk, "/cards?q=客&sort=name&page=2")
    assert "「客」の検索結果：73件" in desk.page
    assert "51〜73件を表示" in desk.page
    assert link(desk, "条件をクリア") == "/cards?sort=name"


@pytest.mark.parametrize(
    ("address", "title"),
    [
        ("/cards", "クレジットカード情報の一覧"),
        ("/cards?page=2", "クレジットカード情報の一覧（2ページ目）"),
        ("/cards?page=-1", "クレジットカード情報の一覧（最後のページ）"),
        ("/cards?q=客", "「客」の検索結果"),
        ("/cards?q=客%200000", "「客」の検索結果"),
        ("/cards?q=5678", "検索結果"),
    ],
)
def test_the_title_names_page_and_word_but_no_digits(
    desk: Desk, address: str, title: str
) -> None:
    """A telephone number would stay in the browser's history."""
    fill(desk, 73)
    page_of(desk, address)
    assert f"<title>{title} - " in desk.page


@pytest.mark.parametrize("page", ["3", "99", "99999"])
def test_a_page_beyond_the_end_leads_to_the_last(desk: Desk, page: str) -> None:
    """As when the only row of the last page was deleted."""
    fill(desk, 60)
    answer = desk.open(f"/cards?sort=name&page={page}")
    assert answer.location == "/cards?sort=name&page=2"
    assert len(page_of(desk, str(answer.location))) == 10


def test_a_page_beyond_the_end_of_many_leads_to_the_last(desk: Desk) -> None:
    """From either end."""
    fill(desk, 1_001)
    assert desk.open("/cards?page=99").location == "/cards?page=-1"
    assert desk.open("/cards?page=-99").location == "/cards"


def test_a_refused_form_shows_the_last_page_and_not_an_empty_one(desk: Desk) -> None:
    """Its address has the page's number, which nobody corrects."""
    fill(desk, 60)
    desk.open("/cards")
    fields = desk.filled("登録", customer_name="")
    answer = desk.client.post("/cards?page=9", data=fields)
    assert answer.status_code == 422
    assert answer.get_data(as_text=True).count(">編集</a>") == 10


def test_a_number_without_a_cursor_or_with_a_stale_one_is_right(desk: Desk) -> None:
    """Somebody types the number, or the customer beside the page was changed since."""
    fill(desk, 173)
    wanted = in_order(desk, "name")[100:150]
    assert page_of(desk, "/cards?sort=name&page=3") == wanted
    for end in ("after", "before"):
        for stale in ("nobody.1", f"{letters(5)}.2", "x", f"{letters(5)}.1x", "'"):
            address = f"/cards?sort=name&page=3&{end}={stale}"
            assert page_of(desk, address) == wanted


def test_a_customer_who_comes_in_between_shifts_no_page_that_is_walked(
    desk: Desk,
) -> None:
    """By number the last of the first page would come again."""
    fill(desk, 120)
    first = page_of(desk, "/cards")
    following = link(desk, "次の50件")
    fill(desk, 1, begin=500)
    assert following is not None
    assert not set(first) & set(page_of(desk, following))


@pytest.mark.parametrize(
    ("words", "cursor"), [("前の50件", "before"), ("次の50件", "after")]
)
def test_a_walked_page_is_found_without_counting_rows(
    desk: Desk, words: str, cursor: str
) -> None:
    """No statement of such a page skips a row."""
    fill(desk, 1_020)
    page_of(desk, "/cards?page=-5")
    address = link(desk, words)
    assert address is not None
    asked = dict(re.findall(r"(\w+)=([^&]*)", address))
    assert cursor in asked
    skipped: list[int] = []

    def keep(_db: Any, _cursor: Any, said: str, given: Any, *_: Any) -> None:
        if "OFFSET" in said:
            skipped.append(given[-1])

    engine = desk.app.extensions["site_engine"]
    event.listen(engine, "before_cursor_execute", keep)
    with looking(engine) as site:
        page = listing.find(site, Query.read(asked), NOON)
        numbered = listing.find(site, Query(page=page.query.page), NOON)
    event.remove(engine, "before_cursor_execute", keep)
    assert [row.id for row in page.customers] == [row.id for row in numbered.customers]
    assert skipped[-1] >= 150
    assert not any(skipped[:-1])


def test_a_filter_begins_with_who_expires_first(desk: Desk) -> None:
    """Unless another order was asked for."""
    fill(desk, 9, expiry=202601)
    names = page_of(desk, "/cards?expiry=expired")
    assert names == in_order(desk, "expiry")
    assert 'aria-sort="ascending"' in desk.page
    assert page_of(desk, "/cards?expiry=expired&sort=-updated") == in_order(
        desk, "-updated"
    )


def test_a_file_begins_before_the_customers_are_read(desk: Desk) -> None:
    """The trail has it and the heading is sent; then a customer who was changed, and so
    comes to another place, is there once, and who was deleted is not."""
    fill(desk, 1_200)
    wanted = in_order(desk, "-updated")
    answer = desk.client.get("/cards.csv")
    pieces = iter(answer.iter_encoded())
    assert next(pieces).count(b"\r\n") == 1
    assert '"rows": "1200"' in desk.trail()[-1][2]
    lines = next(pieces).decode().splitlines()
    change = "UPDATE customer SET updated_at = updated_at + 9999 WHERE name = :name"
    with desk.app.extensions["site_engine"].begin() as db:
        db.execute(text(change), {"name": wanted[1_100]})
        db.execute(text("DELETE FROM customer WHERE name = :n"), {"n": wanted[1_150]})
    for piece in pieces:
        lines += piece.decode().splitlines()
    names = [line.partition(",")[0] for line in lines]
    assert names == [name for name in wanted if name != wanted[1_150]]


def test_a_listing_names_no_more_than_the_trail_says(desk: Desk) -> None:
    """Whoever registers while it is printed is not in it."""
    fill(desk, 1_200)
    engine = desk.app.extensions["site_engine"]
    listed = listing.everyone_in_turn(engine, 1_200)
    first = next(listed)
    fill(desk, 3, begin=5_000)
    assert [first.id, *(one.id for one in listed)] == list(range(1, 1_201))
    assert len(list(listing.everyone_in_turn(engine, 5_000))) == 1_203


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), 320),
        (Query(page=-1), 320),
        (Query(sort="name", page=3), 320),
        (Query(expiry="expired"), 20),
        (Query(expiry="soon"), 0),
    ],
)
def test_a_page_asks_three_times_and_builds_nothing_anew(
    desk: Desk, query: Query, found: int
) -> None:
    """For the numbers, the customers and all counts, nothing of it twice, and by the
    statements of the request before."""
    fill(desk, 300)
    fill(desk, 20, begin=2_000, expiry=202601)
    engine, asked = desk.app.extensions["site_engine"], list[str]()
    built = (statements.ids, statements.counts)

    def counted() -> listing.Counts:
        with looking(engine) as site:
            page = listing.find(site, query, NOON)
            return listing.counts(site, page.query, NOON)

    counted()
    before = [one.cache_info().misses for one in built]
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    assert counted() == listing.Counts(
        found, {"expired": 20, "soon": 0, "stopped": 0}, 0
    )
    assert [one.cache_info().misses for one in built] == before
    assert sum(one.startswith("SELECT") for one in asked) == 3
