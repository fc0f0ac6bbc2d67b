"""クレジットカード情報の更新 and 削除."""

from __future__ import annotations

import re
from html import escape

import pytest
from sqlalchemy import text

from tests.actors.operator_client import A_CARD, Desk, boxes
from tests.places.vault import FakeClock
from vault import Token

OTHER = boxes("5555", "5555", "5555", "4444")
CONFLICT = "他の担当者が先に更新しました。最新の内容を確認してください。"
NOT_FOUND = "指定されたクレジットカード情報は見つかりません。"


def test_the_name_alone_is_changed(desk: Desk) -> None:
    """Blank boxes keep number and expiry."""
    public_id = desk.register()
    (before,) = desk.customers()

    answer = desk.change(public_id, customer_name="B")

    (after,) = desk.customers()
    assert answer.location == f"/cards/{public_id}/updated"
    assert (after.name, after.rev) == ("B", 2)
    assert (after.token, after.expiry) == (before.token, before.expiry)


def test_the_expiry_alone_is_changed(desk: Desk) -> None:
    """Only 有効期限更新 filled in: the vault and the list both have it."""
    public_id = desk.register()

    desk.change(public_id, exp_month="2", exp_year="31")

    (customer,) = desk.customers()
    assert customer.expiry == 203102
    with desk.vault.engine.connect() as db:
        assert desk.vault.describe(db, Token(customer.token)).expiry.key == 203102


def test_a_new_number_gets_a_new_token_and_the_old_card_goes(desk: Desk) -> None:
    """The customer keeps its address; the vault holds the new card alone."""
    public_id = desk.register()
    (before,) = desk.customers()

    desk.change(public_id, **OTHER)
    desk.open(f"/cards/{public_id}/updated")

    (after,) = desk.customers()
    assert "更新完了しました。" in desk.page
    assert "55**-****-****-4444" in desk.page
    assert marked(desk.page) == ["カード番号"]
    assert after.token != before.token
    assert (after.expiry, desk.cards()) == (before.expiry, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "変更された項目がありません。"),
        ({"exp_month": "01", "exp_year": "2030"}, "変更された項目がありません。"),
        ({"exp_month": "01"}, "有効期限は月と年の両方を入力してください。"),
        ({"exp_month": "01", "exp_year": "2020"}, "有効期限が切れています。"),
        (boxes("4810", "0000"), "カード番号の桁数が正しくありません。"),
        ({"customer_name": ""}, "お客様名を入力してください。"),
        ({"phone": ""}, "電話番号を入力してください。"),
        (
            OTHER | {"customer_name": ""},
            "カード番号は安全のため再入力してください。",
        ),
        (
            {"customer_name": "B", "confirmed": ""},
            "内容を確認して、チェックを入れてください。",
        ),
    ],
)
def test_each_fault_has_its_text(
    desk: Desk, changes: dict[str, str], message: str
) -> None:
    """A refused change says so and leaves the customer as it was."""
    public_id = desk.register()

    answer = desk.change(public_id, **changes)

    assert answer.status_code == 422
    assert message in desk.errors
    assert "<title>エラー：クレジットカード情報の更新 - " in desk.page
    (customer,) = desk.customers()
    assert (customer.name, customer.rev) == ("A", 1)


def test_a_new_number_on_an_expired_card_needs_an_expiry(desk: Desk) -> None:
    """The old expiry can't be kept for a new card once it is over."""
    public_id = desk.register()
    _let_expire(desk)

    answer = desk.change(public_id, **OTHER)

    assert answer.status_code == 422
    assert "新しいカード番号の有効期限を入力してください。" in desk.errors


def test_an_expired_card_may_keep_its_expiry(desk: Desk) -> None:
    """Changing the name of an expired card asks for nothing more."""
    public_id = desk.register()
    _let_expire(desk)

    assert desk.change(public_id, customer_name="B").status_code == 303


