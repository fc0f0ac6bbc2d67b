"""Names, telephone numbers and what may be shown again."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from app.cards.forms import CardForm
from app.cards.tickets import Tickets
from app.cards.typed import phone_of, search_key, shortened, shown
from tests.places.vault import NOON

PLAIN = Flask(__name__)


def validated(**typed: str) -> CardForm:
    """A form with ``typed`` in it, after its checks."""
    with PLAIN.test_request_context("/cards", method="POST"):
        form = CardForm(
            formdata=MultiDict(typed),
            now=NOON,
            luhn_exempt=frozenset(),
            tickets=Tickets(["key"], "login"),
            meta={"csrf": False},
        )
        form.validate()
    return form


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "オフィス24",
        "109号室 山田",
        "SHIBUYA109",
        "第2ビル 12345",
        "髙橋 﨑子",
        "葛󠄀城",
        "O'Brien & Söhne",
        "あ" * 100,
        "株式会社365",
        "カフェ1953",
        "渋谷109",
        "顧客008",
        "第一ビル301",
        "スタジオ１０９",
        "CIDER1234",
        "ACID123",
        "\ufa19",
        "山\u200b田\u202e\ufeff",
    ],
)
def test_a_name_is_taken(name: str) -> None:
    """Names of people, shops and rooms pass."""
    assert "customer_name" not in validated(customer_name=name).errors


@pytest.mark.parametrize(
    "name",
    [
        "山田 4810000000020000",
        "4810-0000-0002-0000",
        "48１０ 00００ ０００２ 0000",
        "①②③④⑤⑥⑦⑧⑨①②③",
        "山田 123",
        "山田 １２３４",
        "123 山田",
        "山田 123 太郎",
        "【1234】山田",
        "山田 CVV:123",
        "山田セキュリティコード1234",
        "山田 ｃｖｃ１２３",
        "暗証番号 1234 山田",
        "山田太郎（123）",
        "123",
        "\u200b",
        "山田\ufff9",
        "山田\x07",
    ],
)
def test_a_name_is_refused(name: str) -> None:
    """A card number, a security code or something invisible does not."""
    assert "customer_name" in validated(customer_name=name).errors


@pytest.mark.parametrize(
    "phone",
    [
        "090-0000-0000",
        "09000000000",
        "0312345678",
        "03 1234 5678",
        "０９０ー００００ー００００",
        "(090)0000-0000",
        "（０９０）００００－００００",
        "03(1234)5678",
        "090.0000.0000",
        "+81 90-0000-0000",
        "+81-(0)90-0000-0000",
        "＋８１９０００００００００",
        "\u202a090-0000-0000\u202c",
    ],
)
def test_a_phone_is_taken(phone: str) -> None:
    """Ten or eleven digits from 0, in any width, with or without hyphens."""
    assert "phone" not in validated(phone=phone).errors


@pytest.mark.parametrize(
    "phone",
    [
        "123",
        "190-0000-0000",
        "090-0000-00000",
        "090--000-0000",
        "-0312345678",
        "０９０abc",
        "03²2345678",
        "+82 90-0000-0000",
        "(090 0000 0000",
        "090..0000.0000",
    ],
)
def test_a_phone_is_refused(phone: str) -> None:
    """Anything else is not."""
    assert "phone" in validated(phone=phone).errors


def test_a_validated_form_holds_no_digits() -> None:
    """After ``validate`` the boxes are empty, whatever came out."""
    form = validated(card_number_1="4810000000020000")

    assert [(box.data, box.raw_data) for box in form.boxes] == [("", [])] * 4
    assert form.pan is None


def test_folding_is_for_comparing() -> None:
    """Kana, width, case and blanks fall together; hyphens of a phone become one."""
    assert search_key("ﾔﾏﾀﾞ　タロウ") == search_key("やまだ たろう")
    assert phone_of("03‐1234−5678") == "03-1234-5678"
    for typed in ("(090)0000-0000", "090.0000.0000", "+81 90-0000-0000"):
        assert phone_of(typed) == "090-0000-0000"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("\ufa19", "\ufa19"),
        ("葛\U000e0100城", "葛\U000e0100城"),
        ("か\u3099", "か\u3099"),
        (" 山\u200b田\u202e ", "山田"),
    ],
)
def test_a_name_is_kept_as_typed(typed: str, kept: str) -> None:
    """No character becomes another; only those that nobody sees are dropped."""
    assert validated(customer_name=typed).customer_name.data == kept


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("A", "A"),
        ("090-1234-5678", "090-1234-5678"),
        ("4810000000020000", ""),
        ("٤٨١٠٠٠٠٠٠٠٠٢", ""),
    ],
)
def test_only_harmless_text_is_shown_again(typed: str, again: str) -> None:
    """Twelve digits of any script and more are not shown."""
    assert shown(typed) == again


def test_a_ticket_is_good_for_its_login_alone() -> None:
    """Signed per login; older keys still count."""
    ticket = Tickets(["old"], "mine").new()

    assert Tickets(["old", "new"], "mine").are_ours(ticket)
    assert not Tickets(["old", "new"], "other").are_ours(ticket)
    assert not Tickets(["new"], "mine").are_ours(ticket)


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("", ""),
        ("12345678901", "12345678901"),
        ("123456789012", "9012"),
        ("1 2-3.4/5,6:7|8~9_0(1)2", "9012"),
        ("（1234-5678-9012）様", "（9012）様"),
        ("①②③④⑤⑥⑦⑧⑨1２٣", "9123"),
        ("4810ー0000ｰ0002━0000", "0000"),
        ("123456あ789012", "123456あ789012"),
        ("4810\x000000\u202e00020000", "0000"),
        ("a1111222233334444b5555666677778888c", "a4444b8888c"),
    ],
)
def test_runs_of_twelve_digits_are_shortened(typed: str, left: str) -> None:
    """Digits of any script, whatever but letters between them; once is enough."""
    assert shortened(typed) == left
    assert shortened(left) == left
