"""クレジットカード情報の新規登録."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.cards.search import listing
from tests.actors.forms import forms_of
from tests.actors.operator_client import A_CARD, Desk, boxes

SAME = "このお客様は登録済みの可能性があります。"
AGAIN = "カード番号は安全のため再入力してください。"


@pytest.mark.parametrize(
    ("parts", "mask"),
    [
        (("4810", "0000", "0002", "0000"), "48**-****-****-0000"),
        (("5555", "5555", "5555", "4444"), "55**-****-****-4444"),
        (("3530", "1113", "3330", "0000"), "35**-****-****-0000"),
        (("3782", "8224", "6310", "005"), "37**-******-*0005"),
        (("3056", "9309", "0259", "04"), "30**-******-5904"),
        (("6011", "1111", "1111", "1117"), "60**-****-****-1117"),
        (("8171", "9999", "0000", "0000021"), "81**-****-****-***0021"),
        (("4810000000020000",), "48**-****-****-0000"),
        (("4810-0000-0002-0000",), "48**-****-****-0000"),
        (("４８１０", "００００", "０００２", "００００"), "48**-****-****-0000"),
        (("４８１０－００００－０００２－００００",), "48**-****-****-0000"),
        (("4810 0000 0002 0000",) * 4, "48**-****-****-0000"),
        (("37828224", "", "", "6310005"), "37**-******-*0005"),
    ],
)
def test_every_form_of_number_goes_in_and_comes_out_masked(
    desk: Desk, parts: tuple[str, ...], mask: str
) -> None:
    """Each brand and each way of typing gives its mask on the completion page."""
    public_id = desk.register(**boxes(*parts))

    desk.open(f"/cards/{public_id}/registered")

    assert "登録完了しました。" in desk.page
    assert mask in desk.page


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"customer_name": ""}, "お客様名を入力してください。"),
        ({"customer_name": " 　"}, "お客様名を入力してください。"),
        ({"customer_name": "あ" * 101}, "お客様名は100文字以内で入力してください。"),
        (
            {"customer_name": "山田 123"},
            "お客様名にカード番号またはセキュリティコードと思われる数字が含まれています。",
        ),
        ({"customer_name": "A\nB"}, "お客様名に使用できない文字が含まれています。"),
        ({"phone": ""}, "電話番号を入力してください。"),
        (
            {"phone": "12345"},
            (
                "電話番号は0から始まる10桁または11桁の番号を入力してください"
                "（ハイフンはあってもなくてもかまいません）。"
            ),
        ),
        (boxes(), "カード番号を入力してください。"),
        (boxes("481O", "0000", "0002", "0000"), "カード番号は数字で入力してください。"),
        (boxes("9999"), "このカードブランドは登録できません。"),
        (boxes("4810", "0000"), "カード番号の桁数が正しくありません。"),
        (
            boxes("4810", "0000", "0002", "0001"),
            "カード番号が正しくありません。入力内容をご確認ください。",
        ),
        ({"exp_month": "", "exp_year": ""}, "有効期限を入力してください。"),
        ({"exp_year": ""}, "有効期限は月と年の両方を入力してください。"),
        ({"exp_month": "13"}, "有効期限の月は01〜12で入力してください。"),
        ({"exp_year": "203"}, "有効期限の年は西暦（例：2030）で入力してください。"),
        ({"exp_year": "2017"}, "有効期限が切れています。"),
        ({"exp_year": "2047"}, "有効期限の年を確認してください。"),
        ({"confirmed": ""}, "内容を確認して、チェックを入れてください。"),
        (
            {"ticket": "made-up"},
            "画面が古くなっています。開き直して、もう一度入力してください。",
        ),
    ],
)
def test_each_fault_has_its_text(
    desk: Desk, changes: dict[str, str], text: str
) -> None:
    """A refused form says so in title and summary, beside the field, and in 422."""
    answer = desk.press("/cards", "登録", **(A_CARD | changes))

    assert answer.status_code == 422
    assert "<title>エラー：クレジットカード情報の一覧 - " in desk.page
    assert "入力内容に誤りがあります。" in desk.errors
    assert text in desk.errors
    assert desk.cards() == 0


def test_an_error_keeps_everything_but_the_number(desk: Desk) -> None:
    """Name, phone and expiry come back as typed; the boxes are empty and say why."""
    desk.press("/cards", "登録", **(A_CARD | {"exp_month": "13"}))

    again = desk.filled("登録")
    assert again["customer_name"] == "A"
    assert again["phone"] == "090-0000-0000"
    assert (again["exp_month"], again["exp_year"]) == ("13", "2030")
    assert [again[f"card_number_{n}"] for n in range(1, 5)] == ["", "", "", ""]
    assert AGAIN in desk.errors
    assert "aria-invalid" in desk.page


@pytest.mark.parametrize("field", ["customer_name", "phone", "exp_month", "exp_year"])
@pytest.mark.parametrize(
    "number", ["4810000000020000", "４８１０ ００００ ０００２ ００００"]
)
def test_a_number_in_another_field_is_not_shown_again(
    desk: Desk, field: str, number: str
) -> None:
    """A text field that holds a card number comes back empty."""
    answer = desk.press("/cards", "登録", **(A_CARD | {field: number}))

    assert answer.status_code == 422
    assert desk.filled("登録")[field] == ""
    assert number not in desk.page


@pytest.mark.engines("sqlite", "postgres")
def test_a_form_sent_again_leads_to_the_same_card(desk: Desk) -> None:
    """The second of two identical posts lands on the first one's page."""
    desk.open("/cards")
    fields = desk.filled("登録", **A_CARD)

    first, second = desk.send("/cards", fields), desk.send("/cards", fields)

    assert first.location == second.location
    assert (desk.cards(), len(desk.customers())) == (1, 1)


