"""The form is checked in the browser before anything is asked or sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.actors.forms import forms_of
from tests.actors.operator_browser import Desk
from tests.actors.operator_client import boxes as four

AGAIN = "カード番号は安全のため再入力してください。"
CHECK_DIGIT = "カード番号が正しくありません。入力内容をご確認ください。"
GOOD = {
    "customer_name": "山田 太郎",
    "phone": "090-0000-0000",
    **four("4810", "0000", "0002", "0000"),
    "exp_month": "01",
    "exp_year": "2045",
}
# Each is typed over GOOD on the list page.
TYPED: list[dict[str, str]] = [
    {},
    *({"customer_name": name} for name in (
        "", " 　", "あ" * 100, "あ" * 101, "𠮷" * 100, "山田 123", "渋谷109", "301号室",
        "山田（1234）", "カフェ1953", "CVV 123", "ｃｖｖ１２３", "暗証番号:1234",
        "A\u200bB", "A\u2028B", "①②③④⑤⑥⑦⑧⑨①②③", "41111111111a", "411111111111",
        "\u3000山田\u00a0", "神",
    )),
    *({"phone": phone} for phone in (
        "", "12345", "0312345678", "０３ー１２３４ー５６７８", "(090)0000-0000", "090.0000.0000",
        "+81 90-0000-0000", "＋８１（０）９０００００００００", "03(1234)5678", "0-9-0-0-0-0-0-0-0-0",
        "090000000000", "090-0000-000", "090--0000-0000", "1900000000", "090-0000-0000-",
    )),
    *(four(*parts) for parts in (
        (), ("481O", "0000", "0002", "0000"), ("9999",), ("4810", "0000"), ("27",),
        ("2720", "9999"), ("4111", "1111", "1111", "1112"), ("3782", "8224", "6310", "005"),
        ("37828224", "", "", "6310005"), ("4810000000020000",) * 4,
        ("４８１０", "－０００", "０００２", "00000"), ("6217", "0000", "0000", "0000000"),
        ("8171", "9999", "0000", "0000021"), ("3056", "9309", "0259", "04"), ("①111",),
        ("3349", "0000", "0000", "0000"), ("35\u200b30", "1113", "3330", "0000"),
    )),
    *({"exp_month": month, "exp_year": year} for month, year in (
        ("", ""), ("1", ""), ("", "2030"), ("13", "2030"), ("0", "30"), ("12/30", ""),
        ("12／2030", ""), ("12/30", "2030"), ("12/30", "31"), ("１２月", "２０３０年"),
        ("-1", "2030"), ("001", "2030"), ("1", "203"), ("1", "2017"), ("1", "17"),
        ("1", "2099"), ("12", "0030"), ("1", "20.5"), ("1 2", "20 30"),
    )),
    dict.fromkeys(GOOD, ""),
    {"customer_name": "", "phone": "1", **four("9"), "exp_month": "1", "exp_year": ""},
]  # fmt: skip
# Over an edit page, whose boxes and expiry are empty.
CHANGES: list[dict[str, str]] = [
    {},
    {"customer_name": "　直す 太郎 "},
    {"customer_name": ""},
    {"phone": "０３１２３４５６７８"},
    {"phone": "03-1234-5678"},
    {"exp_month": "1", "exp_year": "45"},
    {"exp_month": "2", "exp_year": "2045"},
    {"exp_month": "2"},
    four("4111", "1111", "1111", "1112"),
    four("4111", "1111", "1111", "1111"),
]
# Of the page that is open, or of an answer, read as without scripts and not drawn.
SHOWN = """(answer) => {
    const page = answer ? new DOMParser().parseFromString(answer, "text/html") : document;
    const lines = [...page.querySelectorAll("#summary li")].map((line) =>
        [line.textContent.trim(), line.querySelector("a")?.getAttribute("href")]);
    const marked = [...page.querySelectorAll("[aria-invalid=true]")].map((field) =>
        [field.name, field.getAttribute("aria-describedby"), field.closest(".wrong") !== null]);
    const beside = [...page.querySelectorAll(".card .field .errors")].map((errors) =>
        [errors.id, errors.textContent.trim().split(/\\s*\\n\\s*/)]);
    const heading = page.querySelector("#summary h2")?.textContent ?? "";
    return {heading, lines, marked, beside, title: page.title};
}"""


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """An operator at the list, logged in."""
    made = new_desk()
    made.enter()
    return made


def by_script(desk: Desk, path: str, typed: dict[str, str]) -> dict[str, Any]:
    """What the page shows of the faults of what was typed, by its script alone; empty
    where it would ask and send."""
    desk.open(path)
    found = desk.page.evaluate(
        """(typed) => {
            const form = document.querySelector("form.card");
            for (const [name, text] of Object.entries(typed)) form.elements[name].value = text;
            const found = faults(form);
            if (found.length) showFaults(form, found);
            return found.length;
        }""",
        typed,
    )
    return desk.page.evaluate(SHOWN) if found else {}


def by_server(desk: Desk, path: str, typed: dict[str, str]) -> dict[str, Any]:
    """The same of the server's answer, as a browser without the script reads it; empty
    where it did what it was asked."""
    url = desk.site.place.url + path
    page = desk.page.context.request.get(url).text()
    form = next(f for f in forms_of(page) if "customer_name" in f.fields)
    sent: dict[str, str | float | bool] = {**form.fields, **typed, "confirmed": "y"}
    answer = desk.page.context.request.post(url, form=sent, max_redirects=0)
    if answer.status == 303:
        return {}
    assert answer.status == 422
    return without_the_empty_boxes(desk.page.evaluate(SHOWN, answer.text()))


def without_the_empty_boxes(shown: dict[str, Any]) -> dict[str, Any]:
    """A server's answer without what the script has no need to say: that the number
    has to be typed again."""
    shown["lines"] = [one for one in shown["lines"] if one[0] != AGAIN]
    for one in shown["beside"]:
        one[1] = [line for line in one[1] if line != AGAIN]
    right = [name for name, lines in shown["beside"] if not lines]
    shown["beside"] = [one for one in shown["beside"] if one[1]]
    shown["marked"] = [
        one for one in shown["marked"] if one[1].split()[-1] not in right
    ]
    return shown


def test_the_script_finds_what_the_server_finds(desk: Desk) -> None:
    """Each in the server's words, order and places, and nothing it wouldn't refuse."""
    different = []
    for typed in TYPED:
        shown = by_script(desk, "/cards", GOOD | typed)
        told = by_server(desk, "/cards", GOOD | typed)
        different += [(typed, shown, told)] if shown != told else []
    assert different == []


def test_the_script_finds_what_the_server_finds_on_the_edit_page(desk: Desk) -> None:
    """An empty number and an empty expiry are kept; what changes nothing is told."""
    register(desk)
    desk.open("/cards")
    desk.press("編集")
    path = urlsplit(desk.page.url).path
    different = []
    for typed in CHANGES:
        shown = by_script(desk, path, typed)
        told = by_server(desk, path, shown_in(desk) | typed)
        different += [(typed, shown, told)] if shown != told else []
    assert different == []


def shown_in(desk: Desk) -> dict[str, str]:
    """The name and telephone number the edit page is filled with."""
    fields = ("customer_name", "phone")
    return {name: desk.page.locator(f"[name={name}]").input_value() for name in fields}


def register(desk: Desk) -> None:
    """Register a right card."""
    desk.fill(**GOOD)
    desk.press("登録")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")
    desk.dialogs.clear()


def sending(desk: Desk) -> list[str]:
    """The forms that are sent from now on."""
    sent: list[str] = []
    desk.page.on(
        "request",
        lambda request: sent.append(request.url) if request.method == "POST" else None,
    )
    return sent


def test_a_wrong_digit_is_told_without_a_question_and_nothing_is_lost(
    desk: Desk,
) -> None:
    """No dialog, no request; the digits stay, and mending one of them is enough."""
    sent = sending(desk)
    desk.fill(**GOOD | four("4111", "1111", "1111", "1112"))
    desk.press("登録")
    expect(desk.page.locator("#summary")).to_be_focused()
    expect(desk.page.locator("#summary")).to_contain_text(CHECK_DIGIT)
    assert desk.page.title().startswith("エラー：")
    assert (desk.dialogs, sent) == ([], [])
    digits = [desk.page.locator(f"[name=card_number_{n}]") for n in range(1, 5)]
    assert [box.input_value() for box in digits] == ["4111", "1111", "1111", "1112"]
    desk.look("list-checked")
    digits[3].fill("1111")
    expect(desk.page.locator("#card_number-errors")).to_have_count(0)
    desk.press("登録")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")
    assert desk.dialogs == ["登録します。よろしいですか？"]
    assert desk.wrong == []


def test_a_wrong_number_is_named_on_leaving_its_boxes(desk: Desk) -> None:
    """Not between them, nor while nothing was typed; and no longer once it is right."""
    beside = desk.page.locator("#card_number-errors")
    desk.page.locator("[name=card_number_1]").click()
    desk.page.keyboard.press("Tab")
    desk.page.locator("[name=exp_month]").click()
    expect(beside).to_have_count(0)
    desk.page.locator("[name=card_number_1]").click()
    desk.page.keyboard.type("4111111111111112")
    expect(beside).to_have_count(0)
    desk.page.keyboard.press("Tab")
    expect(beside).to_have_text(CHECK_DIGIT)
    expect(desk.page.locator("[name=exp_month]")).to_be_focused()
    expect(desk.page.locator("[name=card_number_4]")).to_have_attribute(
        "aria-describedby", "card_number-errors"
    )
    desk.page.locator("[name=card_number_4]").fill("1111")
    expect(beside).to_have_count(0)
    expect(desk.page.locator("[aria-invalid]")).to_have_count(0)


def test_a_wrong_number_is_named_though_a_mouse_button_was_never_seen_up(
    desk: Desk,
) -> None:
    """It came up outside the window."""
    desk.page.locator("[name=card_number_1]").hover()
    desk.page.mouse.down()
    desk.page.keyboard.type("4111111111111112")
    desk.page.keyboard.press("Tab")
    expect(desk.page.locator("#card_number-errors")).to_have_text(CHECK_DIGIT)


def test_a_click_that_leaves_the_boxes_is_not_lost(desk: Desk) -> None:
    """What is named beside the boxes moves 登録, but not from under the mouse."""
    desk.page.locator("[name=card_number_1]").click()
    desk.page.keyboard.type("4111111111111112")
    desk.page.get_by_role("button", name="登録", exact=True).click()
    expect(desk.page.locator("#summary")).to_be_focused()


def test_enter_in_a_half_empty_form_asks_nothing(desk: Desk) -> None:
    """Who ends a word of Japanese with Enter loses nothing of the number."""
    sent = sending(desk)
    desk.fill(**four("4810", "0000", "0002", "0000"))
    desk.page.locator("[name=customer_name]").press("Enter")
    expect(desk.page.locator("#summary")).to_contain_text(
        "お客様名を入力してください。"
    )
    assert (desk.dialogs, sent) == ([], [])
    assert desk.page.locator("[name=card_number_4]").input_value() == "0000"


def test_the_month_is_the_servers(desk: Desk) -> None:
    """A computer whose clock is wrong refuses no card, and lets none through."""
    desk.page.clock.set_fixed_time("2016-01-01")
    desk.open("/cards")
    desk.fill(**GOOD | {"exp_month": "01", "exp_year": "2017"})
    desk.press("登録")
    expect(desk.page.locator("#summary")).to_contain_text("有効期限が切れています。")
    # A page whose clock jumps takes its login for ended.
    desk.page.goto("about:blank")
    desk.page.clock.set_fixed_time("2055-01-01")
    desk.open("/cards")
    desk.fill(**GOOD)
    desk.press("登録")
    expect(desk.page.locator("main")).to_contain_text("登録完了しました。")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
@pytest.mark.parametrize("width", [1280, 390])
def test_an_error_is_in_sight_with_its_form(
    new_desk: Callable[..., Desk], scripts: bool, width: int
) -> None:
    """However long the list above it is."""
    desk = new_desk(scripts=scripts, width=width)
    desk.enter()
    while desk.page.locator("tbody tr").count() < 15:
        url = desk.site.place.url + "/cards"
        page = desk.page.context.request.get(url).text()
        form = next(f for f in forms_of(page) if "customer_name" in f.fields)
        sent: dict[str, str | float | bool] = {**form.fields, **GOOD, "confirmed": "y"}
        desk.page.context.request.post(url, form=sent)
        desk.open("/cards")
    desk.fill(**GOOD | {"phone": "12"})
    desk.press("登録")
    expect(desk.page.locator("#summary")).to_be_in_viewport(ratio=1)
    expect(desk.page.locator("[name=customer_name]")).to_be_in_viewport(ratio=1)
    assert urlsplit(desk.page.url).fragment == ("" if scripts else "new")
    desk.look("error-in-sight")
    assert desk.wrong == []


def test_a_likely_card_tells_whose_it_is_and_since_when(desk: Desk) -> None:
    """While it is typed, without a name or a telephone number in any address."""
    card = {**four("6011", "1111", "1111", "1117"), "exp_month": "1"}
    desk.fill(**GOOD | card)
    desk.press("登録")
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.open("/cards")
    desk.fill(**GOOD | card | {"customer_name": "別の人", "phone": "0312345678"})
    likely = desk.page.locator("#likely")
    expect(likely).to_contain_text("電話番号 090-0000-0000・")
    expect(likely).to_contain_text("登録内容を見る（新しいタブ）")
    expect(likely).not_to_contain_text("登録済みの可能性")
    desk.fill(**four("", "", "", ""))
    desk.fill(**GOOD | card | {"customer_name": "山田　太郎", "phone": "0312345678"})
    expect(likely).to_contain_text("このお客様は登録済みの可能性があります。")
    looked = [url for url in asked if "likeness" in url]
    assert looked
    assert {url.partition("?")[2] for url in looked} == {
        "prefix=60&last4=1117&expiry=204501"
    }
    desk.look("likely")
    assert desk.wrong == []
