"""A file of amounts is read as spreadsheets and programs save it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vault import errors
from vault.ops.billing.sheet import CHUNK, Record, Sheet

Save = Callable[[bytes | str], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save a file."""

    def write(content: bytes | str) -> Path:
        path = tmp_path / "amounts.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


TEXT = "order,token,name\r\n1,card_a,髙橋 ①\r\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("cp932"),
        TEXT.replace("\r\n", "\n").encode(),
        TEXT.replace("\r\n", "\r").encode(),
        TEXT.rstrip().encode(),
        TEXT.replace("token", ' "token" ').encode(),
    ],
    ids=["utf-8", "BOM", "cp932", "lf", "cr", "no end", "quotes"],
)
def test_every_way_of_saving_is_read(save: Save, content: bytes) -> None:
    """Encoding, BOM, line ends."""
    sheet = Sheet(save(content.replace(b' "token" ', b'"token "')))
    assert sheet.carried == ("order", "name")
    assert list(sheet.records()) == [Record(2, "card_a", ("1", "髙橋 ①"))]


def test_a_sign_of_cp932_late_in_the_file_decides(save: Save) -> None:
    """Every byte is looked at, a sign on the border of two chunks too."""
    start = b"token,note\ncard_a,"
    fill = b"x" * (CHUNK - 1 - len(start))
    path = save(start + fill + "高".encode("cp932") + b"\n")
    (row,) = Sheet(path).records()
    assert row.cells[0].endswith("x高")


def test_rows_in_which_nothing_stands_are_passed_over(save: Save) -> None:
    """Blank lines and rows of commas, as spreadsheets leave them; lines still count."""
    path = save("token,amount\n,\ncard_a,1\n\n , \ncard_b,2\n")
    assert [(r.line, r.token) for r in Sheet(path).records()] == [
        (3, "card_a"),
        (6, "card_b"),
    ]


def test_a_row_over_several_lines_is_named_by_its_first(save: Save) -> None:
    """Within quotes a line break is text."""
    path = save('token,note\ncard_a,"a\nb"\ncard_b,c\n')
    assert [(r.line, r.cells) for r in Sheet(path).records()] == [
        (2, ("a\nb",)),
        (4, ("c",)),
    ]


def test_what_the_vault_fills_is_not_carried(save: Save) -> None:
    """Nor is a column without a name; one with a value in it is a fault."""
    path = save(
        "token,card_number,exp_month,amount,,\ncard_a,1,2,3,,\ncard_b,1,2,3, ,x\n"
    )
    sheet = Sheet(path)
    assert sheet.carried == ("amount",)
    assert [(r.cells, r.fault) for r in sheet.records()] == [
        (("3",), ""),
        (("3",), "has a value in a column without a name"),
    ]


def test_a_row_of_another_width_is_a_fault(save: Save) -> None:
    """A comma too many would shift every amount."""
    sheet = Sheet(save("token,amount\ncard_a,1,980\ncard_b\n"))
    assert [r.fault for r in sheet.records()] == [
        "has 3 cells, the heading has 2",
        "has 1 cells, the heading has 2",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not name a column token"),
        (b"order,amount\n", "does not name a column token"),
        (b"token;amount\n", "does not name a column token"),
        (b"token,amount,amount\n", "names a column twice"),
        (b"token,token\n", "names a column twice"),
        ("token,\u9ad8".encode("utf-16"), "is neither UTF-8 nor CP932"),
        ("高".encode() + "高橋".encode("cp932") + b"\xff\xa0", "is neither UTF-8"),
        (b'token\n"card_a', "line 2 is not CSV"),
        (b'token\ncard_a\n"x"y\n', "line 3 is not CSV"),
        (b"token\n" + b"x" * 140_000, "line 2 is not CSV"),
    ],
)
def test_what_can_not_be_read_is_refused(save: Save, content: bytes, said: str) -> None:
    """With the line, and never with what stands there."""
    path = save(content)
    with pytest.raises(errors.InputError) as refused:
        list(Sheet(path).records())
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "card_a" not in str(refused.value)
    assert refused.value.hint


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """It can be read once only."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.FileRefused, match="is no plain file"):
        Sheet(tmp_path / "pipe")


@pytest.mark.parametrize("way", ["written", "replaced", "longer"])
def test_a_file_that_changes_is_told(save: Save, tmp_path: Path, way: str) -> None:
    """Written in place, replaced by another, added to; an unchanged one is silent."""
    path = save("token\ncard_a\n")
    os.utime(path, ns=(0, 1))
    sheet = Sheet(path)
    sheet.require_unchanged()
    if way == "written":
        path.write_text("token\ncard_b\n")
    elif way == "longer":
        path.write_text("token\ncard_a\ncard_b\n")
        os.utime(path, ns=(0, 1))
    else:
        (tmp_path / "new").write_text("token\ncard_b\n")
        os.utime(tmp_path / "new", ns=(0, 1))
        (tmp_path / "new").replace(path)
    with pytest.raises(errors.FileRefused, match="was changed while it was read"):
        sheet.require_unchanged()
