"""Makes the contents of the evidence folder: each file, what it shows, and for which
requirement of PCI DSS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .folder import SUMS
from .page import Head, document, head_table, signature, text_of
from .words import Words

TITLE = Words("PCI DSS 証跡一覧", "Evidence for PCI DSS")
_ABOUT = Words(
    "カード保管庫とサイトの運用状況を示す資料です。カード番号の全桁、鍵、パスワード、"
    "パスフレーズは含みません。",
    "These files show how the card vault and its site are run. They hold no whole card "
    "number, no key, no password and no passphrase.",
)
_SUMS = Words(
    f"改ざんの確認：このフォルダで sha256sum --check {SUMS} を実行します。"
    f"{SUMS} の写しは別に保管してください。",
    f"To see whether a file was changed: sha256sum --check {SUMS}, in this folder. Keep "
    f"a copy of {SUMS} elsewhere.",
)
_ELSEWHERE = Words(
    "プログラムの文書（別添）：docs/pci-dss.md（要件ごとの対応）、docs/data-flow.md"
    "（データフロー図）、docs/keys.md（鍵の管理）、docs/security.md（要件と自動試験）。",
    "Documents that come with the program: docs/pci-dss.md (requirement by requirement), "
    "docs/data-flow.md (the data-flow picture), docs/keys.md (keys), docs/security.md "
    "(guards and the tests that hold them).",
)
_COLUMNS = (
    Words("資料", "What"),
    Words("示すこと", "What it shows"),
    Words("要件", "PCI DSS v4.0.1"),
    Words("所見", "To look at"),
)
_LOOK, _NOTHING = Words("要確認", "look"), Words("なし", "nothing")
_MISSING = Words("未実施", "not done")
_CONTENTS = Words("目次", "Contents")


@dataclass(frozen=True)
class Entry:
    """A line of the contents: ``files`` in Japanese and in English each, with those that
    are the same in both; ``wrong`` says that something in them is to be looked at, ``missing`` that something was not done."""

    title: Words
    shows: Words
    requirements: str
    ja: Sequence[str]
    en: Sequence[str]
    wrong: bool = False
    missing: bool = False

    def files(self, lang: str) -> Sequence[str]:
        """The files for a reader of ``lang``."""
        return self.ja if lang == "ja" else self.en


def name_of(lang: str) -> str:
    """The file that holds the contents in ``lang``."""
    return f"index.{lang}.html"


def contents(entries: Sequence[Entry], head: Head, lang: str) -> str:
    """The contents as a page of HTML."""
    lines = [f"<p>{_ABOUT.of(lang)}</p>", *head_table(head, lang)]
    lines.append(f"<h2>{_CONTENTS.of(lang)}</h2>")
    names = "".join(f'<th scope="col">{c.of(lang)}</th>' for c in _COLUMNS)
    lines.append('<table class="contents">')
    lines.append(f"<thead><tr>{names}</tr></thead><tbody>")
    lines += [line for entry in entries for line in _row(entry, lang)]
    lines.append("</tbody></table>")
    lines += [f'<p class="note">{note.of(lang)}</p>' for note in (_SUMS, _ELSEWHERE)]
    lines += signature(lang)
    other = "en" if lang == "ja" else "ja"
    title = TITLE.of(other)
    lines.append(f'<p><a href="{name_of(other)}" hreflang="{other}">{title}</a></p>')
    return document(TITLE.of(lang), lines, lang)


def _row(entry: Entry, lang: str) -> Iterator[str]:
    links = "<br>".join(f'<a href="{f}">{f}</a>' for f in entry.files(lang))
    seen = _LOOK if entry.wrong else _MISSING if entry.missing else _NOTHING
    found = seen.of(lang)
    yield (
        f"<tr><td>{text_of(entry.title, lang)}<br>{links}</td>"
        f"<td>{text_of(entry.shows, lang)}</td>"
        f"<td>{entry.requirements}</td><td>{found}</td></tr>"
    )