@pytest.mark.engines("sqlite", "postgres")
def test_the_second_of_two_operators_is_told(desk: Desk) -> None:
    """A form shown before someone else's change is answered 409 with the newest
    state, and changes nothing."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    stale = desk.filled("更新", confirmed="y", phone="03-1234-5678")
    desk.change(public_id, customer_name="B")

    answer = desk.send(path, stale)

    assert answer.status_code == 409
    assert CONFLICT in desk.errors
    assert desk.filled("更新")["customer_name"] == "B"
    (customer,) = desk.customers()
    assert (customer.name, customer.phone) == ("B", "090-0000-0000")


def marked(page: str) -> list[str]:
    """The rows of a completion page that are marked as changed."""
    rows = re.findall(r"<div><dt>(.*?)</dt><dd[^>]*>(.*?)</dd></div>", page, re.S)
    return [label for label, value in rows if "変更</span>" in value]


def test_a_completion_page_shows_what_was_done(desk: Desk) -> None:
    """Expiry and brand after the manual's rows; what was changed is marked, which for
    an expiry alone nothing else would tell."""
    public_id = desk.register()
    desk.open(f"/cards/{public_id}/registered")
    labels = re.findall(r"<div><dt>(.*?)</dt>", desk.page)
    assert labels == [
        "お客様名",
        "電話番号",
        "カード番号",
        "有効期限",
        "カードブランド",
    ]
    assert marked(desk.page) == []
    desk.change(public_id, exp_month="2", exp_year="31")
    desk.open(f"/cards/{public_id}/updated")
    assert "<dd>02/2031" in desk.page
    assert marked(desk.page) == ["有効期限"]
    desk.change(public_id, customer_name="B", phone="03-1234-5678")
    desk.open(f"/cards/{public_id}/updated")
    assert marked(desk.page) == ["お客様名", "電話番号"]


def lines_of_the_summary(page: str) -> list[str]:
    """What the error summary says, its heading first."""
    summary = page.partition('id="summary"')[2].partition("</div>")[0]
    said = re.findall(r"<(?:h2|li)>(.*?)</(?:h2|li)>", summary, re.S)
    return [re.sub(r"<[^>]*>", "", line) for line in said]


def test_a_conflict_loses_nothing_typed_and_names_what_the_other_did(
    desk: Desk, clock: FakeClock
) -> None:
    """Field by field, with who and when; the second 更新 is against the new state."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    typed = {"phone": "03-1234-5678", "exp_month": "3", "exp_year": "2032", **OTHER}
    stale = desk.filled("更新", confirmed="y", **typed)
    clock.advance(60)
    desk.change(public_id, customer_name="B", exp_month="2", exp_year="31")
    clock.advance(60)
    desk.change(public_id, phone="090-9999-0000")

    desk.send(path, stale)

    assert lines_of_the_summary(desk.page) == [
        CONFLICT,
        "お客様名：A → B（山田 太郎（taro）、2026/11/23 12:01）",
        "電話番号：090-0000-0000 → 090-9999-0000（山田 太郎（taro）、2026/11/23 12:02）",
        "有効期限：01/2030 → 02/2031（山田 太郎（taro）、2026/11/23 12:01）",
        "カード番号は安全のため再入力してください。",
    ]
    again = desk.filled("更新", confirmed="y")
    # The name was not typed, so it is the newest; the rest is what was typed.
    assert again["customer_name"] == "B"
    assert again["phone"] == "03-1234-5678"
    assert (again["exp_month"], again["exp_year"]) == ("3", "2032")
    assert [again[f"card_number_{n}"] for n in range(1, 5)] == ["", "", "", ""]
    assert "現在の登録：090-9999-0000" in desk.page
    assert "現在の登録：02/2031" in desk.page
    assert "現在の登録：B" not in desk.page
    assert desk.send(path, again | OTHER).status_code == 303
    (customer,) = desk.customers()
    assert (customer.name, customer.phone) == ("B", "03-1234-5678")
    assert (customer.expiry, customer.last4) == (203203, "4444")


