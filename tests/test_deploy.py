"""The units of the purge: a mail goes before it, and without the mail nothing goes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.places.site import Place
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import DAY_SECONDS, system_clock
from vault.store.database import connect

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
MARK = "/var/lib/cardsite/purge.notice"
MINUTE = 60


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with two cards that expired long ago and a good one."""
    place = Place(tmp_path).make()
    vault = Vault(
        WebKey.read(tmp_path / "web.key"),
        connect(f"sqlite:///{tmp_path}/vault.db"),
        system_clock,
    )
    pan, by = Pan.parse("4810000000020000"), Actor("taro", "192.0.2.1")
    cards = [(pan, Expiry(2020, 1))] * 2 + [(pan, Expiry(2040, 1))]
    with vault.engine.begin() as db:
        vault.tokenize_many(db, cards, by)
    vault.engine.dispose()
    return place


def notice(place: Place, sendmail: str, **more: str) -> int:
    """Run the notice as its unit does, with ``sendmail`` as the system's; its code."""
    bin_ = place.folder / "bin"
    bin_.mkdir(exist_ok=True)
    (bin_ / "sendmail").write_text(f"#!/bin/sh\n{sendmail}\n")
    (bin_ / "sendmail").chmod(0o700)
    environ = place.environ(**more)
    environ["PATH"] = f"{bin_}:{Path(sys.executable).parent}:/usr/bin:/bin"
    words = ["90", "ops@example.jp", str(place.folder / "mark")]
    done = subprocess.run(
        [str(DEPLOY / "purge-notice"), *words],
        env=environ,
        cwd=place.folder,
        check=False,
        timeout=180,
    )
    return done.returncode


def test_the_notice_mails_what_the_purge_will_delete(place: Place) -> None:
    """To whom it says, with each card's mask and token, and leaves the mark."""
    assert (
        notice(place, f"cat >{place.folder}/mail; echo $* >{place.folder}/words") == 0
    )
    head, _, body = (place.folder / "mail").read_text().partition("\n\n")
    assert "To: ops@example.jp\nSubject: cards to be purged in a week\n" in head
    assert body.count("card_") == 2
    assert body.count("48**-****-****-0000  01/2020") == 2
    assert "would purge 2 cards in 7 days; nothing was changed" in body
    assert (place.folder / "words").read_text() == "-t\n"
    assert (place.folder / "mark").exists()


@pytest.mark.parametrize("failing", ["mail", "list"])
def test_without_its_mail_the_notice_leaves_no_mark(place: Place, failing: str) -> None:
    """The server takes nothing; the vault can't be read, which is mailed."""
    if failing == "mail":
        assert notice(place, "cat >/dev/null; exit 75") == 75
    else:
        code = notice(
            place, f"cat >{place.folder}/mail", VAULT_WEB_KEY="/nowhere/web.key"
        )
        assert code == 2
        mail = (place.folder / "mail").read_text()
        assert "Subject: the cards to be purged could not be listed\n" in mail
        assert "/nowhere/web.key is not there" in mail
    assert not (place.folder / "mark").exists()


def _lines(unit: str, name: str) -> list[str]:
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    found = [line.partition("=") for line in text.splitlines()]
    return [value for key, _, value in found if key == name]


@pytest.mark.parametrize(
    ("age", "goes"),
    [
        (None, False),
        (0, False),
        (6 * DAY_SECONDS - MINUTE, False),
        (7 * DAY_SECONDS - MINUTE, True),
        (7 * DAY_SECONDS + MINUTE, True),
        (8 * DAY_SECONDS + MINUTE, False),
        (365 * DAY_SECONDS, False),
        (-7 * DAY_SECONDS, False),
    ],
)
def test_the_purge_runs_a_week_after_its_notice_alone(
    tmp_path: Path, age: int | None, goes: bool
) -> None:
    """No notice, one of today, of another month or of a clock that was ahead: none."""
    mark = tmp_path / "mark"
    if age is not None:
        mark.touch()
        os.utime(mark, (time.time() - age,) * 2)
    (check,) = _lines("cardsite-purge.service", "ExecStartPre")
    words = shlex.split(check.replace(MARK, str(mark)))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is goes
    assert ("nothing was deleted" in done.stderr) is not goes


def test_both_units_ask_for_the_same_cards() -> None:
    """The same days, the same databases, a week to the second apart; the mark goes when
    it was used."""
    notice_, purge = "cardsite-purge-notice", "cardsite-purge"
    assert _lines(f"{notice_}.timer", "OnCalendar") == ["*-*-01 10:00"]
    assert _lines(f"{purge}.timer", "OnCalendar") == ["*-*-08 10:00"]
    days = [
        [word for line in _lines(unit, "Environment") for word in line.split()]
        for unit in (f"{notice_}.service", f"{purge}.service")
    ]
    assert set(days[0]) - set(days[1]) == {"PURGE_MAIL=root"}
    assert "PURGE_DAYS=90" in days[1]
    assert "${PURGE_DAYS}" in _lines(f"{notice_}.service", "ExecStart")[0]
    assert _lines(f"{purge}.service", "ExecStart") == [
        "/srv/cardsite/.venv/bin/cardvault purge --expired-for ${PURGE_DAYS}"
    ]
    assert _lines(f"{purge}.service", "ExecStartPost") == [f"/bin/rm {MARK}"]
    assert all(
        "Persistent" not in (DEPLOY / f"{u}.timer").read_text() for u in (purge,)
    )
