"""pan-scan finds a number however a file holds it, and shows none."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from vault.ops.pan_scan import Found, Unread, scan
from vault.ops.pan_scan import numbers as search
from vault.ops.pan_scan.files import CHUNK

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
    """What a file holds, not only its bytes."""
    with gzip.open(tmp_path / "a.gz", "wb") as packed:
        packed.write(b"x" * 50_000 + NUMBER.encode())
    with closing(sqlite3.connect(tmp_path / "b.db")) as db:
        db.execute("CREATE TABLE t (phone TEXT, n TEXT, z TEXT)")
        db.execute("INSERT INTO t VALUES ('09000000000', ?, '09000000000')", (NUMBER,))
        db.commit()
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


@pytest.mark.parametrize(
    "content",
    [
        "４８１０－００００－０００２－００００".encode(),
        "番号４８１０－００００－０００２－００００".encode("cp932"),
        "番号４８１０　００００　０００２　００００".encode("euc_jp"),
        "番号４８１００００００００２００００".encode("iso2022_jp"),
        "４８１０，００００，０００２，００００".encode(),
        b"4810,0000,0002,0000",
        b"4810\t0000\t0002\t0000",
        b"4810.0000.0002.0000",
        b"4810\r\n0000\r\n0002\r\n0000\r\n",
        "4810,0000,0002,0000".encode("utf-16-le"),
        "4810\u20090000\u20090002\u20090000".encode(),
        "4810\u200b0000\u200b0002\u200b0000".encode(),
        "4810\u22120000\u22120002\u22120000".encode(),
        "4810\u20130000\u20130002\u20130000".encode(),
        b'{"n_1": "4810", "n_2": "0000", "n_3": "0002", "n_4": "0000"}',
        b'["4810", "0000", "0002", "0000"]',
        b"name=x&n_1=4810&n_2=0000&n_3=0002&n_4=0000",
        b"number=4810%200000%200002%200000&x=1",
        b"number=%EF%BC%94810+0000+0002+0000",
        b"4810=2000=\r\n00=200002=200000",
        rb'"\uff14\uff18100000\u00200002\u30000000"',
        b"&#65300;810&nbsp;0000&nbsp;0002&nbsp;0000",
        b"<v>4.81000000002E15</v>",
    ],
    ids=[f"spelling-{one}" for one in range(23)],
)
def test_the_spellings_of_documents_are_found(tmp_path: Path, content: bytes) -> None:
    """A number is found once, whatever encoding, signs, escapes or boxes it has."""
    path = tmp_path / "file"
    path.write_bytes(b"before " + content + b" after\n")
    assert [masked for _, masked in found(path)] == [MASK]


@pytest.mark.parametrize(
    "content",
    [
        b"4810,0000;0002,0000",
        b"2404:6800:4004:0810",
        b"x_1=4810&y_2=0000&z_3=0002&x_4=0000",
        b"4810, 0000, 0002, 0001",
    ],
    ids=["other signs", "IPv6", "other boxes", "check digit"],
)
def test_groups_that_do_not_belong_together_are_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    """Different signs or names between the groups make no card number."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert found(path) == []


@pytest.mark.parametrize("number", [NUMBER, "378282246310005", "8171999900000000021"])
@pytest.mark.parametrize(
    "sizes",
    [
        *([size] * 10 for size in (1, 2, 3, 4, 5, 8)),
        [4, 6, 10],
        [6, 20],
        [12, 10],
        [4, 8, 10],
        [6, 4, 4, 4, 4],
        [4, 4, 4, 10],
    ],
    ids=str,
)
def test_every_way_of_grouping_is_found(
    tmp_path: Path, number: str, sizes: list[int]
) -> None:
    """Groups alike, as cards have them, a bank's six digits first, few of any size;
    with other digits before and behind."""
    groups, rest = [], number
    for size in sizes * 2:
        groups.append(rest[:size])
        rest = rest[size:]
    written = " ".join(filter(None, groups))
    path = tmp_path / "file"
    for content in (written, f"0 {written}", f"090-0000-0000 {written} 07"):
        path.write_text(content)
        masked = {masked for _, masked in found(path)}
        assert any(one[-4:] == number[-4:] for one in masked), content


@pytest.mark.parametrize(
    "content",
    [
        b"4810 00 0 000 02000 0",
        b"48 1000 000002 00 00",
        b"n=0.4810000000020000",
        b"0.48100000000200001 0.4810000000020000",
    ],
    ids=["uneven", "uneven too", "fraction", "fractions"],
)
def test_digits_that_nobody_writes_as_a_card_are_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    """Many groups of uneven sizes, and the digits of a fraction of one."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert found(path) == []


def test_a_number_behind_a_point_is_found(tmp_path: Path) -> None:
    """In a list with points for example; only a zero makes a fraction."""
    for before in ("1.", "10.", "No.", "."):
        (tmp_path / "file").write_text(f"{before}{NUMBER}")
        assert [masked for _, masked in found(tmp_path / "file")] == [MASK]


def test_three_boxes_at_the_beginning_are_found(tmp_path: Path) -> None:
    """A card of 15 digits is in three; fewer boxes than four are no error."""
    (tmp_path / "file").write_bytes(b"n_1=3782&n_2=822463&n_3=10005&x=1")
    assert [masked for _, masked in found(tmp_path / "file")] == ["37**-******-*0005"]


def test_a_log_of_other_numbers_raises_few_alarms(tmp_path: Path) -> None:
    """Of 20,000 lines of eight numbers each, 150 have by chance what a card has, where
    any groups together gave ten times as many."""
    draw = random.Random(300_000)
    lines = (
        " ".join(str(draw.randrange(10 ** draw.randrange(1, 7))) for _ in range(8))
        for _ in range(20_000)
    )
    (tmp_path / "app.log").write_text("\n".join(lines))
    assert len(found(tmp_path / "app.log")) < 250


def test_a_long_row_of_groups_is_no_long_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each group is held against the few behind it, however many there are."""
    looked: list[int] = []
    number_at = search._number_at

    def look(digits: str, borders: list[int]) -> int:
        looked.append(len(borders))
        return number_at(digits, borders)

    monkeypatch.setattr(search, "_number_at", look)
    (tmp_path / "file").write_bytes(b"4 " * 5000 + NUMBER.encode())
    assert found(tmp_path / "file")[-1][1] == MASK
    assert max(looked) == search.MAX_DIGITS + 1


