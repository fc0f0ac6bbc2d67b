"""Prints docs/manual.ja.md as docs/manual.ja.pdf: ``make manual`` runs it.

A cover, the contents with their page numbers, then every chapter on a new page.
Chromium does the printing.  docs/manual/printed.sha256 says of which text and which
pictures the PDF was made.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from markdown_it import MarkdownIt
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parent
MANUAL = DOCS / "manual.ja.md"
PRINTED = DOCS / "manual.ja.pdf"
MADE_OF = DOCS / "manual" / "printed.sha256"
EDITION = "第2.0版"
SITE = "オフィス24クレジットカード登録"
FRONT_PAGES = 2
"""The cover and the contents, a page each."""

STYLE = """
@page { size: A4; margin: 20mm 20mm 22mm; }
@page { @bottom-center { content: counter(page); font: 9pt "Noto Sans CJK JP"; } }
@page :first { @bottom-center { content: none; } }
html { font: 10.5pt/1.8 "Noto Sans CJK JP", sans-serif; color: #1f2328; }
body { margin: 0; }
h1 { font-size: 26pt; margin: 90mm 0 8mm; text-align: center; }
.cover p { text-align: center; margin: 0 0 4mm; }
.contents, .chapter { break-before: page; }
h2 { font-size: 16pt; border-bottom: 1pt solid #8c959f; margin: 0 0 6mm; }
h2, p:has(+ p img) { break-after: avoid; }
.contents p { display: flex; margin: 0 0 3mm; }
.contents i { flex: 1; border-bottom: 1pt dotted #8c959f; margin: 0 2mm 2mm; }
p { break-inside: avoid; margin: 0 0 3mm; }
img { display: block; max-width: 120mm; max-height: 92mm; margin: 1mm auto 4mm;
  border: .5pt solid #d0d7de; break-inside: avoid; }
ol, ul { padding-left: 6mm; margin: 0 0 4mm; }
"""


class Chapter(NamedTuple):
    """A chapter's heading as text, and the whole chapter as HTML."""

    title: str
    html: str


def chapters(text: str) -> list[Chapter]:
    """The chapters of the manual, each from its second-level heading to the next."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    written = MarkdownIt()
    return [
        Chapter(part.splitlines()[0].strip(), written.render(f"## {part}"))
        for part in parts
    ]


def pictures(text: str) -> list[str]:
    """The pictures the manual shows, as paths from its folder, in its order."""
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)


def made_of() -> Iterator[str]:
    """A line for the text and for each picture, as ``sha256sum`` writes it."""
    names = [MANUAL.name, *pictures(MANUAL.read_text(encoding="utf-8"))]
    for name in names:
        yield f"{hashlib.sha256((DOCS / name).read_bytes()).hexdigest()}  {name}"


def document(found: list[Chapter], pages: list[int]) -> str:
    """The whole manual as HTML; ``pages`` has the first page of each chapter."""
    lines = "".join(
        f"<p><span>{escape(chapter.title)}</span><i></i><span>{page}</span></p>"
        for chapter, page in zip(found, pages, strict=True)
    )
    cover = f"<h1>クレジットカード登録マニュアル</h1><p>{SITE}</p><p>{EDITION}</p>"
    body = f'<div class="cover">{cover}</div>'
    body += f'<div class="contents"><h2>目次</h2>{lines}</div>'
    return body + "".join(_on_new_page(chapter) for chapter in found)


def _on_new_page(chapter: Chapter) -> str:
    return f'<div class="chapter">{chapter.html}</div>'


def printed(page: Page, body: str, folder: Path) -> bytes:
    """The PDF of a document with this body; pictures are looked for beside the manual."""
    path = folder / "manual.html"
    head = f'<meta charset="utf-8"><base href="{DOCS.as_uri()}/"><style>{STYLE}</style>'
    title = f"<title>{SITE}マニュアル {EDITION}</title>"
    path.write_text(
        f'<!doctype html><html lang="ja"><head>{head}{title}</head>{body}</html>',
        encoding="utf-8",
    )
    page.goto(path.as_uri())
    return page.pdf(prefer_css_page_size=True, outline=True, tagged=True)


def count_pages(pdf: bytes) -> int:
    """How many pages a PDF of Chromium has."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def main() -> None:
    """Print the manual, and write down what it was made of."""
    found = chapters(MANUAL.read_text(encoding="utf-8"))
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        starts, following = [], FRONT_PAGES + 1
        for chapter in found:
            starts.append(following)
            alone = printed(page, _on_new_page(chapter), Path(folder))
            following += count_pages(alone)
        pdf = printed(page, document(found, starts), Path(folder))
        browser.close()
    if count_pages(pdf) != following - 1:
        raise SystemExit(
            f"the manual has {count_pages(pdf)} pages, its contents say {following - 1}"
        )
    PRINTED.write_bytes(pdf)
    MADE_OF.write_text("".join(f"{line}\n" for line in made_of()), encoding="utf-8")


if __name__ == "__main__":
    main()