def test_a_conflict_about_the_number_tells_masks(desk: Desk) -> None:
    """A deletion too is told what was changed; nothing is marked as typed."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    stale = desk.filled("削除", confirmed="y")
    desk.change(public_id, **OTHER)
    desk.send(path, stale)
    by = "（山田 太郎（taro）、2026/11/23 12:00）"
    assert lines_of_the_summary(desk.page)[1:] == [
        f"カード番号：48**-****-****-0000 → 55**-****-****-4444{by}"
    ]
    assert "現在の登録" not in desk.page
    assert desk.send(path, desk.filled("削除", confirmed="y")).status_code == 303


@pytest.mark.parametrize("seen", ["", "forged", "e30.forged"])
def test_a_conflict_believes_only_what_the_site_signed(desk: Desk, seen: str) -> None:
    """Without what was shown nothing is said field by field, and nothing is lost."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    stale = desk.filled("更新", confirmed="y", phone="03-1234-5678", seen=seen)
    desk.change(public_id, customer_name="B")
    assert desk.send(path, stale).status_code == 409
    assert lines_of_the_summary(desk.page) == [CONFLICT]
    assert desk.filled("更新")["phone"] == "03-1234-5678"
    assert "現在の登録：B" in desk.page


@pytest.mark.engines("sqlite", "postgres")
def test_a_deletion_of_what_was_changed_since_is_told(desk: Desk) -> None:
    """Nobody deletes a state he has not seen."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    stale = desk.filled("削除", confirmed="y")
    desk.change(public_id, customer_name="B")

    answer = desk.send(path, stale)

    assert answer.status_code == 409
    assert CONFLICT in desk.errors
    assert desk.cards() == 1


@pytest.mark.engines("sqlite", "postgres")
def test_a_change_sent_twice_is_one_change(desk: Desk) -> None:
    """The copy of a form already answered is no conflict."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    fields = desk.filled("更新", confirmed="y", customer_name="B")

    first, second = desk.send(path, fields), desk.send(path, fields)

    assert first.location == second.location == f"/cards/{public_id}/updated"
    assert desk.customers()[0].rev == 2


def test_deleting_removes_the_card_and_shows_what_it_was(desk: Desk) -> None:
    """削除完了しました。 with the masked summary, and nothing is left anywhere."""
    public_id = desk.register()

    answer = desk.delete(public_id)
    desk.open(str(answer.location))

    assert answer.location == "/cards/deleted"
    assert "削除完了しました。" in desk.page
    assert "48**-****-****-0000" in desk.page
    assert (desk.cards(), desk.customers()) == (0, [])
    assert desk.open(f"/cards/{public_id}/edit").status_code == 404


@pytest.mark.engines("sqlite", "postgres")
def test_a_deletion_sent_twice_is_one(desk: Desk) -> None:
    """The copy of an answered deletion leads to the same page, not to a 404."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    fields = desk.filled("削除", confirmed="y")

    first, second = desk.send(path, fields), desk.send(path, fields)

    assert first.location == second.location == "/cards/deleted"


def test_a_deletion_asks_first(desk: Desk) -> None:
    """Without its confirmation nothing is deleted and the page says what is missing."""
    public_id = desk.register()

    answer = desk.delete(public_id, confirmed="")

    assert answer.status_code == 422
    assert "内容を確認して、チェックを入れてください。" in desk.errors
    assert "<title>エラー：" in desk.page
    assert desk.cards() == 1


def test_deleted_without_a_deletion_leads_to_the_list(desk: Desk) -> None:
    """There is nothing to show to a login that deleted nothing."""
    assert desk.open("/cards/deleted").location == "/cards"


@pytest.mark.parametrize("page", ["edit", "registered", "updated"])
@pytest.mark.parametrize("public_id", ["unknown", "%00", "' OR 1=1 --"])
def test_an_unknown_address_is_not_found(desk: Desk, page: str, public_id: str) -> None:
    """Every foreign id gets the same page."""
    answer = desk.open(f"/cards/{public_id}/{page}")

    assert answer.status_code == 404
    assert NOT_FOUND in desk.page


def test_a_form_of_a_deleted_customer_is_not_found(desk: Desk) -> None:
    """Saving what someone else deleted meanwhile says so."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    fields = desk.filled("更新", confirmed="y", customer_name="B")
    desk.delete(public_id)

    assert desk.send(path, fields).status_code == 404
    assert NOT_FOUND in desk.page
    assert (
        "山田 太郎（taro）が2026/11/23 12:00に削除しました。登録・更新は" in desk.page
    )


