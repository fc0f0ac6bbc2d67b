"""クレジットカード情報の一覧: search, order, pages, badges, CSV, look-ups."""

from __future__ import annotations

import csv
import io
import re
from urllib.parse import unquote_plus, urlencode

import pytest

from tests.actors.operator_client import Desk
from tests.places.vault import FakeClock

from .stocked import AMEX, VISA, names, stock


@pytest.fixture
def three(desk: Desk) -> Desk:
    """Three customers, registered in this order."""
    stock(
        desk,
        ("ヤマダ商店", "03-1234-5678", VISA, 203001),
        ("Ｓato 100%", "09011112222", AMEX, 202612),
        ("すずき", "080-3333-0000", "5555555555554444", 202610),
    )
    return desk


def test_the_list_shows_the_manuals_columns(three: Desk) -> None:
    """お客様名, 電話番号, カード番号, 操作, and 編集 in every row."""
    three.open("/cards")

    for column in ("お客様名", "電話番号", "カード番号", "操作"):
        assert re.search(rf"<th [^>]*>\s*(<a [^>]*>)?{column}", three.page)
    assert three.page.count(">編集</a>") == 3
    assert "48**-****-****-0000" in three.page
    assert "37**-******-*0005" in three.page


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("やまだ", ["ヤマダ商店"]),
        ("ﾔﾏﾀﾞ", ["ヤマダ商店"]),
        ("SATO", ["Ｓato 100%"]),
        ("スズキ", ["すずき"]),
        ("100%25", ["Ｓato 100%"]),
        ("0%25", ["Ｓato 100%"]),
        ("_", []),
        ("0312345678", ["ヤマダ商店"]),
        ("03-1234-5678", ["ヤマダ商店"]),
        ("０３－１２３４", ["ヤマダ商店"]),
        ("4444", ["すずき"]),
        ("0000", ["すずき", "ヤマダ商店"]),
        ("いない", []),
    ],
)
def test_the_search_finds_by_name_phone_and_last_four(
    three: Desk, q: str, found: list[str]
) -> None:
    """Width, kana and case are folded; % and _ are letters."""
    assert names(three, f"/cards?q={q}") == found


def search(desk: Desk, q: str, path: str = "/cards", **more: str) -> str:
    """Type into the search of the list at ``path``; where it leads."""
    desk.open(path)
    answer = desk.send("/cards/search", desk.filled("検索", q=q, **more))
    assert answer.status_code == 303
    return unquote_plus(str(answer.location))


NUMBERS = [
    (VISA, "0000"),
    ("4810-0000-0002-0000", "0000"),
    ("4810 0000:0002|0000", "0000"),
    ("４８１０－００００　０００２ー００００", "0000"),
    ("4810\u200b0000\u200b00020000", "0000"),
    ("481000000002", "0002"),
    (f"番号{VISA}様", "番号0000様"),
    (f"山田 {VISA} x {AMEX}", "山田 0000 x 0005"),
    (f"山田{'x' * 90}{VISA}", f"山田{'x' * 90}0000"),
]


@pytest.mark.parametrize(("q", "left"), NUMBERS)
def test_a_number_in_the_search_is_cut_to_its_last_four(
    three: Desk, q: str, left: str
) -> None:
    """Each run of 12 digits or more, whatever but letters is in it."""
    assert search(three, q) == f"/cards?q={left}"


@pytest.mark.parametrize(
    "q", ["山田 太郎", "090-1234-5678", "03 1234 5678 山田 1234", "48100000000"]
)
def test_what_is_no_number_is_searched_as_typed(three: Desk, q: str) -> None:
    """A telephone number has 11 digits; letters end a run."""
    assert search(three, q) == f"/cards?q={q}"


def test_a_search_keeps_order_and_filter_and_begins_at_the_first_page(
    three: Desk,
) -> None:
    """As the list it was typed into."""
    stock(three, *((f"x{n}", "03-1234-5678", VISA, 202612) for n in range(101)))
    path = "/cards?q=x&sort=name&page=3&expiry=soon"
    assert search(three, "さとう", path) == "/cards?q=さとう&sort=name&expiry=soon"
    assert search(three, "", path) == "/cards?sort=name&expiry=soon"
    strange = {"page": "7", "sort": "x", "_external": "1", "_scheme": "evil"}
    assert search(three, "a", **strange) == "/cards?q=a"


def test_a_search_is_found_where_it_leads(three: Desk) -> None:
    """The last four digits of what was typed."""
    assert names(three, search(three, AMEX)) == ["Ｓato 100%"]


@pytest.mark.parametrize(
    "path", ["/cards", "/cards.csv", "/cards.xlsx", "/cards/search", "EDIT"]
)
@pytest.mark.parametrize(("q", "left"), NUMBERS)
def test_an_address_with_a_number_is_refused(
    three: Desk, path: str, q: str, left: str
) -> None:
    """Whoever made it has it in every log on the way; ours don't lead on with it."""
    if path == "EDIT":
        path = f"/cards/{three.customers()[0].public_id}/edit"
    for query in (urlencode({"q": q}), urlencode([("q", "a"), ("q", q)])):
        answer = three.open(f"{path}?{query}")
        assert answer.status_code == 400
        assert q not in three.page
    assert three.open(f"{path}?{urlencode({'q': left})}").status_code in (200, 303)


def test_the_search_needs_its_token_and_a_login(desk: Desk) -> None:
    """Another site can't have an operator search; a stranger is led to the login."""
    assert desk.client.post("/cards/search", data={"q": "a"}).status_code == 400
    answer = desk.app.test_client().post("/cards/search", data={"q": "a"})
    assert answer.location == "/login"


