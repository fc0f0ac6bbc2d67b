"""A line holds what was asked for, as it was asked for, or is refused."""

from __future__ import annotations

import csv
import io

import pytest

from tests.places.vault import VISA
from vault import errors
from vault.ops.billing.layout import CSV, Layout, read_columns, read_widths

CARD = "card_mwdtzntgwrzqmtpcnvhcsllqjmvjkwx"


def line(layout: Layout, *cells: str) -> str:
    """The line of one card that is good to 01/2030."""
    return layout.line()(CARD, VISA, 203001, cells)


def test_without_a_wish_it_is_the_four_columns() -> None:
    """RFC 4180, the month with two digits."""
    assert CSV.first_line() == "token,card_number,exp_month,exp_year\r\n"
    assert line(CSV) == f"{CARD},{VISA},01,2030\r\n"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("exp_month", "01"),
        ("exp_year", "2030"),
        ("exp_yymm", "3001"),
        ("exp_mmyy", "0130"),
        ("exp_mm_yy", "01/30"),
        ("exp_yyyymm", "203001"),
        ("token", CARD),
        ("card_number", VISA),
        ("amount", "1980"),
    ],
)
def test_each_column_by_itself(name: str, written: str) -> None:
    """Each name writes one form, with its heading or without it."""
    layout = Layout((name,), ("order_no", "amount"), newline="\n")
    assert (layout.first_line(), line(layout, "A-1", "1980")) == (
        f"{name}\n",
        f"{written}\n",
    )
    assert Layout((name,), ("amount",), heading=False).first_line() == ""


def test_columns_come_in_the_order_asked_for() -> None:
    """The vault's and the file's, mixed; one that is not named is not written."""
    columns = read_columns("amount, card_number ,exp_yymm,order_no")
    layout = Layout(columns, ("order_no", "shop", "amount"))
    assert line(layout, "A-1", "x", "1980") == f"1980,{VISA},3001,A-1\r\n"


@pytest.mark.parametrize("text", ['a "b"', "a,b", "a\nb", "a\rb", " a ", "", "ア、イ"])
def test_any_value_comes_back_from_the_csv_as_it_went_in(text: str) -> None:
    """Quotes, commas, line breaks, blanks at the ends."""
    layout = Layout(("card_number", "note"), ("note",))
    layout.check([text])
    written = io.StringIO(line(layout, text), newline="")
    assert list(csv.reader(written)) == [[VISA, text]]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("amount,nothing", "there is no 'nothing'; there are: token, card_number, "),
        ("", "there is no ''"),
        ("amount,amount", "'amount' is named twice"),
        ("Token", "there is no 'Token'"),
    ],
)
def test_a_column_that_is_not_there_is_refused(columns: str, said: str) -> None:
    """By its name, with those there are."""
    with pytest.raises(errors.InputError) as refused:
        Layout(read_columns(columns), ("amount",))
    assert str(refused.value).startswith(f"--columns: {said}")


def test_a_value_the_encoding_does_not_have_is_refused() -> None:
    """An accent, a Hangul, an emoji, in a column's name too; UTF-8 takes all."""
    layout = Layout(("card_number", "name"), ("name",), encoding="cp932")
    layout.check(["髙橋 ①"])
    for text in ("高橋é", "한", "😀", "\ufffd"):
        with pytest.raises(
            errors.InputError, match="^name: has a character that cp932 does not have$"
        ):
            layout.check([text])
        Layout(("name",), ("name",)).check([text])
    with pytest.raises(errors.InputError, match="the column's name 'aé'"):
        Layout(("aé",), ("aé",), encoding="cp932")


def test_fixed_records_are_as_long_as_they_should_be() -> None:
    """In bytes of the encoding: a kanji of CP932 takes two; blanks go behind, before
    with >, and zeros before digits with 0; there is no heading."""
    layout = Layout(
        ("card_number", "exp_yymm", "amount", "name", "no"),
        ("amount", "name", "no"),
        encoding="cp932",
        widths=read_widths("19,4,08,6,>5"),
    )
    cells = ["1980", "山田", "A-1"]
    layout.check(cells)
    written = line(layout, *cells)
    assert layout.first_line() == ""
    assert written == f"{VISA}   300100001980山田    A-1\r\n"
    assert len(written.encode("cp932")) == 19 + 4 + 8 + 6 + 5 + 2


@pytest.mark.parametrize(
    ("widths", "text", "said"),
    [
        ("3", "1980", "is longer than 3 bytes"),
        ("3", "山田", "is longer than 3 bytes"),
        ("08", "-5", "is not digits alone, so zeros can't fill it"),
        ("08", "", "is not digits alone, so zeros can't fill it"),
        ("08", "１９８０", "is longer than 8 bytes"),
        ("012", "１９８０", "is not digits alone, so zeros can't fill it"),
        ("8", "a\nb", "has a line break or another control character"),
        ("8", "é", "has a character that cp932 does not have"),
    ],
)
def test_a_value_its_width_can_not_hold_is_refused(
    widths: str, text: str, said: str
) -> None:
    """Nothing is cut, and no record becomes longer than the others."""
    encoding = "cp932" if text == "é" or "山" in text else "utf-8"
    layout = Layout(
        ("amount",), ("amount",), encoding=encoding, widths=read_widths(widths)
    )
    with pytest.raises(errors.InputError) as refused:
        layout.check([text])
    assert str(refused.value) == f"amount: {said}"


@pytest.mark.parametrize(
    ("columns", "widths", "said"),
    [
        ("card_number,amount", "16", "there are 1 widths for 2 columns"),
        ("card_number", "16,4", "there are 2 widths for 1 columns"),
        ("exp_yymm", "3", "exp_yymm takes 4, not 3"),
        ("token", "35", "token takes 36, not 35"),
        ("token", "040", "token is not digits, so no zeros fill it"),
        ("exp_mm_yy", "06", "exp_mm_yy is not digits"),
        ("amount", "0", "'0' is not a width"),
        ("amount", "", "'' is not a width"),
        ("amount", "-5", "'-5' is not a width"),
        ("amount", "x", "'x' is not a width"),
        ("amount", "10000", "'10000' is not a width"),
    ],
)
def test_widths_that_can_not_be_are_refused(
    columns: str, widths: str, said: str
) -> None:
    """Their number, one that the vault's own column doesn't fit, and what is none."""
    with pytest.raises(errors.InputError) as refused:
        Layout(read_columns(columns), ("amount",), widths=read_widths(widths))
    assert str(refused.value).startswith(f"--fixed: {said}")