def test_who_deleted_a_customer_is_said(desk: Desk) -> None:
    """The page of a deleted customer leads back to the list as it was."""
    public_id = desk.register()
    desk.delete(public_id)
    said = "が2026/11/23 12:00に削除しました。一覧から選び直してください。"

    for page in ("edit", "registered", "updated"):
        path = f"/cards/{public_id}/{page}?q=A&sort=name&page=2"
        assert desk.open(path).status_code == 404
        assert said in desk.page
        assert 'href="/cards?q=A&amp;sort=name&amp;page=2">一覧へ戻る</a>' in desk.page

    assert desk.open("/cards/unknown/edit").status_code == 404
    assert said not in desk.page


def test_a_deletion_is_printed_as_a_slip(desk: Desk) -> None:
    """With its time and the operator, which the screen doesn't show."""
    desk.open(str(desk.delete(desk.register()).location))

    slip = re.findall(r'class="slip"><dt>(.*?)</dt><dd>(.*?)</dd>', desk.page)
    assert slip == [("削除日時", "2026/11/23 12:00"), ("担当者", "山田 太郎（taro）")]
    assert desk.page.count("担当者") == 1


@pytest.mark.parametrize("harm", ["UPDATE card SET last4 = '9999'", "DELETE FROM card"])
class TestACardTheVaultCannotTellAbout:
    """A damaged or missing card row is given up by the operator, not by ops alone."""

    def test_it_can_be_replaced(self, desk: Desk, harm: str) -> None:
        """The page says what is wrong, and a new number mends it."""
        public_id = _harmed(desk, harm)

        desk.open(f"/cards/{public_id}/edit")
        assert "新しいカード番号への変更、または削除はできます。" in desk.page
        assert desk.change(public_id, **OTHER).status_code == 303

        desk.open(f"/cards/{public_id}/edit")
        assert "新しいカード番号への変更" not in desk.page
        assert desk.cards() == 1

    def test_it_can_be_deleted(self, desk: Desk, harm: str) -> None:
        """A deletion goes through."""
        public_id = _harmed(desk, harm)

        assert desk.delete(public_id).status_code == 303
        assert (desk.cards(), desk.customers()) == (0, [])

    def test_its_expiry_alone_cannot_change(self, desk: Desk, harm: str) -> None:
        """A new expiry without a number is refused with a text."""
        public_id = _harmed(desk, harm)

        answer = desk.change(public_id, exp_month="2", exp_year="2031")

        assert answer.status_code == 422
        assert "新しいカード番号も入力してください。" in desk.errors