def test_a_searchs_address_can_be_opened_again(desk: Desk) -> None:
    """A reload after the token went stale leads to the list."""
    assert desk.open("/cards/search").location == "/cards"


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", ["Ｓato 100%", "すずき", "ヤマダ商店"]),
        ("-name", ["ヤマダ商店", "すずき", "Ｓato 100%"]),
        ("expiry", ["すずき", "Ｓato 100%", "ヤマダ商店"]),
        ("-expiry", ["ヤマダ商店", "Ｓato 100%", "すずき"]),
        ("updated", ["ヤマダ商店", "Ｓato 100%", "すずき"]),
        ("nonsense", ["すずき", "Ｓato 100%", "ヤマダ商店"]),
    ],
)
def test_the_order_is_as_asked(three: Desk, sort: str, order: list[str]) -> None:
    """The three orders and their turns; otherwise the newest first."""
    assert names(three, f"/cards?sort={sort}") == order


def test_badges_and_filter_tell_expired_and_expiring(three: Desk) -> None:
    """期限切れ is over; 期限間近 ends this month or the next."""
    assert names(three, "/cards?expiry=expired") == ["すずき"]
    assert '<span class="badge over">期限切れ</span>' in three.page
    assert names(three, "/cards?expiry=soon") == ["Ｓato 100%"]
    assert '<span class="badge">期限間近</span>' in three.page


def test_pages_hold_fifty_and_keep_the_search(desk: Desk) -> None:
    """The 51st is on the second page; q and sort go along."""
    stock(desk, *((f"客{n:03}号", "03-1234-5678", VISA, 203001) for n in range(51)))

    assert len(names(desk, "/cards?q=客&sort=name")) == 50
    assert "sort=name&amp;page=2" in desk.page
    assert "次の50件" in desk.page
    assert names(desk, "/cards?q=客&sort=name&page=2") == ["客050号"]
    assert "次の50件" not in desk.page


@pytest.mark.parametrize("page", ["0", "-0", "-1", "x", "９", "9" * 40])
def test_a_strange_page_number_breaks_nothing(three: Desk, page: str) -> None:
    """Whatever stands in the address, a list comes."""
    assert three.open(f"/cards?page={page}").status_code == 200


def test_an_empty_list_says_so(desk: Desk) -> None:
    """Nothing stored, nothing found and nothing let through are told apart."""
    desk.open("/cards")
    assert "登録されているカードはありません。下の「新規登録」から" in desk.page
    desk.open("/cards?q=zzz&expiry=expired")
    assert "「zzz」に一致するお客様は登録されていません。" in desk.page
    assert "期限切れだけを表示しています。" in desk.page
    assert "条件をクリア" in desk.page
    desk.open("/cards?expiry=expired")
    assert "該当するカードはありません。" in desk.page


def rows_of(text: str) -> list[list[str]]:
    """A CSV's rows, without its byte order mark."""
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_csv_is_masked_and_marked(three: Desk) -> None:
    """The same search as CSV, with a byte order mark and no full number."""
    answer = three.open("/cards.csv?q=やまだ")

    assert answer.get_data().startswith(b"\xef\xbb\xbf")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "cards-20261123.csv" in answer.headers["Content-Disposition"]
    assert rows_of(three.page)[1:] == [
        [
            "ヤマダ商店",
            "03-1234-5678",
            "48**-****-****-0000",
            "Visa",
            "01/2030",
            "2026/11/23 12:00",
        ]
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", '=A"B,C'])
def test_the_csv_holds_no_formula(desk: Desk, name: str) -> None:
    """A name that a spreadsheet would run is led by an apostrophe."""
    stock(desk, (name, "03-1234-5678", VISA, 203001))

    desk.open("/cards.csv")

    assert rows_of(desk.page)[1][0] == f"'{name}"


def test_the_csv_is_in_the_trail(three: Desk) -> None:
    """Who took how many rows is recorded."""
    three.open("/cards.csv?expiry=expired")

    event, _, detail = three.trail()[-1]
    assert event == "cards.exported_masked"
    assert '"rows": "1"' in detail


def test_the_lookup_warns_by_what_a_mask_shows(three: Desk) -> None:
    """Prefix, last four and expiry find the likely same card."""
    query = "prefix=48&last4=0000&expiry=203001"

    (found,) = three.client.get(f"/cards/likeness?{query}").get_json()["likely"]

    assert found["text"] == "同じと思われるカードが登録されています（ヤマダ商店様）。"
    assert three.open(found["url"]).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "prefix=48&last4=0000&expiry=x",
        "prefix=48&last4=1111&expiry=203001",
        "expiry=²",
    ],
)
def test_the_lookup_is_silent_otherwise(three: Desk, query: str) -> None:
    """Half a card, another card and nonsense find nothing."""
    answer = three.client.get(f"/cards/likeness?{query}")

    assert answer.get_json() == {"likely": []}


def test_still_here_answers_with_nothing(desk: Desk) -> None:
    """続ける is a POST with the session's own check."""
    desk.open("/cards")
    fields = {"csrf_token": desk.filled("登録")["csrf_token"]}

    assert desk.client.post("/cards/still-here", data=fields).status_code == 204


def test_the_deletion_is_shown_for_a_quarter_of_an_hour(
    desk: Desk, clock: FakeClock
) -> None:
    """Reloading 削除完了 is harmless, and later it is gone."""
    answer = desk.delete(desk.register())
    assert desk.open(str(answer.location)).status_code == 200
    clock.advance(14 * 60)
    assert desk.open("/cards").status_code == 200
    clock.advance(61)

    assert desk.open("/cards/deleted").location == "/cards"