@pytest.mark.engines("sqlite", "postgres")
def test_twenty_posts_at_once_make_one_card(desk: Desk) -> None:
    """Twenty simultaneous copies of a form make one card and one customer."""
    desk.open("/cards")
    fields = desk.filled("登録", **A_CARD)
    held = (desk.client._cookies or {}).values()
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in held)

    def post(_number: int) -> tuple[int, str | None]:
        client = desk.app.test_client(use_cookies=False)
        answer = client.post("/cards", data=fields, headers={"Cookie": cookies})
        return answer.status_code, answer.location

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(post, range(20)))

    assert len(set(answers)) == 1, answers
    assert answers[0][0] == 303
    assert (desk.cards(), len(desk.customers())) == (1, 1)


@pytest.mark.engines("sqlite", "postgres")
def test_two_forms_make_two_cards_and_a_warning(desk: Desk) -> None:
    """The same card again is warned of on the completion page, not refused."""
    first = desk.register(customer_name="先の人", phone="03-1234-5678")
    second = desk.register()

    desk.open(f"/cards/{second}/registered")

    said = "同じと思われるカードが、ほかにも登録されています（先の人様）。"
    assert f"{said}<br>電話番号 03-1234-5678・2026/11/23 登録" in desk.page
    assert SAME not in desk.page
    assert f"/cards/{first}/edit" in desk.page
    assert desk.cards() == 2


@pytest.mark.parametrize(
    "same", [{"customer_name": "山田　太郎"}, {"phone": "0312345678"}]
)
def test_the_very_same_customer_is_told_first(desk: Desk, same: dict[str, str]) -> None:
    """By name or telephone number, however either was written."""
    desk.register(customer_name="山田 太郎", phone="03-1234-5678")
    public_id = desk.register(**same)

    desk.open(f"/cards/{public_id}/registered")

    warned = desk.page.partition('id="likely"')[2]
    assert warned.index(SAME) < warned.index("同じと思われる")


def test_a_card_of_its_own_brings_no_warning(desk: Desk) -> None:
    """Another expiry is another card."""
    desk.register(exp_year="2031")
    public_id = desk.register()

    desk.open(f"/cards/{public_id}/registered")

    assert "同じと思われる" not in desk.page


