"""Takes in what the tests and the scanners wrote, file by file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..pan_scan.files import Found, scan
from .folder import NewFolder
from .words import NONE, NOTHING, Cell, Subject, Table, Words

PREFIX = "result-"
_MOST_BYTES = 50_000_000
_SUITE = re.compile(r"<testsuite\s[^>]{0,2000}>")
_BAD = re.compile(r"\b(?:errors|failures) [^0]")
_COUNT = re.compile(r'\b(tests|failures|errors|skipped|timestamp)="([^"<]{0,40})"')
_TITLE = Words("試験・検査の結果", "Results of tests and scanners")
_SHOWS = Words(
    "自動試験とソースコード検査の最新の結果（渡されたファイルの写し）。",
    "The last results of the tests and the scanners: copies of the files given.",
)
_REQUIREMENTS = "6.2.3, 6.2.4, 6.3.1, 11.3.1, 11.4.1"
_NOT_GIVEN = Words(
    "結果は渡されませんでした（--results なし）。",
    "No results were given (no --results).",
)


@dataclass(frozen=True)
class Taken:
    """A file that was given: its name in the folder, or "" with ``why`` it was left
    out; ``says`` is the summary of a JUnit file."""

    given: str
    name: str
    says: str = ""
    why: Words = NOTHING


def take_in(folder: NewFolder, source: Path | None) -> Subject:
    """Copy every plain file of ``source`` into ``folder``.  One that holds a card
    number, or that can't be looked through, is left out and named."""
    taken = [_one(folder, path) for path in sorted(source.iterdir())] if source else []
    note = _NOT_GIVEN if source is None else NOTHING
    rows: list[Sequence[Cell]] = [
        (one.given, one.name or NONE, one.says or one.why) for one in taken
    ]
    columns = (
        Words("渡されたファイル", "File given"),
        Words("このフォルダでの名前", "Its name here"),
        Words("内容", "What it says"),
    )
    return Subject(
        "results",
        _TITLE,
        _SHOWS,
        _REQUIREMENTS,
        (Table(Words("ファイル", "Files"), columns, rows, note),),
        [
            {"given": one.given, "name": one.name, "left_out": one.why.en}
            for one in taken
        ],
        wrong=any(not one.name or _BAD.search(one.says) for one in taken),
        missing=not taken,
        files=[one.name for one in taken if one.name],
    )


def _one(folder: NewFolder, path: Path) -> Taken:
    if path.is_symlink() or not path.is_file():
        return Taken(
            path.name, "", why=Words("通常のファイルではない", "no plain file")
        )
    if path.stat().st_size > _MOST_BYTES:
        return Taken(path.name, "", why=Words("50MBを超える", "over 50 MB"))
    for found in scan(path):
        if isinstance(found, Found):
            why = Words("カード番号らしき数字を含む", "holds what may be a card number")
            name = f"({found.masked})" if found.place == "its name" else path.name
            return Taken(name, "", why=why)
        return Taken(path.name, "", why=Words(f"検査不能：{found.why}", found.why))
    data = path.read_bytes()
    name = PREFIX + re.sub(r"[^A-Za-z0-9._-]", "_", path.name)
    if name in folder.names:
        why = Words("同じ名前のファイルがある", "another has this name")
        return Taken(path.name, "", why=why)
    folder.write_bytes(name, data)
    return Taken(path.name, name, says="; ".join(_suites(data)))


def _suites(data: bytes) -> Iterator[str]:
    """What each suite of a JUnit file counted."""
    text = data.decode("utf-8", "replace")
    for found in _SUITE.findall(text):
        yield ", ".join(f"{name} {value}" for name, value in _COUNT.findall(found))
