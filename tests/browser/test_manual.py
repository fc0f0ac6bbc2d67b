"""The printed manual, page by page, with the script and without it."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.operator_browser import ARTEFACTS, Desk, Site, files_of
from tests.places.site import ROOT
from tests.spellings import holders

from .manual import NUMBER, SECOND, delete, edit, log_in, register

DOCS = ROOT / "docs"
# What differs from day to day: dates, times, and the number of the test's operator.
CHANGING = re.compile(r"\d{4}/\d\d/\d\d|\d\d:\d\d|(?<=operator)\d+")


@pytest.mark.parametrize(
    "scripts", [True, False], ids=["with-script", "without-script"]
)
def test_the_manual_works_as_printed(
    new_desk: Callable[..., Desk], site: Site, scripts: bool
) -> None:
    """Log in, register, edit name, expiry and number, delete, log out."""
    desk = new_desk(scripts=scripts)
    log_in(desk, site)
    register(desk)
    edit(desk)
    delete(desk)
    desk.press("ログアウト")
    assert "ログアウトしました。" in desk.text()
    desk.look("logged-out")
    assert desk.wrong == []
    assert NUMBER.encode() not in b"".join(desk.bodies)
    words = [
        "登録します。",
        "変更します。",
        "変更します。",
        "変更します。",
        "削除します。",
    ]
    asked = [f"{word}よろしいですか？" for word in words]
    assert desk.dialogs == (asked if scripts else [])
    if scripts:
        _the_pictures_show_what_was_seen(desk)
    _nothing_keeps_the_number(site)
    _the_vault_is_whole(site)


def _the_pictures_show_what_was_seen(desk: Desk) -> None:
    """The text of each page in the manual is that of the page its picture was taken of.
    ``make manual`` names the folder that new pictures and their texts go to."""
    anew = os.environ.get("MANUAL_PICTURES")
    manual = (DOCS / "manual.ja.md").read_text(encoding="utf-8")
    for picture in re.findall(r"manual/([\w-]+\.png)", manual):
        kept = DOCS / "manual" / picture
        shown = CHANGING.sub("…", desk.read[picture]) + "\n"
        if anew:
            shutil.copy(ARTEFACTS / desk.name / picture, Path(anew) / picture)
            (Path(anew) / kept.with_suffix(".txt").name).write_text(shown, "utf-8")
        else:
            was = kept.with_suffix(".txt").read_text(encoding="utf-8")
            assert shown == was, f"{picture} is older than the page; run: make manual"


def _nothing_keeps_the_number(site: Site) -> None:
    kept = {path.name: path.read_bytes() for path in files_of(site.place)}
    kept |= {f"mail {n}": raw for n, raw in enumerate(site.mails.kept)}
    assert holders(kept, NUMBER, SECOND) == []


def _the_vault_is_whole(site: Site) -> None:
    verified = site.place.ops("verify")
    assert verified.returncode == 0, verified.stdout
    assert "generation  1" in site.place.ops("status").stdout
    assert site.place.ops("audit", "verify").returncode == 0


def test_an_edited_trail_is_found(site: Site, new_desk: Callable[..., Desk]) -> None:
    """One changed entry, and audit verify names it and exits 1."""
    new_desk().login()
    path = site.place.folder / "vault.db"
    with sqlite3.connect(path) as db:
        seq, actor = db.execute(
            "SELECT seq, actor FROM audit_entry WHERE event = 'login.password'"
        ).fetchone()
        db.execute("UPDATE audit_entry SET actor = 'nobody' WHERE seq = ?", (seq,))
        db.commit()
        checked = site.place.ops("audit", "verify")
        db.execute("UPDATE audit_entry SET actor = ? WHERE seq = ?", (actor, seq))
    db.close()
    assert checked.returncode == 1
    assert f"audit entry {seq}" in checked.stdout
    assert site.place.ops("audit", "verify").returncode == 0
