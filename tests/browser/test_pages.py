"""How the pages behave under an operator's hands."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.actors.operator_browser import Desk
from tests.places.site import PASSWORD

MASKS = [
    ("4810000000020000", "Visa", "48**-****-****-0000"),
    ("378282246310005", "American Express", "37**-******-*0005"),
    ("30569309025904", "Diners Club", "30**-******-5904"),
    ("3530111333300000", "JCB", "35**-****-****-0000"),
    ("8171999900000000021", "UnionPay", "81**-****-****-***0021"),
]


def boxes(desk: Desk) -> list[str]:
    """What the four boxes hold."""
    return [
        desk.page.locator(f"[name=card_number_{i}]").input_value() for i in range(1, 5)
    ]


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """An operator at the list, logged in."""
    made = new_desk()
    made.enter()
    return made


def test_every_length_goes_in_by_typing_and_comes_out_masked(desk: Desk) -> None:
    """Digits typed into the first box alone run on through all four."""
    for digits, brand, mask in MASKS:
        desk.open("/cards")
        desk.fill(customer_name="客", phone="0312345678", exp_month="1", exp_year="30")
        desk.page.locator("[name=card_number_1]").click()
        desk.page.keyboard.type(digits)
        assert "".join(boxes(desk)) == digits
        assert brand in desk.text()
        desk.press("登録")
        assert mask in desk.text()
    assert desk.wrong == []


@pytest.mark.parametrize(
    "pasted",
    [
        "4810-0000-0002-0000",
        "４８１０　００００　０００２　００００",
        "4810 0000\n0002 0000\n",
        "カード番号：4810-0000-0002-0000（Visa）",
        "4810000000020000 12/30",
        "4810 0000 0002 0000　１／２０３０",
        "4810-0000-0002-0000\n03-1234-5678",
        "山田 2 4810000000020000 301号室",
    ],
    ids=[
        "hyphens",
        "full-width",
        "lines",
        "among-words",
        "with-expiry",
        "with-expiry-in-full-width",
        "with-telephone",
        "beside-numbers",
    ],
)
def test_a_pasted_number_spreads_from_the_first_box(desk: Desk, pasted: str) -> None:
    """Spaces, hyphens and full width are folded, whichever box it is pasted to."""
    box = desk.page.locator("[name=card_number_3]")
    box.focus()
    box.evaluate(
        """(box, text) => {
            const data = new DataTransfer();
            data.setData("text", text);
            box.dispatchEvent(new ClipboardEvent("paste",
                {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        pasted,
    )
    assert boxes(desk) == ["4810", "0000", "0002", "0000"]


@pytest.mark.parametrize("pasted", ["12/30", "１２／２０３０", "12 / 2030"])
def test_an_expiry_in_the_month_is_split(desk: Desk, pasted: str) -> None:
    """On leaving the box, and where the year has none of its own."""
    month, year = (
        desk.page.locator("[name=exp_month]"),
        desk.page.locator("[name=exp_year]"),
    )
    month.fill(pasted)
    month.press("Tab")
    expect(month).to_have_value("12")
    assert year.input_value() in ("30", "2030")
    year.fill("2031")
    month.fill(pasted)
    month.press("Tab")
    expect(month).to_have_value(pasted)


def test_what_has_to_be_filled_in_is_announced(desk: Desk) -> None:
    """Every field of a new card; on the edit page those that can't be empty."""
    required = "[...document.querySelectorAll('.card [aria-required=true]')].map((f) => f.name)"
    assert "すべて入力してください。" in desk.text()
    assert len(desk.page.evaluate(required)) == 8
    desk.fill(customer_name="要否", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    desk.press("戻る")
    desk.press("編集")
    assert desk.page.evaluate(required) == ["customer_name", "phone"]


def test_backspace_and_arrows_cross_boxes(desk: Desk) -> None:
    """From the start of a box Backspace takes the digit before it."""
    desk.page.locator("[name=card_number_1]").click()
    desk.page.keyboard.type("48105")
    desk.page.keyboard.press("Backspace")
    desk.page.keyboard.press("Backspace")
    assert boxes(desk) == ["481", "", "", ""]
    desk.page.keyboard.type("09")
    desk.page.keyboard.press("ArrowLeft")
    desk.page.keyboard.press("ArrowLeft")
    expect(desk.page.locator("[name=card_number_1]")).to_be_focused()


def test_a_double_click_makes_one_card(desk: Desk) -> None:
    """登録 pressed twice in a row registers once."""
    desk.fill(customer_name="二度押し", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.page.get_by_role("button", name="登録", exact=True).dblclick()
    desk.page.wait_for_url("**/registered*")
    desk.open("/cards?q=二度押し")
    assert desk.page.get_by_role("link", name="編集").count() == 1


def test_back_after_logout_shows_no_card(desk: Desk) -> None:
    """Back leads to the login."""
    desk.fill(customer_name="戻る太郎", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    desk.press("ログアウト")
    desk.page.go_back()
    desk.page.wait_for_load_state()
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    assert "戻る太郎" not in desk.text()


def keepable(route: Route) -> None:
    """Hand a page on without no-store."""
    answer = route.fetch()
    headers = {k: v for k, v in answer.headers.items() if k != "cache-control"}
    route.fulfill(response=answer, headers=headers)


def test_back_shows_no_card_that_the_browser_kept(
    new_desk: Callable[..., Desk],
) -> None:
    """Some browsers keep a page in spite of no-store, and show it when the login is
    long over: it hides itself and asks anew (SES-04)."""
    desk = new_desk()
    login_id, shown = desk.enter(), []
    desk.page.on("console", lambda message: shown.append(message.text))
    desk.page.add_init_script(
        "addEventListener('pageshow', (e) => console.log('kept', e.persisted))"
    )
    desk.fill(customer_name="戻る太郎", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    desk.page.route("**/cards", keepable)
    desk.open("/cards")
    assert "戻る太郎" in desk.text()
    desk.open("/healthz")
    ended = desk.site.place.run("flask", "--app", "wsgi", "sessions", "end", login_id)
    assert ended.returncode == 0
    desk.page.evaluate("setTimeout(() => history.back())")
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    assert "kept true" in shown
    assert "戻る太郎" not in desk.text()


def test_a_cookie_taken_before_logout_is_dead_after_it(desk: Desk) -> None:
    """Put back into the browser it opens nothing."""
    taken = desk.page.context.cookies()
    desk.press("ログアウト")
    desk.page.context.add_cookies(taken)  # type: ignore[arg-type]
    desk.open("/cards")
    assert "一定時間操作がなかったため、ログアウトしました。" in desk.text()


def test_slash_goes_to_the_search(desk: Desk) -> None:
    """The / key puts the caret into the search box."""
    desk.page.keyboard.press("/")
    expect(desk.page.locator("[name=q]")).to_be_focused()


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("4810 0000 0002 0000", "0000"),
        ("番号４８１０－００００－０００２－００００様", "番号0000様"),
        ("090-1234-5678", "090-1234-5678"),
    ],
    ids=["spaced", "full-width", "telephone"],
)
def test_a_number_typed_into_the_search_is_cut_before_it_is_sent(
    desk: Desk, typed: str, left: str
) -> None:
    """Only the last four digits leave the browser, in an address or in a form."""
    sent: list[str] = []
    desk.page.on("request", lambda request: sent.append(request.url))
    desk.page.on("request", lambda request: sent.append(request.post_data or ""))
    desk.fill(q=typed)
    desk.page.keyboard.press("Enter")
    desk.page.wait_for_url("**/cards?q=*")
    assert parse_qs(urlsplit(desk.page.url).query)["q"] == [left]
    assert not [text for text in sent if "4810" in unquote_plus(text)]
    assert not [text for text in sent if "４８１０" in unquote_plus(text)]


def test_a_phone_sized_screen_needs_no_sideways_scrolling(
    new_desk: Callable[..., Desk],
) -> None:
    """Every page fits 390 pixels."""
    desk = new_desk(width=390)
    login_id = desk.site.operator()
    desk.open("/login")
    _fits(desk, "login")
    desk.fill(login_id=login_id, password=PASSWORD)
    desk.press("ログイン")
    _fits(desk, "address")
    desk.fill(email=f"{login_id}@example.co.jp")
    desk.press("送信")
    _fits(desk, "code")
    desk.fill(code=desk.site.mails.code())
    desk.press("ログイン")
    _fits(desk, "list")
    desk.fill(customer_name="携帯", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    _fits(desk, "registered")
    desk.press("戻る")
    desk.press("編集")
    _fits(desk, "edit")
    desk.open("/password")
    _fits(desk, "password")
    desk.open("/cards/nothing/edit")
    _fits(desk, "not-found")
    assert desk.wrong == []


def _fits(desk: Desk, step: str) -> None:
    desk.look(step)
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert desk.page.evaluate(over) == 0, step


def test_a_breach_of_the_policy_is_stopped_and_told(desk: Desk) -> None:
    """A script that got into a page does not run, and the log names the page."""
    reported = "**/csp-report"
    with desk.page.expect_response(reported) as answer:
        desk.page.evaluate(
            """() => {
                const script = document.createElement("script");
                script.textContent = "document.title = 'broken in'";
                document.body.append(script);
            }"""
        )
    assert answer.value.status == 204
    assert "broken in" not in desk.page.title()
    log = (desk.site.place.folder / "gunicorn.log").read_text()
    assert "script-src-elem kept inline from the page cards.index" in log


@pytest.mark.parametrize("width", [1280, 390])
def test_a_conflict_shows_both_states(
    new_desk: Callable[..., Desk], width: int
) -> None:
    """What the other changed above the form, what is stored now beside the boxes."""
    desk, other = new_desk(width=width), new_desk()
    for one in (desk, other):
        one.enter()
    desk.fill(customer_name="二人の客", phone="0312345678")
    desk.card("4810000000020000", "1", "2030")
    desk.press("登録")
    desk.press("戻る")
    desk.press("編集")
    desk.fill(customer_name="私の名前", exp_month="3", exp_year="2032")
    other.open("/cards")
    other.press("編集")
    other.fill(customer_name="相手の名前", exp_month="2", exp_year="2031")
    other.press("更新")
    desk.press("更新")
    expect(desk.page.locator("#summary")).to_be_focused()
    expect(desk.page.locator("#summary")).to_contain_text("二人の客 → 相手の名前")
    assert "現在の登録：相手の名前" in desk.text()
    assert desk.page.locator("[name=customer_name]").input_value() == "私の名前"
    _fits(desk, "conflict")
    desk.press("更新")
    expect(desk.page.locator("main")).to_contain_text("更新完了しました。")
    assert desk.wrong == []
