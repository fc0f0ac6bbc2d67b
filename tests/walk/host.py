"""A host on which the runbook's lines are typed as they stand."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.actors.reader import run
from tests.places.site import PASSWORD, Place
from tests.vault.commands.runbook import lines_of

# What stands in the runbook for something of the reader's own.
STANDS_FOR = {
    "/media/backup/site-2026-11-23.backup": "site.backup",
    "/media/backup/full.backup": "../full.backup",
    "anchor-2026-11-23.json": "anchor.json",
    "/media/usb/root.key": "joined.key",
    "/var/lib/cardsite": ".",
    "LOGIN_ID": "taro",
}
ADD = (
    f"echo '{PASSWORD}' | flask --app wsgi operators add taro --name 山田"
    " --email taro@example.co.jp --password-stdin --no-change"
)
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


@dataclass(frozen=True)
class Said:
    """What a line came to: its exit code, and all it printed in its order."""

    code: int
    text: str


@dataclass
class Host:
    """A folder with a site in ``instance``, and a shell in it; ``settings`` are
    exported before each line, ``stands_for`` is what the reader has in the place of the
    runbook's names."""

    folder: Path
    mail_port: int = 9
    settings: dict[str, str] = field(default_factory=dict)
    stands_for: Mapping[str, str] = field(default_factory=lambda: STANDS_FOR)

    @cached_property
    def place(self) -> Place:
        """The site of this host, to be served."""
        return Place(
            self.folder / "instance", mail_port=self.mail_port, more=self.settings
        )

    def type(self, line: str, **more: str) -> Said:
        """Type a line, with the root key's medium mounted."""
        for stands, meant in self.stands_for.items():
            line = line.replace(stands, meant)
        environ = {
            "VAULT_ROOT_KEY": "instance/root.key",
            "MAIL_PORT": str(self.mail_port),
            **self.settings,
            **more,
        }
        exported = "".join(f"export {k}='{v}'; " for k, v in environ.items() if v)
        done = run(exported + line, self.folder)
        return Said(done.returncode, done.stdout)

    def well(self, line: str, **more: str) -> str:
        """Type a line that has to end with 0; what it printed."""
        said = self.type(line, **more)
        assert said.code == 0, f"{line}\n{said.text}"
        return said.text

    def follow(self, heading: str, block: int = 0, **more: str) -> list[str]:
        """Type the lines of a chapter's block, each of which has to end with 0."""
        return [self.well(line, **more) for line in lines_of(heading, block)]

    def register(self, *names: str) -> None:
        """Take in customers by a file, each with a card."""
        rows = (f"{name},090-0000-0000,4810000000020000,01,2040\n" for name in names)
        (self.folder / "in.csv").write_text(HEADING + "".join(rows), encoding="utf-8")
        self.well("flask --app wsgi cards import in.csv")

    def customers(self) -> set[str]:
        """The names of all customers."""
        text = self.well("flask --app wsgi cards list --csv --no-bom")
        return {row["customer_name"] for row in csv.DictReader(io.StringIO(text))}


def found(text: str, *wanted: str) -> None:
    """Require that each of ``wanted`` is said."""
    for words in wanted:
        assert re.search(words, text), f"{words}\n{text}"


def found_site(host: Host) -> Host:
    """Make keys, tables and the operator taro."""
    for line in (
        "cardvault init --no-passphrase",
        "flask --app wsgi migrate",
        ADD,
    ):
        host.well(line)
    return host
