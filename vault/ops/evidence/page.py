"""Makes a printable page of a subject: plain HTML with its style inside, for A4."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from ...card.expiry import JAPAN_OFFSET
from ...card.scrub import one_line
from .words import NONE, Cell, Subject, Table, Words

STYLE = """
@page { size: A4; margin: 14mm; }
body { font-family: "Noto Sans JP", "Hiragino Sans", "Yu Gothic", Meiryo, sans-serif;
  font-size: 10.5pt; line-height: 1.5; color: #1f2328; max-width: 190mm;
  margin: 8mm auto; padding: 0 4mm; }
h1 { font-size: 17pt; margin: 0 0 3mm; border-bottom: 2px solid #57606a; }
h2 { font-size: 12.5pt; margin: 5mm 0 1.5mm; break-after: avoid; }
p { margin: 0 0 3mm; }
table { border-collapse: collapse; width: 100%; margin: 0 0 3mm; font-size: 9.5pt; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th, td { border: 1px solid #adb5bd; padding: 0.8mm 1.8mm; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
thead th { background: #eef1f4; }
td.number { text-align: right; white-space: nowrap; }
table.head th { width: 38mm; background: #eef1f4; font-weight: normal; }
table.contents th:first-child { width: 46mm; }
table.contents th:nth-child(3) { width: 34mm; }
table.contents td:last-child, table.contents th:last-child { white-space: nowrap; }
table.wide { font-size: 8pt; }
td:empty { height: 7mm; }
table.sign td { height: 12mm; }
.note { color: #57606a; font-size: 9pt; }
a { color: #0a58ca; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 10pt;
    line-height: 1.4; }
  a { color: inherit; text-decoration: none; } .back { display: none; } }
"""
# From so many columns on a table is set smaller, so that it fits the paper's width.
_WIDE = 8

_VAULT = Words("保管庫の番号", "Vault")
_ROOT = Words("ルート鍵の番号", "Root key")
_AT = Words("作成日時（日本時間）", "Made (Japan time)")
_BY = Words("作成者", "Made by")
_ON = Words("作成した機械", "On the machine")
_WITH = Words("プログラム", "Program")
_REQUIREMENTS = Words("PCI DSS v4.0.1 の要件", "PCI DSS v4.0.1")
_BACK = Words("目次へ戻る", "Back to the contents")
_SIGN = Words("確認者の署名", "Signature of who looked through this")
_SIGN_COLUMNS = (
    Words("氏名", "Name"),
    Words("所属・役職", "Department, post"),
    Words("日付", "Date"),
    Words("署名・印", "Signature or seal"),
)


@dataclass(frozen=True)
class Head:
    """What every page begins with: the vault's and the root's ids, when (seconds since
    1970 UTC), by whom and on which machine it was made, by which version."""

    vault_id: str
    root_id: str
    at: int
    by: str
    machine: str
    version: str


def japan_time(at: int | None) -> str:
    """``at`` (seconds since 1970 UTC) as ``2026-11-23 12:00:00`` in Japan; "-" for None
    and 0."""
    if not at:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at + JAPAN_OFFSET))


def page_of(subject: Subject, head: Head, lang: str) -> str:
    """The subject's page in ``lang``, "ja" or "en"."""
    lines = [f"<p>{text_of(subject.shows, lang)}</p>"]
    lines += head_table(head, lang, subject.requirements)
    for table in subject.tables:
        lines += table_of(table, lang)
    lines += signature(lang)
    lines.append(
        f'<p class="back"><a href="index.{lang}.html">{_BACK.of(lang)}</a></p>'
    )
    return document(subject.title.of(lang), lines, lang)


def document(title: str, lines: list[str], lang: str) -> str:
    """A whole page of HTML with ``lines`` under its title."""
    name = escape(title)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{lang}">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{name}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{name}</h1>",
            *lines,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def head_table(head: Head, lang: str, requirements: str = "") -> Iterator[str]:
    """The table that says of which vault the page is, and who made it when."""
    rows: list[tuple[Words, str]] = [
        (_VAULT, head.vault_id),
        (_ROOT, head.root_id),
        (_AT, japan_time(head.at)),
        (_BY, head.by),
        (_ON, head.machine),
        (_WITH, f"cardvault {head.version}"),
    ]
    if requirements:
        rows.append((_REQUIREMENTS, requirements))
    yield '<table class="head"><tbody>'
    for name, value in rows:
        yield (
            f'<tr><th scope="row">{text_of(name, lang)}</th>'
            f"<td>{text_of(value, lang)}</td></tr>"
        )
    yield "</tbody></table>"


def table_of(table: Table, lang: str) -> Iterator[str]:
    """A table under its heading; without rows it says so."""
    yield f"<h2>{text_of(table.heading, lang)}</h2>"
    if table.note.of(lang):
        yield f'<p class="note">{text_of(table.note, lang)}</p>'
    if not table.rows:
        yield f"<p>{NONE.of(lang)}</p>"
        return
    yield '<table class="wide">' if len(table.columns) >= _WIDE else "<table>"
    names = (f'<th scope="col">{text_of(c, lang)}</th>' for c in table.columns)
    yield f"<thead><tr>{''.join(names)}</tr></thead><tbody>"
    for row in table.rows:
        yield f"<tr>{''.join(_cell(cell, lang) for cell in row)}</tr>"
    yield "</tbody></table>"


def signature(lang: str) -> Iterator[str]:
    """A line for whoever looked through the page to sign on."""
    yield f"<h2>{_SIGN.of(lang)}</h2>"
    names = "".join(f'<th scope="col">{c.of(lang)}</th>' for c in _SIGN_COLUMNS)
    empty = "<td></td>" * len(_SIGN_COLUMNS)
    yield f'<table class="sign"><thead><tr>{names}</tr></thead>'
    yield f"<tbody><tr>{empty}</tr></tbody></table>"


def text_of(cell: Cell, lang: str) -> str:
    """A cell as HTML on one line; what a damaged row says can't change the page."""
    if cell is None:
        return "-"
    if isinstance(cell, Words):
        cell = cell.of(lang)
    shown = f"{cell:,}" if isinstance(cell, int) else cell
    return escape(one_line(shown))


def _cell(cell: Cell, lang: str) -> str:
    kind = ' class="number"' if isinstance(cell, int) else ""
    return f"<td{kind}>{text_of(cell, lang)}</td>"