def zipped(**members: bytes) -> bytes:
    """A zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return made.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    """A tar archive packed with gzip."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


TEXT = NUMBER.encode()
WORD = b"<w:p><w:r><w:t>4810 0000 </w:t></w:r><w:r><w:t>0002 0000</w:t></w:r></w:p>"
CELLS = b"<si><t>other</t></si><si><t>" + TEXT + b"</t></si>"
MAIL = (
    b"From: a@example.jp\r\nMIME-Version: 1.0\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.xz", lzma.compress(TEXT)),
        ("log.bz2", bz2.compress(TEXT) + bz2.compress(b"more")),
        ("a.zip", zipped(a_txt=TEXT)),
        ("a.xlsx", zipped(xl__sharedStrings_xml=CELLS)),
        ("a.docx", zipped(word__document_xml=WORD)),
        ("a.tar.gz", tarred("a.txt", TEXT)),
        ("nested", zipped(a_zip=zipped(b_gz=gzip.compress(TEXT)))),
        ("mail.eml", MAIL + base64.encodebytes(TEXT)),
        (
            "mail.mbox",
            b"From x\nTo: b\n\nhello\n\nFrom x\n" + MAIL + base64.b64encode(TEXT),
        ),
        ("packed.eml", MAIL + base64.encodebytes(zipped(a_txt=TEXT))),
    ],
    ids=[f"packed-{one}" for one in range(10)],
)
def test_what_is_packed_is_looked_into(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Archives, Office files and mails hold the number once."""
    path = tmp_path / name
    path.write_bytes(content)
    assert [masked for _, masked in found(path)] == [MASK]


def encrypted_zip() -> bytes:
    """A zip archive whose one member says that it is encrypted."""
    made = bytearray(zipped(a=TEXT))
    made[6] |= 1
    made[made.index(b"PK\x01\x02") + 8] |= 1
    return bytes(made)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
        (b"\x1f\x8b not gzip", "is damaged"),
        (lzma.compress(os.urandom(5000))[:-900], "is cut off"),
        (encrypted_zip(), "is encrypted inside a"),
        (b"PK\x03\x04 and nothing", "is damaged"),
    ],
    ids=["pdf", "7z", "gzip", "xz", "locked", "zip"],
)
def test_what_can_not_be_looked_into_is_named(
    tmp_path: Path, content: bytes, why: str
) -> None:
    """It is never passed over in silence."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert list(scan(path)) == [Unread(path, f"{why}, not looked into")]


def patched_zip() -> bytes:
    """A zip archive whose member says that it is patched data, which nothing unpacks."""
    made = bytearray(zipped(a=TEXT))
    made[6] |= 0x20
    made[made.index(b"PK\x01\x02") + 8] |= 0x20
    return bytes(made)


def test_a_zip_of_an_unknown_kind_ends_nothing(tmp_path: Path) -> None:
    """Its member is named, and the next file is looked through."""
    (tmp_path / "a").write_bytes(patched_zip())
    (tmp_path / "b").write_text(NUMBER)
    unread, found = scan(tmp_path)
    assert isinstance(unread, Unread)
    assert unread.why == "is packed in an unknown way inside a, not looked into"
    assert isinstance(found, Found)


def test_a_mail_in_mails_without_end_ends_nothing(tmp_path: Path) -> None:
    """The mail library gives up on it; the next file is looked through."""
    head = b"MIME-Version: 1.0\n"
    (tmp_path / "a").write_bytes(head + b"Content-Type: message/rfc822\n\n" * 5000)
    (tmp_path / "b").write_text(NUMBER)
    unread, found = scan(tmp_path)
    assert isinstance(unread, Unread)
    assert unread.why == "lies in too many mails, not looked into"
    assert isinstance(found, Found)


def test_a_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros packed twice end at the budget with one line about it."""
    monkeypatch.setattr("vault.ops.pan_scan.unpack.LEAST_BUDGET", 1 << 20)
    packed = gzip.compress(gzip.compress(bytes(50 << 20)))
    (tmp_path / "bomb").write_bytes(packed)
    (unread,) = scan(tmp_path / "bomb")
    assert isinstance(unread, Unread)
    assert unread.why == "unpacks to more than is looked into, not looked into"


def test_archives_in_archives_have_a_bound(tmp_path: Path) -> None:
    """So that no nesting ends the scan."""
    packed = TEXT
    for _ in range(50):
        packed = gzip.compress(packed)
    (tmp_path / "deep").write_bytes(packed)
    (unread,) = scan(tmp_path / "deep")
    assert isinstance(unread, Unread)
    assert unread.why.startswith("lies in too many archives inside gzip")


def test_a_number_in_a_files_name_is_found(tmp_path: Path) -> None:
    """The name of a file and of an archive's member."""
    (tmp_path / f"{NUMBER}.txt").write_text("")
    (tmp_path / "z.tgz").write_bytes(tarred(f"{NUMBER}.txt", b""))
    assert [(hit.place, hit.masked) for hit in hits(tmp_path)] == [
        ("its name", MASK),
        ("a name inside gzip", MASK),
    ]
