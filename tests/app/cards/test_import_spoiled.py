"""Rows that Excel or a wrong encoding has spoiled are refused by that name."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.cards import texts
from app.cards.importing import rows, spoiled
from app.cards.importing.file import Record
from app.cards.importing.heading import COLUMNS
from app.cards.models import Customer
from vault import Pan

NOW = 1_795_402_800
GOOD = ("山田 太郎", "090-0000-0000", "4111111111111111", "1", "2030")
UNIONPAY = frozenset({"unionpay"})


def faults(
    column: str, cell: str, exempt: frozenset[str] = frozenset(), **more: str
) -> tuple[tuple[str, str], ...]:
    """The faults of a row that is good but for one cell, or for ``more`` of them."""
    cells = {**dict(zip(COLUMNS, GOOD, strict=True)), column: cell, **more}
    return rows.check(Record(2, cells, len(cells)), NOW, exempt).faults


@pytest.mark.parametrize(
    "cell",
    [
        "4.11E+15",
        "4.11111111111111E+15",
        "4,11E+15",
        "4E15",
        "４．１１Ｅ＋１５",
        "4111111111111110.0",
        "################",
    ],
)
def test_a_number_shown_as_a_number_names_excel(cell: str) -> None:
    """Its digits are lost, and the text says how to keep them."""
    assert faults("card_number", cell) == (("card_number", texts.EXCEL_NUMBER),)
    assert "Excel" in texts.EXCEL_NUMBER
    assert "「文字列」" in texts.EXCEL_NUMBER


@pytest.mark.parametrize("exempt", [frozenset(), UNIONPAY], ids=["luhn", "exempt"])
@pytest.mark.parametrize(
    "cell",
    ["4111111111111110", "4111 1111 1111 1110", "4111111111111110000"],
)
def test_a_number_that_ends_in_zeros_names_excel(
    cell: str, exempt: frozenset[str]
) -> None:
    """When its check digit is wrong from the sixteenth digit on."""
    assert faults("card_number", cell, exempt) == (("card_number", texts.EXCEL_ZEROS),)


@pytest.mark.parametrize("cell", ["6217000000000000000", "621700000000001000"])
def test_zeros_are_refused_where_no_check_digit_is_asked_for(cell: str) -> None:
    """Four zeros after the fifteenth digit, or three, are no chance."""
    for exempt in (frozenset(), UNIONPAY):
        found = faults("card_number", cell, frozenset(exempt))
        assert found == (("card_number", texts.EXCEL_ZEROS),)


@pytest.mark.parametrize(
    "cell",
    [
        "6217000000000010",  # one zero may be chance
        "6217000000000000003",
        "4810000000020000",
        "4111111111111111",
    ],
)
def test_an_exempt_number_that_may_be_right_is_taken(cell: str) -> None:
    """As by the form."""
    assert faults("card_number", cell, UNIONPAY) == ()


@pytest.mark.parametrize("cell", ["４１１１-1111 1111 1160000"])
def test_zeros_are_refused_even_if_the_check_digit_is_right(cell: str) -> None:
    """As it is by chance in one number of ten."""
    assert Pan.parse(cell)
    assert faults("card_number", cell) == (("card_number", texts.EXCEL_ZEROS),)


@pytest.mark.parametrize(
    "cell",
    [
        "4111111111111160",
        "62170000000001200",
        "621700000000140000",
        "411111111111111001",
        "6217000000000006100",
    ],
)
def test_a_number_that_ends_otherwise_is_taken(cell: str) -> None:
    """Up to three zeros from the sixteenth digit on, which real numbers end in more
    often, or others before them."""
    assert faults("card_number", cell) == ()


def test_a_wrong_number_that_excel_did_not_make_has_the_forms_words() -> None:
    """A slip of a finger is no fault of Excel's."""
    wrong = (("4111111111111112", "check_digit"), ("378282246310000", "check_digit"))
    for cell, reason in (*wrong, ("9999999999999990", "brand")):
        assert faults("card_number", cell) == (
            ("card_number", texts.NUMBER_REASONS[reason]),
        )


@pytest.mark.parametrize(
    "cell",
    ["9012345678", "312345678", "9.01E+09", "819012345678", "9012345678.0", "###"],
)
def test_a_telephone_number_without_its_zero_names_excel(cell: str) -> None:
    """Ten digits of a mobile, nine of a line, or +81 without its sign."""
    assert faults("phone", cell) == (("phone", texts.EXCEL_PHONE),)


