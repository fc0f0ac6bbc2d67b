"""pan-scan finds a number however a file holds it, and shows none."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from vault.ops.pan_scan import CHUNK, Found, Unread, scan

NUMBER = "4810000000020000"
MASK = "48**-****-****-0000"


def hits(path: Path) -> list[Found]:
    """What is found where everything can be read."""
    told = list(scan(path))
    assert not [one for one in told if isinstance(one, Unread)]
    return [one for one in told if isinstance(one, Found)]


def found(path: Path) -> list[tuple[str, str]]:
    """Places and masks."""
    return [(hit.place, hit.masked) for hit in hits(path)]


@pytest.mark.parametrize(
    "content",
    [
        f"card {NUMBER} of".encode(),
        b"4810 0000 0002 0000",
        b"4810-0000-0002-0000",
        "４８１０ ００００ ０００２ ００００".encode(),
        f"card {NUMBER}".encode("utf-16-le"),
        f"card {NUMBER}".encode("utf-16-be"),
        "４８１０００００".encode("utf-16-le") + "０００２００００".encode("utf-16-le"),
        b"2026-11-23 4810000000020000",
        b"\x00\x01" + NUMBER.encode() + b"\xff",
    ],
    ids=["text", "blanks", "hyphens", "wide", "le", "be", "wide-le", "date", "binary"],
)
def test_every_way_of_writing_is_found(tmp_path: Path, content: bytes) -> None:
    """Once, with its mask."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert [masked for _, masked in found(path)] == [MASK]


def test_places_are_told_in_bytes(tmp_path: Path) -> None:
    """Across the border of two chunks too, and never twice."""
    path = tmp_path / "large"
    for offset in (0, 17, CHUNK - 300, CHUNK - 256, CHUNK - 8, CHUNK, 2 * CHUNK - 1):
        path.write_bytes(b"x" * offset + NUMBER.encode() + b"x" * 1000)
        assert found(path) == [(f"byte {offset}", MASK)]


def test_gzip_and_sqlite_are_looked_into(tmp_path: Path) -> None:
    """What a file holds, not only its bytes; a broken one is no error."""
    with gzip.open(tmp_path / "a.gz", "wb") as packed:
        packed.write(b"x" * 50_000 + NUMBER.encode())
    with closing(sqlite3.connect(tmp_path / "b.db")) as db:
        db.execute("CREATE TABLE t (phone TEXT, n TEXT, z TEXT)")
        db.execute("INSERT INTO t VALUES ('09000000000', ?, '09000000000')", (NUMBER,))
        db.commit()
    (tmp_path / "c.gz").write_bytes(b"\x1f\x8b not gzip")
    assert [(hit.path.name, hit.place) for hit in hits(tmp_path)] == [
        ("a.gz", "byte 50000 inside gzip"),
        ("b.db", "t.n, row 1"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"4810000000020001",
        b"9999999999999995",
        b"090-0000-0000 03-1234-5678",
        b"2026-11-23T12:00:00.000000Z",
        b"48**-****-****-0000",
        b"090-0000-030409000000304",
        b"",
    ],
    ids=["check digit", "brand", "phones", "time", "mask", "two phones", "empty"],
)
def test_what_is_no_card_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """No alarm for phones, times or masks."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert found(path) == []


def test_telephone_numbers_side_by_side_are_no_card(tmp_path: Path) -> None:
    """As a record of SQLite has them: 3400 and what follows would be one."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("CREATE TABLE t (phone TEXT, digits TEXT)")
        db.execute("INSERT INTO t VALUES ('090-0000-3400', '09000003400')")
        db.commit()
    assert found(tmp_path / "a.db") == []


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Nor does one to its own folder go on for ever."""
    (tmp_path / "self").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert found(tmp_path) == []


def deep(folder: Path) -> None:
    """Make a folder so deep below ``folder`` that no path reaches its bottom."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=at)
        at, above = os.open("d" * 250, os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(at)


def test_what_can_not_be_read_does_not_end_the_search(tmp_path: Path) -> None:
    """A folder or a file that the system refuses is named; what comes before it and
    after it is looked through."""
    (tmp_path / "a").write_text(NUMBER)
    deep(tmp_path)
    (tmp_path / "z").write_text(NUMBER)
    first, unread, last = scan(tmp_path)
    assert isinstance(unread, Unread)
    assert unread.why == "file name too long"
    assert unread.path.name == "d" * 250
    assert [one.path.name for one in (first, last)] == ["a", "z"]
    shutil.rmtree(tmp_path / ("d" * 250))


def test_a_file_that_breaks_off_is_named(tmp_path: Path) -> None:
    """Its bytes can't be read, though it can be opened."""
    assert list(scan(Path("/proc/self/mem"))) == [
        Unread(Path("/proc/self/mem"), "input/output error")
    ]
    assert [one for one in scan(tmp_path / "gone") if isinstance(one, Unread)]


def test_a_database_with_names_of_no_alphabet_ends_nothing(tmp_path: Path) -> None:
    """Its bytes are looked through, and the next file."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("CREATE TABLE tttt (n TEXT)")
        db.execute("INSERT INTO tttt VALUES (?)", (NUMBER,))
        db.commit()
    path = tmp_path / "a.db"
    path.write_bytes(path.read_bytes().replace(b"tttt", b"t\xff\xfet"))
    (tmp_path / "b").write_text(NUMBER)
    assert [hit.path.name for hit in hits(tmp_path)] == ["a.db", "b"]