def test_a_list_is_gone_back_to_as_it_was(desk: Desk) -> None:
    """q, sort and page go through edit and the completion page to 戻る, which leads to
    the customer's row."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit?q=A&sort=name"

    answer = desk.press(path, "更新", confirmed="y", customer_name="AB")
    desk.open(str(answer.location))

    assert str(answer.location).endswith("/updated?q=A&sort=name")
    back = f"/cards?q=A&sort=name#{public_id}"
    assert f'href="{escape(back)}">戻る</a>' in desk.page
    desk.open(back)
    assert f'<tr id="{public_id}">' in desk.page


def test_the_edit_page_has_the_manuals_rows_first(desk: Desk) -> None:
    """In the manual's order, and then 有効期限, which the manual doesn't show."""
    desk.open(f"/cards/{desk.register()}/edit")
    labels = re.findall(r"<(?:dt|label[^>]*|legend)>([^<]+)</", desk.page)
    assert [label for label in labels if label not in ("Month", "Year")] == [
        "カード番号",
        "お客様名",
        "電話番号",
        "カード番号変更",
        "有効期限更新 (Month / Year)",
        "有効期限",
    ]


def test_the_history_tells_who_changed_what(desk: Desk) -> None:
    """変更履歴 shows every change, newest first, across a new number, masked."""
    public_id = desk.register()
    desk.change(public_id, customer_name="B")
    desk.change(public_id, exp_month="2", exp_year="2031")
    desk.change(public_id, **OTHER)

    desk.open(f"/cards/{public_id}/edit")

    history = desk.page.partition('id="history"')[2]
    words = ["カード番号の変更", "有効期限の変更", "お客様情報の変更", "新規登録"]
    places = [history.index(word) for word in words]
    assert places == sorted(places)
    assert "2026/11/23 12:00" in history
    assert "お客様名：A" in history
    assert "お客様名：B" in history
    assert "カード番号：55**-****-****-4444\n有効期限：02/2031" in history
    assert history.count("山田 太郎（taro）") == 4


def test_one_act_is_one_row_of_the_history(desk: Desk) -> None:
    """A registration, and a change of name, telephone number and card at once."""
    public_id = desk.register()
    everything = {"customer_name": "B", "phone": "03-1234-5678", **OTHER}
    desk.change(public_id, **everything, exp_month="2", exp_year="2031")

    desk.open(f"/cards/{public_id}/edit")

    changed, registered = rows_of_the_history(desk.page)
    assert changed == [
        "2026/11/23 12:00",
        "山田 太郎（taro）",
        "お客様情報の変更\nカード番号の変更",
        "お客様名：A\n電話番号：090-0000-0000\nカード番号：48**-****-****-0000\n有効期限：01/2030",
        "お客様名：B\n電話番号：03-1234-5678\nカード番号：55**-****-****-4444\n有効期限：02/2031",
    ]
    assert registered[2:] == [
        "新規登録",
        "",
        "お客様名：A\n電話番号：090-0000-0000\nカード番号：48**-****-****-0000\n有効期限：01/2030",
    ]


def test_two_changes_in_one_second_are_two_rows(desk: Desk) -> None:
    """What one person does twice is not told as one act."""
    public_id = desk.register()
    desk.change(public_id, customer_name="B")
    desk.change(public_id, customer_name="C")
    desk.open(f"/cards/{public_id}/edit")
    assert len(rows_of_the_history(desk.page)) == 3


def test_who_opened_the_history_is_in_the_trail(desk: Desk) -> None:
    """With the card's token (PCI DSS 10.2.1.3); the history itself leaves it out."""
    public_id = desk.register()
    desk.open(f"/cards/{public_id}/edit")
    before = desk.page.partition('id="history"')[2].count("<tr")
    desk.open(f"/cards/{public_id}/edit")
    (customer,) = desk.customers()
    with desk.vault.engine.connect() as db:
        entries = list(desk.vault.entries_about(db, customer.token))
    viewed = [(e.actor, e.origin) for e in entries if e.event == "audit.viewed"]
    assert viewed == [("taro", "127.0.0.1")] * 2
    assert desk.page.partition('id="history"')[2].count("<tr") == before


def test_the_trail_holds_no_number(desk: Desk) -> None:
    """Registering, changing and deleting leave masks alone in the trail."""
    public_id = desk.register()
    desk.change(public_id, **OTHER)
    desk.delete(public_id)

    events = [event for event, _, _ in desk.trail()]
    for event in ("customer.registered", "card.replaced", "customer.deleted"):
        assert event in events
    assert A_CARD["card_number_1"] + "0000" not in str(desk.trail())
    assert "5555555555554444" not in str(desk.trail())


def rows_of_the_history(page: str) -> list[list[str]]:
    """The cells of 変更履歴, row by row."""
    table = page.partition('id="history"')[2].partition("<tbody")[2]
    rows = re.findall(r"<tr.*?</tr>", table, re.S)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in rows]


def _harmed(desk: Desk, harm: str) -> str:
    public_id = desk.register()
    with desk.vault.engine.begin() as db:
        db.execute(text(harm))
    return public_id


def _let_expire(desk: Desk) -> None:
    """Put every stored customer's expiry into the past."""
    with desk.app.extensions["site_engine"].begin() as db:
        db.execute(text("UPDATE customer SET expiry = 202001"))


def test_the_history_bears_whatever_stands_in_the_trail(desk: Desk) -> None:
    """Who can write to the vault's database ends no page (INP-04)."""
    public_id = desk.register()
    token = desk.customers()[0].token
    with desk.vault.engine.begin() as db:
        for number, detail in enumerate(('{"before": "\\udc80"}', "{", "[]", "7")):
            insert = text(
                "INSERT INTO audit_entry SELECT seq + :more, at, actor, event, outcome,"
                " origin, subject, :detail, mac FROM audit_entry"
                " WHERE subject = :token LIMIT 1"
            )
            values = {"more": 1000 + number, "detail": detail, "token": token}
            db.execute(insert, values)
    assert desk.open(f"/cards/{public_id}/edit").status_code == 200
