"""The runbook, docs/operations.md, as somebody who types what it says."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

from tests.actors.reader import run
from tests.places.site import ROOT

from .shell import Ran, Shell

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NAMED = re.compile(
    r"^(?:cardvault: error: )?(.+?)(?::|  ) ?(?:not made by this vault's root|"
    "lacks the mark of the root that retired it)$",
    re.M,
)
WORDS = {
    "LOGIN_ID": "taro",
    "OLD_ADDRESS": "taro@example.co.jp",
    "NEW_ADDRESS": "hanako@example.co.jp",
}
MOST_TIMES = 9
"""How often a line is typed again at most."""


def chapter(heading: str) -> str:
    """What stands under a heading, up to the next one of any kind."""
    found = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#)", TEXT + "#", re.M | re.S
    )
    assert found, heading
    return found[1]


def lines_of(heading: str, place: int = 0) -> list[str]:
    """The lines to type of a chapter's block number ``place``."""
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", chapter(heading), re.S)
    return blocks[place].splitlines()


def statements(kind: str) -> str:
    """What is executed for one kind of row, with N, TOKEN or SEQ in it."""
    block = re.findall(r"```sql\n(.*?)```", chapter("Put a row back"), re.S)[-1]
    found = re.search(rf"^-- {re.escape(kind)}\n(.*?)(?=^--|\Z)", block, re.M | re.S)
    assert found, kind
    return found[1]


def kinds() -> set[str]:
    """Everything that the table of what is named names."""
    table = chapter("Not made by this vault's root").partition("|---|")[2]
    first = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    return set(re.findall(r"`(.+?)`", " ".join(first)))


@dataclass
class Reader:
    """Types the runbook's lines in a folder, and mends what is named as it says."""

    shell: Shell
    mended: list[str] = field(default_factory=list)

    def type(self, line: str) -> Ran:
        """Type a line, as a shell would take it."""
        for word, stands_for in WORDS.items():
            line = line.replace(word, stands_for)
        command, _, file = line.partition(" > ")
        words = shlex.split(command)
        environ = dict(word.split("=", 1) for word in words if word[:6] in _SETTING)
        words = words[len(environ) :]
        if words[0] != "cardvault":
            done = run(line, self.shell.folder)
            return Ran(done.returncode, done.stdout, "")
        ran = self.shell(*words[1:], **environ)
        if file:
            (self.shell.folder / file).write_text(ran.out)
        return ran

    def follow(self, heading: str) -> list[tuple[str, Ran]]:
        """Type a recipe line by line; each again after mending what it named, and a
        rotation as long as it goes on with one."""
        return [(line, self._until_done(line)) for line in lines_of(heading)]

    def _until_done(self, line: str) -> Ran:
        for _ in range(MOST_TIMES):
            ran = self.type(line)
            named = NAMED.findall(ran.out + ran.err)
            for what in named:
                self.mend(what)
            if not named and "going on with rotation" not in ran.err:
                return ran
        raise AssertionError(f"{line}: {ran}")

    def mend(self, what: str) -> None:
        """Do what the table says of a row or file that the root didn't make."""
        again = what in self.mended
        self.mended.append(what)
        if what.endswith(".new"):
            self.type(f"mkdir -p aside && mv {what} aside/")
            return
        name, number = re.fullmatch(r"(.*?)(?: (\d+|card_\w+))?", what).groups()  # type: ignore[union-attr]
        kind = {"purge mark of": "purge mark of TOKEN", "vault row": "vault row"}
        ending = ", under which no card is" if again and name == "data key" else ""
        self.execute(kind.get(name, f"{name} N") + ending, number or "")

    def execute(self, kind: str, number: str) -> None:
        """Put a row back, or delete it, with the backup beside it."""
        if not (self.shell.folder / "before").exists():
            for line in lines_of("Put a row back")[:2]:
                assert self.type(line).code == 0, line
        script = re.sub(r"\b(N|TOKEN|SEQ)\b", number, statements(kind))
        path = self.shell.folder / "instance" / "vault.db"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(
                "PRAGMA foreign_keys = ON; ATTACH 'before/vault.db' AS before;"
            )
            db.executescript(f"BEGIN; {script} COMMIT;")


_SETTING = ("VAULT_", "DATABA")