@pytest.mark.parametrize("cell", ["090-1234", "123", "電話"])
def test_a_wrong_telephone_number_has_the_forms_words(cell: str) -> None:
    """It is no number that lost its zero."""
    assert faults("phone", cell) == (("phone", texts.PHONE_FORM),)


@pytest.mark.parametrize(
    "cell", ["Jan-30", "1-Jan", "2030/1/1", "1月30日", "2030年1月", "47484"]
)
def test_an_expiry_that_became_a_day_names_excel(cell: str) -> None:
    """In the month's column alone, as 1/30 was typed there."""
    found = faults("exp_month", cell, exp_year="")
    assert found == (("exp_month", texts.EXCEL_EXPIRY),)


@pytest.mark.parametrize(
    "name",
    ["?橋 花子", "山田??", "山\ufffd 太郎", "〓橋", "&#39641;橋", "&#x9ad9;橋"],
)
def test_a_name_with_lost_letters_is_refused(name: str) -> None:
    """What stands for a letter that could not be written."""
    assert faults("customer_name", name) == (("customer_name", texts.NAME_LOST),)


@pytest.mark.parametrize(
    ("name", "encoding", "read_as"),
    [
        ("佐藤", "utf-8", "cp932"),
        ("渡辺", "utf-8", "cp932"),
        ("ヤマダ タロウ", "utf-8", "cp932"),
        ("山田太郎", "utf-8", "cp1252"),
        ("渡辺", "utf-8", "cp1252"),
        ("佐藤", "euc_jp", "cp932"),
        ("ヤマダ タロウ", "euc_jp", "cp932"),
        ("やまだ たろう", "euc_jp", "cp932"),
        # All of these are half-width kana, or kana and user-defined characters.
        ("渡辺 真由美", "euc_jp", "cp932"),
        ("山本", "euc_jp", "cp932"),
        ("池田 太郎", "euc_jp", "cp932"),
        ("松田\u3000治", "euc_jp", "cp932"),
        ("久保田真", "euc_jp", "cp932"),
        ("渡辺 健太", "euc_jp", "cp932"),
        ("山口", "euc_jp", "cp932"),
    ],
)
def test_a_name_in_another_encoding_is_refused(
    name: str, encoding: str, read_as: str
) -> None:
    """Where bytes of the one can be read as the other."""
    garbled = name.encode(encoding).decode(read_as)
    assert faults("customer_name", garbled) == (("customer_name", texts.NAME_GARBLED),)


@pytest.mark.parametrize(
    "name",
    [
        "髙橋 ①",
        "神田 﨑",
        "ﾔﾏﾀﾞ ﾀﾛｳ",
        "ﾀﾅｶ",
        "ｶ)ﾔﾏﾀﾞｼﾖｳﾃﾝ",
        "山田ﾀﾛｳ",
        "ﾎﾟｰﾙ･ｽﾐｽ",
        "ｳﾞｧﾝ",
        "José Ñandú",
        "Zoë Ångström",
        "凜 煌",
    ],
)
def test_a_name_that_is_only_rare_is_taken(name: str) -> None:
    """Half-width kana as banks write them, rare characters, foreign letters."""
    assert faults("customer_name", name) == ()