def test_what_was_typed_is_folded_and_kept_as_typed(desk: Desk) -> None:
    """Full-width phone digits are folded, its hyphens stay; the name is trimmed."""
    desk.register(customer_name="　山田 太郎 ", phone="０３ー１２３４ー５６７８")

    (customer,) = desk.customers()
    assert customer.name == "山田 太郎"
    assert (customer.phone, customer.phone_digits) == ("03-1234-5678", "0312345678")


def test_a_doubled_field_is_refused(desk: Desk) -> None:
    """A field sent twice is a bad request, not a choice between two."""
    desk.open("/cards")
    fields = [*desk.filled("登録", **A_CARD).items(), ("customer_name", "B")]

    answer = desk.client.post(
        "/cards",
        data="&".join(f"{k}={v}" for k, v in fields),
        content_type="application/x-www-form-urlencoded",
    )

    assert answer.status_code == 400
    assert desk.cards() == 0


def test_fields_nobody_asked_for_change_nothing(desk: Desk) -> None:
    """A forged column in the form is not written."""
    desk.register(token="card_x", rev="7", created_by="someone", id="99")

    (customer,) = desk.customers()
    assert (customer.rev, customer.token == "card_x") == (1, False)


def test_the_form_is_the_manuals(desk: Desk) -> None:
    """Labels, names, note and dialog words are the manual's; nothing is cut or
    filled in by the browser."""
    desk.open("/cards")

    for label in ("お客様名", "電話番号"):
        assert re.search(rf"<label for=\"\w+\">{label}</label>", desk.page)
    for place in range(1, 5):
        assert f'aria-label="カード番号 {place}"' in desk.page
    assert "<legend>有効期限 (Month / Year)</legend>" in desk.page
    assert (
        "※ AMEX等の15桁のカードの場合は左詰めで4桁ずつ入力し、"
        "最後の欄は3桁で入力してください。" in desk.page
    )
    assert "登録します。よろしいですか？" in desk.page
    assert "maxlength" not in desk.page
    assert "cc-" not in desk.page


def test_the_page_holds_nothing_a_policy_would_stop(desk: Desk) -> None:
    """No inline style or script, no data address, no foreign address."""
    desk.open("/cards")

    assert not re.search(r"<style| style=|<script>| on\w+=|data:|https?://", desk.page)


def test_errors_stand_where_the_form_is(desk: Desk) -> None:
    """Below fifty rows nobody sees the top of the page; the action leads back to the
    form's section, for a browser without script too."""
    desk.open("/cards")
    (action,) = (f.action for f in forms_of(desk.page) if "登録" in f.buttons)
    assert action == "/cards#new"

    desk.press("/cards", "登録", **(A_CARD | {"phone": "12"}))

    above, _, section = desk.page.partition('id="new"')
    assert 'id="summary"' not in above
    assert section.index("新規登録</h2>") < section.index('id="summary"')
    assert section.index('id="summary"') < section.index("<form")


@pytest.mark.parametrize("asked", ["q=A&sort=name&page=2", "q=A&sort=name&expiry=soon"])
def test_the_list_stays_as_it_was_through_an_error_and_a_registration(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Search, order, page and filter: in the answer to a wrong form, and in 戻る."""
    monkeypatch.setattr(listing, "PAGE_SIZE", 1)
    for _ in range(2):
        desk.press("/cards", "登録", **A_CARD)
    path = f"/cards?{asked}"
    desk.press(path, "登録", **(A_CARD | {"phone": "12"}))
    (action,) = (f.action for f in forms_of(desk.page) if "登録" in f.buttons)
    assert action == f"{path}#new"
    answer = desk.press(path, "登録", **A_CARD)
    assert str(answer.location).endswith(f"/registered?{asked}")
    desk.open(str(answer.location))
    public_id = str(answer.location).split("/")[2]
    shown = path.replace("&", "&amp;")
    assert f'href="{shown}#{public_id}">戻る</a>' in desk.page
