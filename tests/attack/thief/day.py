"""A day of the ops person's: every command there is, with the thief looking on."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
from sqlalchemy import select, text

from vault.store.key_file import write_private
from vault.store.schema import METADATA

from .house import PASSPHRASE, House, Ran
from .thief import Thief

# What the trail's two tables hold grows with each attempt, refused ones too.
GROWING = ("audit_entry", "audit_head")
NOT_MADE = "not made by this vault's root"
EXIT_REFUSED = 5
# 0 done; 1 found; 2 a file in the way; 4 cards left out; 5 refused; 7 cards left.
CODES = (0, 1, 2, 4, EXIT_REFUSED, 7)
PUT_IN_PLACE = "put the new files in place"
LOSE_THE_WEB_KEY = "lose the web key"
SEALED = {"VAULT_ROOT_PASSPHRASE_FILE": "safe/word"}
ELSEWHERE = {
    "VAULT_DATABASE_URL": "sqlite:///elsewhere/vault.db",
    "DATABASE_URL": "sqlite:///elsewhere/site.db",
}


@dataclass(frozen=True)
class Step:
    """One command as it is typed, with what is given to it."""

    words: tuple[str, ...]
    given: str = ""
    environ: dict[str, str] = field(default_factory=dict)


def looking(shares: str) -> list[Step]:
    """What changes no card and no key."""
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    words = "--recipient", recipient, "--reason", "billing", "--out", "safe/day.age"
    return [
        Step(("status",)),
        Step(("doctor",)),
        Step(("verify",)),
        Step(("audit", "verify")),
        Step(("audit", "verify", "--anchor", "safe/anchor")),
        Step(("audit", "list")),
        Step(("audit", "anchor")),
        Step(("rotate", "--dry-run")),
        Step(("report", "rotation")),
        Step(("report", "evidence", "--out", "safe/evidence")),
        Step(("duplicates",)),
        Step(("quarantine", "list")),
        Step(("purge", "--expired-for", "90", "--dry-run")),
        Step(("root", "check-shares"), given=shares),
        Step(("root", "join", "--out", "safe/joined.key"), shares, SEALED),
        Step(("export", *words)),
        Step(("backup", "safe/day.backup")),
        Step(("restore", "safe/day.backup", "--drill")),
        Step(("restore", "safe/day.backup"), environ=ELSEWHERE),
        Step(("init", "--no-passphrase")),
        Step(("pan-scan", ".")),
    ]


def changing(token: str) -> list[Step]:
    """What re-encrypts, rewraps, signs or destroys."""
    return [
        Step(("rotate",)),
        Step(("rotate", "--reason", "breach"), environ=ELSEWHERE),
        Step(("report", "rotation", "2")),
        Step(("rotate", "--join")),
        Step(("root", "rotate")),
        Step(("root", "rotate", "--finalize")),
        Step((PUT_IN_PLACE,)),
        Step(("web-key", "rotate")),
        Step((PUT_IN_PLACE,)),
        Step(("root", "rotate")),
        Step(("root", "rotate", "--abandon")),
        Step(("root", "split", "--shares", "3", "--threshold", "2")),
        Step(("quarantine", "drop", token, "--reason", "no backup has it")),
        Step(("purge", "--expired-for", "90")),
        Step(("verify",)),
        Step((LOSE_THE_WEB_KEY,)),
        Step(("web-key", "recover")),
        Step(("root", "passphrase"), given=f"{PASSPHRASE}\n"),
    ]


class Day:
    """Runs every command on a robbed house and looks each time at what it came to.

    ``ran`` has each command's first run by its words, ``last`` its last.
    """

    def __init__(self, house: House, thief: Thief) -> None:
        self._house = house
        self._thief = thief
        self.ran: dict[str, Ran] = {}
        self.last: dict[str, Ran] = {}
        self._said = ""
        self._lost = b""

    def live(self, prepared: bool = False) -> Day:
        """Go through the whole day; ``prepared`` when a new root was prepared before
        it, which is finalized first then."""
        early = [Step(("root", "rotate", "--finalize"))] if prepared else []
        steps = looking(self._house.shares()), early, changing(self._token())
        for step in (step for part in steps for step in part):
            self._take(step)
        assert self._thief.opened_anywhere() == []
        return self

    def _token(self) -> str:
        return str(self._house.tokens()["old"])

    def _take(self, step: Step) -> None:
        if step.words == (PUT_IN_PLACE,):
            self._house.put_in_place(self._said)
            return
        if step.words == (LOSE_THE_WEB_KEY,):
            self._lost = self._house.web_path.read_bytes()
            self._house.web_path.unlink()
            return
        if step.environ and not self._house.is_restored and step.words[0] == "rotate":
            return
        before = _standing(self._house)
        ran = self._house.run(*step.words, given=step.given, **step.environ)
        self.ran.setdefault(_name(step), ran)
        self.last[_name(step)] = ran
        self._said = ran.out if ran.code == 0 else ""
        assert ran.code in CODES, ran
        if ran.code == EXIT_REFUSED:
            assert _standing(self._house) == before, ran
        if self._lost and not self._house.web_path.exists():
            # It was refused, and what comes next needs the web key.
            write_private(self._house.web_path, self._lost.decode())
        opened = self._thief.opened()
        assert opened == [], f"after {ran} the thief reads {opened}"

    def names(self, words: str, code: int, *texts: str) -> None:
        """Require that a command ended with ``code`` and said ``texts``."""
        ran = self.ran[words]
        assert ran.code == code, ran
        for said in texts:
            assert said in ran.said, ran


def _name(step: Step) -> str:
    """The words of a step, without those that differ from day to day."""
    long = {"export": 1, "quarantine": 2}
    words = step.words[: long.get(step.words[0])]
    elsewhere = ("elsewhere",) if step.environ else ()
    return " ".join((*words, *elsewhere))


def _standing(house: House) -> dict[str, str]:
    """Every table's rows but the trail's, and every file, as one digest each."""
    if house.url.startswith("sqlite"):
        standing = _tables(house.folder / "instance/vault.db")
    else:
        standing = _rows(house)
    for folder in ("instance", "safe", "elsewhere"):
        for path in sorted((house.folder / folder).glob("*")):
            if ".db" not in path.name and path.is_file():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                standing[f"{folder}/{path.name}"] = digest
    return standing


def _rows(house: House) -> dict[str, str]:
    with house.engine() as engine, engine.connect() as db:
        return {
            table.name: repr(db.execute(select(table).order_by(text("1"))).all())
            for table in METADATA.sorted_tables
            if table.name not in GROWING
        }


def _tables(place: Path) -> dict[str, str]:
    with closing(sqlite3.connect(place)) as db:
        db.text_factory = bytes
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = [row[0].decode() for row in db.execute(query)]
        return {
            name: repr(db.execute(f"SELECT * FROM {name}").fetchall())
            for name in names
            if name not in GROWING
        }