FAMILIES = """
    ｻﾄｳ ｽｽﾞｷ ﾀｶﾊｼ ﾀﾅｶ ｲﾄｳ ﾜﾀﾅﾍﾞ ﾔﾏﾓﾄ ﾅｶﾑﾗ ｺﾊﾞﾔｼ ｶﾄｳ ﾖｼﾀﾞ ﾔﾏﾀﾞ ｻｻｷ ﾔﾏｸﾞﾁ ﾏﾂﾓﾄ ｲﾉｳｴ ｷﾑﾗ ﾊﾔｼ
    ｻｲﾄｳ ｼﾐｽﾞ ﾔﾏｻﾞｷ ﾓﾘ ｲｹﾀﾞ ﾊｼﾓﾄ ｱﾍﾞ ｲｼｶﾜ ﾔﾏｼﾀ ﾅｶｼﾞﾏ ｲｼｲ ｵｶﾞﾜ ﾏｴﾀﾞ ｵｶﾀﾞ ﾊｾｶﾞﾜ ﾌｼﾞﾀ ｺﾞﾄｳ ｺﾝﾄﾞｳ
    ﾑﾗｶﾐ ｴﾝﾄﾞｳ ｱｵｷ ｻｶﾓﾄ ﾌｸﾀﾞ ｵｵﾀ ﾆｼﾑﾗ ｶﾈｺ ﾐｳﾗ ｵｶﾓﾄ ﾅｶﾉ ﾊﾗﾀﾞ ﾏﾂﾀﾞ ﾀｹｳﾁ ｵﾉ ﾀﾑﾗ ﾅｶﾔﾏ ﾜﾀﾞ ｲｼﾀﾞ
    ｳｴﾀﾞ ｳﾁﾀﾞ ｼﾊﾞﾀ ｻｶｲ ﾖｺﾔﾏ ﾀｶｷﾞ ｱﾝﾄﾞｳ ﾐﾔﾓﾄ ﾀﾆｸﾞﾁ ｸﾄﾞｳ ｲﾏｲ ｷﾉｼﾀ ｸﾎﾞ ｷｸﾁ ｲｶﾞﾗｼ ﾓﾁﾂﾞｷ ｱｷﾓﾄ
"""
GIVEN = """
    ﾀﾛｳ ﾊﾅｺ ｲﾁﾛｳ ｼﾞﾛｳ ｹﾝｲﾁ ｹﾝﾀ ﾏｺﾄ ﾋﾛｼ ﾀｶｼ ｼｹﾞﾙ ｷﾖｼ ｱｷﾗ ﾐﾉﾙ ﾕﾀｶ ｶｽﾞｵ ｶｽﾞｺ ｻﾁｺ ﾖｳｺ ｹｲｺ ｷｮｳｺ
    ﾕｳｺ ﾕﾐｺ ｸﾐｺ ﾅｵﾐ ﾏﾕﾐ ｱｹﾐ ﾐｻｷ ｱｵｲ ﾋﾅ ﾕｲ ｼｮｳﾀ ﾀﾞｲｽｹ ﾅｵｷ ﾃﾂﾔ ﾀｸﾔ ﾂﾖｼ ﾏﾅﾌﾞ ｻﾄｼ ｼﾞｭﾝｺ ﾘﾝ ﾚﾝ ｻｸﾗ
"""


def test_names_in_half_width_kana_are_taken() -> None:
    """Each of these families and given names, alone, together and the other way round:
    in EUC-JP they would be other characters than names are written with."""
    families, given = FAMILIES.split(), GIVEN.split()
    names = [*families, *given]
    for family in families:
        for name in given:
            names += [f"{family} {name}", f"{family}{name}", f"{name} {family}"]
    assert [name for name in names if spoiled.name_fault(name)] == []


@pytest.mark.parametrize("name", ["山田 太郎", "佐藤", "渡辺"])
def test_a_file_in_euc_jp_is_refused_whole(
    app: Flask, tmp_path: Path, name: str
) -> None:
    """It is not taken for CP932 and names nobody has."""
    file = tmp_path / "customers.csv"
    row = ",".join([name, *GOOD[1:]])
    file.write_bytes(f"{','.join(COLUMNS)}\n{row}\n".encode("euc_jp"))
    ran = app.test_cli_runner().invoke(args=["cards", "import", str(file)])
    assert (ran.exit_code, "is EUC-JP" in ran.stderr) == (2, True)
    assert "save it again as CSV UTF-8" in ran.stderr


def test_a_line_in_another_encoding_is_refused_by_line(
    app: Flask, tmp_path: Path
) -> None:
    """The others of the file go in; no name that nobody has is stored."""
    file = tmp_path / "customers.csv"
    lines = [(",".join([name, *GOOD[1:]]) + "\n") for name in ("山田", "佐藤", "佐藤")]
    data = [",".join(COLUMNS).encode() + b"\n", lines[0].encode("cp932")]
    file.write_bytes(b"".join([*data, lines[1].encode(), lines[2].encode("euc_jp")]))
    ran = app.test_cli_runner().invoke(args=["cards", "import", str(file)])
    assert ran.exit_code == 1
    for line in (3, 4):
        assert f"line {line}: customer_name: {texts.NAME_GARBLED}" in ran.stdout
    with Session(app.extensions["site_engine"]) as site:
        assert site.scalar(select(func.count()).select_from(Customer)) == 1
