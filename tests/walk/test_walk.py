"""A site's life by the documents' own commands, on both engines.

What a chapter tells to type is taken out of it and typed; a command that is neither
typed nor on the list of what is left out ends the test.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import pyrage
import pytest

from bench.cards import numbers
from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.postgres_cluster import Cluster
from tests.places.site import ROOT
from tests.vault.commands.runbook import TEXT as RUNBOOK

from .document import Line, typed_lines
from .host import HEADING, Host, found

pytestmark = pytest.mark.faults

Kind = TypeVar("Kind")
DAY = "2026-11-23"
# What the reader has in the place of what stands in the documents.
STANDS_FOR = {
    f"anchor-{DAY}.json": "anchor.json",
    f"site-{DAY}.backup": "newest.backup",
    "/media/": "media/",
    "/var/lib/node_exporter/": "",
    "LOGIN_ID": "taro",
    "NEW_ADDRESS": "jiro@example.co.jp",
    "OLD_ADDRESS": "taro@example.co.jp",
    "FOLDER": "scanned",
}
# How a line may end otherwise than with 0, by its beginning: 1 where a check has
# something to say of a machine that is none of a site's.
ENDS = {
    "cardvault doctor": (0, 1),
    "cardvault report evidence": (0, 1),
    # No new root was being prepared; nobody has an app or a passkey.
    "cardvault root rotate --abandon": (0, 2),
    "flask --app wsgi operators reset-factors": (2,),
}
# What a line prints, by its beginning.
SAYS = {
    "cardvault verify": "cards opened, every row|no root key",
    "VAULT_ROOT_KEY=instance/root.key cardvault verify": "0 cards opened",
    "cardvault rotate --dry-run": "cards",
    "cardvault rotate": "keys? destroyed",
    "cardvault report rotation": "rotation",
    "cardvault audit list --event": "root.refused",
    "cardvault status": "(?m)^(generation|next)|cardvault_",
    "cardvault restore": "cards|made",
    "cardvault purge --expired-for 90 --dry-run": "0 cards",
    "cardvault purge --expired-for 90": "purged 0 cards",
    "cardvault root rotate --finalize": "mv ",
    "cardvault web-key rotate": "mv ",
    "flask --app wsgi cards reconcile": "every card has its customer",
    "flask --app wsgi cards update answer.csv": "1",
    "flask --app wsgi mail test": "taro@example.co.jp",
    "sha256sum": "OK",
}
SYSTEM = "accounts, packages, systemd and nginx of a whole machine: "
# Chapters, or the beginnings of lines, that nobody types here, and why.
LEFT_OUT = {
    "Install on Debian 12": f"{SYSTEM}tests/deploy/test_install.py",
    "Update, and the way back": f"{SYSTEM}tests/deploy/test_booted.py",
    "In a container": "nothing builds images here: tests/deploy/test_container.py",
    "Timers": f"{SYSTEM}tests/deploy/test_units.py",
    "systemctl enable --now cardsite-purge": f"{SYSTEM}tests/deploy/test_booted.py",
    "Where the root key comes from": "a KMS, a TPM and a password store",
    "Anchors that leave by themselves": (
        "a log host, an object store and a host elsewhere: "
        "tests/vault/commands/test_anchors.py has the command"
    ),
    "cardvault doctor --url": "a site with a real certificate at a public name",
    "make test": "the whole suite",
    ".venv-lint/bin/": "the scanners: tests/test_scanners.py",
    "cardvault rotate --join": (
        "another host that is asked while one rotates: tests/postgres/test_joining.py"
    ),
    "Put a row back": (
        "a row that is damaged: tests/vault/commands/test_runbook.py, "
        "tests/postgres/test_put_back.py"
    ),
    "The passphrase is forgotten": "tests/walk/test_worst_days.py",
    "The disk is full": "tests/walk/test_worst_days.py",
    "The database doesn't answer": "tests/walk/test_worst_days.py",
    "The wrong root key": "tests/walk/test_worst_days.py",
    "The clock is wrong": "tests/walk/test_worst_days.py",
    "The web key file is lost": "tests/walk/test_worst_days.py",
    "PostgreSQL: roles": "a server with TLS and roles: tests/postgres/test_roles_used.py",
    "A standby for PostgreSQL": "a second server: tests/postgres/test_promoted.py",
    "What PostgreSQL keeps": (
        "the owner's role: tests/postgres/test_roles_used.py; the vacuum is a command's "
        "own: tests/postgres/test_leavings.py"
    ),
}
ON_SQLITE = {
    "Backups on PostgreSQL": "the other engine",
    "cardvault rotate --workers": "the other engine",
}
ON_POSTGRESQL = {
    "Every day: a backup": "SQLite's backup, whose next step is the other chapter",
    "The disk died": "SQLite's restore",
    "cardvault backup after.backup": "SQLite's backup",
    "A backup medium": "SQLite's restore",
}


@dataclass
class Walk:
    """Somebody who goes through the documents on a host."""

    host: Host
    mails: Mails
    left_out: dict[str, str]
    typed: set[Line] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @property
    def on_sqlite(self) -> bool:
        """Whether the databases are files."""
        return not self.host.settings

    def go(
        self,
        heading: str,
        block: int = 0,
        between: Callable[[], None] = lambda: None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> list[str]:
        """Type a chapter's block; what each line printed."""
        lines = [
            one for one in typed_lines() if (one.heading, one.block) == (heading, block)
        ]
        assert lines, heading
        said = []
        for line in lines:
            if self.why_not(line):
                continue
            said.append(self.type(line.text, **more))
            self.typed.add(line)
            between()
        return said

    def named(self, heading: str, words: str) -> str:
        """Type what a chapter names in its text."""
        start = re.search(rf"^#+ {re.escape(heading)}$", RUNBOOK, re.M)
        assert start, heading
        assert f"`{words}" in RUNBOOK[start.end() :].split("\n## ")[0], words
        return self.type(words)

    def type(self, text: str, **more: str) -> str:
        """Type a line and keep it as wrong unless it ends and speaks as its document
        says."""
        said = self.host.type(text, **more)
        is_well = said.code in _of(ENDS, text, (0,))
        is_told = " > " in text or re.search(_of(SAYS, text, ""), said.text)
        if not (is_well and is_told):
            self.wrong.append(f"$ {text}\n{said.text}exit code {said.code}")
        return said.text

    def moved(self, said: str) -> None:
        """Put the new key files in place as a command printed."""
        moves = re.findall(r"mv [\w./]+ [\w./]+", said)
        assert moves
        for move in moves:
            self.type(move)

    def why_not(self, line: Line) -> str:
        """Why a line is left out; "" when it is not."""
        if line.heading in self.left_out:
            return self.left_out[line.heading]
        return _of(self.left_out, line.text, "")

    def over(self) -> list[Line]:
        """Every line that was neither typed nor left out."""
        return [
            line
            for line in typed_lines()
            if line not in self.typed and not self.why_not(line)
        ]


def _of(table: Mapping[str, Kind], text: str, otherwise: Kind) -> Kind:
    """What a table has for a line, by its longest beginning."""
    begun = [key for key in table if text.startswith(key)]
    return table[max(begun, key=len)] if begun else otherwise


def first_day(walk: Walk) -> None:
    """The README's first screen: keys, tables, an operator."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```console\n")[2].partition("```")[0]
    for line in re.findall(r"^\$ (.*)$", block, re.M):
        walk.type(line, VAULT_ROOT_KEY="")


def first_login(walk: Walk) -> None:
    """The operator logs in by a mailed code and registers a card."""
    desk = Desk(walk.host.place)
    desk.login("taro", walk.mails)
    led = desk.post("/cards", "/cards", customer_name="最初の客", **CARD)
    assert led.endswith("/registered")


def customers(walk: Walk) -> None:
    """A file of customers, the same file mended, and what a crash may leave."""
    path, spare = walk.host.folder / "customers.csv", iter(numbers(8))
    rows = [f"客{sign},090-0000-0000,{next(spare)},12,2040\n" for sign in "一二三"]
    path.write_text(HEADING + "".join(rows), encoding="utf-8")
    walk.go("Customers from a file", 0)
    rows.append(f"客四,090-0000-0000,{next(spare)},12,2040\n")
    path.write_text(HEADING + "".join(rows), encoding="utf-8")
    walk.host.well("rm results.csv")
    dry, real = walk.go("Customers from a file", 1)
    found(dry, "3 of them look stored already", "--skip-likely")
    assert "客四" in walk.host.customers(), real
    assert len(walk.host.customers()) == 5
    walk.go("Customers from a file", 2)


def billing(walk: Walk) -> None:
    """The list, the amounts of whoever bills, and the numbers beside them, which only
    the identity opens."""
    folder, heading = walk.host.folder, "Every month: the billing run"
    identity = pyrage.x25519.Identity.generate()
    walk.host.stands_for = {**STANDS_FOR, "age1...": str(identity.to_public())}
    walk.host.well("rm customers.csv")
    walk.go(heading, 0)
    masked = (folder / "customers.csv").read_text(encoding="utf-8-sig")
    token = re.findall(r"card_\w+", masked)[0]
    (folder / "amounts.csv").write_text(f"token,amount,order_no\n{token},1980,7\n")
    sealed: list[bytes] = []

    def take() -> None:
        sealed.append((folder / "nov.age").read_bytes())
        (folder / "nov.age").unlink()

    walk.go(heading, 1, take)
    walk.go(heading, 2, take)
    opened = [pyrage.decrypt(one, [identity]) for one in sealed]
    assert len(opened) == 3
    assert all(b"1980" in one for one in opened)
    answer = f"token,exp_month,exp_year\n{token},02,2041\n"
    (folder / "answer.csv").write_text(answer)
    _, taken = walk.go("Every month: the acquirer's answer")
    found(taken, "updated")


def proof(walk: Walk) -> None:
    """What a month asks for, and what an assessor and a monitor are given."""
    folder = walk.host.folder
    walk.type("cardvault audit anchor > anchors")
    walk.go("Every month: what is past retention")
    walk.go("Every month: proof", 0)
    walk.go("Every month: proof", 1)
    assert "ops@example.jp" in str(walk.mails.message("ops@example.jp"))
    (folder / "results").mkdir()
    walk.go("Evidence for the assessor", 1)
    walk.go("Evidence for the assessor", 2)

    def put_away() -> None:
        assert (folder / "evidence-2026" / "index.ja.html").exists()
        shutil.rmtree(folder / "evidence-2026")

    walk.go("Evidence for the assessor", 0, put_away)
    walk.go("Numbers for Prometheus")
    walk.go("The trail in a SIEM")
    (folder / "scanned").mkdir()
    (folder / "scanned" / "notes").write_text("nothing of the kind\n")
    walk.go("Every quarter: numbers where none should be")
    walk.go("Mail is dead: nobody can log in")


def year(walk: Walk) -> None:
    """The rotation, under the running site."""
    walk.go("Every year: rotation")
    walk.go("Rotation on several cores, several hosts", 0)


def keys(walk: Walk) -> None:
    """Shares, a new root with one given up before, and the web key, with the site
    stopped."""
    named = "Where the root key comes from"
    shares = walk.named(named, "cardvault root split --shares 3 --threshold 2")
    spoken = re.findall(r"^(?:[a-z]+ ){19,}[a-z]+$", shares, re.M)
    assert len(spoken) == 3
    two = "\n".join(spoken[1:])
    walk.type(
        f"printf '%s\\n' '{two}' | cardvault root check-shares", VAULT_ROOT_KEY=""
    )
    walk.type("cardvault root rotate")
    walk.go("The old root after a root rotation")
    prepared, finished = walk.go("A share is lost")
    assert prepared
    walk.moved(finished)
    walk.go("The root")


def restored(walk: Walk, there: Path) -> None:
    """A backup, a drill and another machine, on SQLite."""
    here = walk.host
    walk.go("Every day: a backup", 0)
    walk.host.well("cp media/backup/site-*.backup media/backup/newest.backup")
    walk.host.well("cp media/elsewhere/anchor-*.json anchor.json")
    drill = walk.go("Every day: a backup", 1)
    found(drill[0], "5 cards")
    names = ("instance/web.key", "instance/root.key", "media/backup/newest.backup")
    for name in (*names, "anchor.json"):
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here.folder / name, there / name)
    walk.host = Host(there, here.mail_port, here.settings, here.stands_for)
    walk.go("The disk died")
    assert walk.host.customers() == here.customers()
    walk.host = here


def restored_on_postgresql(walk: Walk, server: Cluster) -> None:
    """Both dumps, and two empty databases."""
    here, heading = walk.host, "Backups on PostgreSQL"
    plain = {name: url.replace("+psycopg", "") for name, url in here.settings.items()}
    dump = {
        "postgresql://site@db/site?sslmode=verify-full&sslrootcert=ca.crt": plain[
            "DATABASE_URL"
        ],
        "postgresql://vault@db/vault?sslmode=verify-full&sslrootcert=ca.crt": plain[
            "VAULT_DATABASE_URL"
        ],
    }
    walk.host.stands_for = {**here.stands_for, **dump}
    walk.go(heading, 0)
    with server.database("there") as site, server.database("vault_there") as vault:
        urls = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
        ends = {"SITE": site, "VAULT": vault}
        ends = {name: url.replace("+psycopg", "") for name, url in ends.items()}
        walk.go(heading, 1, more=urls | ends)


def bad_news(walk: Walk) -> None:
    """What is typed when something may be known to somebody, one after the other."""
    walk.type("cardvault audit anchor > anchor.json")
    walk.go("The web host or the web key")
    walk.go("A live data key")
    walk.go("The SECRET_KEY")
    walk.go("An age identity")
    walk.host.well("rm -f after.backup")
    if walk.on_sqlite:
        walk.go("A backup medium")
    walk.go("An operator's password")
    walk.go("A mail account")


def people(walk: Walk) -> None:
    """Who comes with an ID that is shared, and who leaves."""
    end = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    stands = {**walk.host.stands_for, "2026-12-31": end, "LOGIN_ID": "uketsuke"}
    walk.host.stands_for = stands
    walk.go("A shared login ID")
    walk.named("Somebody leaves", "flask --app wsgi operators disable LOGIN_ID")


def life(walk: Walk, server: Cluster | None, there: Path) -> None:
    """All of it."""
    for name in ("backup", "elsewhere", "usb"):
        (walk.host.folder / "media" / name).mkdir(parents=True)
    first_day(walk)
    with walk.host.place.serving():
        first_login(walk)
        customers(walk)
        billing(walk)
        proof(walk)
        year(walk)
    if server is None:
        restored(walk, there)
    else:
        restored_on_postgresql(walk, server)
    keys(walk)
    with walk.host.place.serving():
        # Not taro, who may ask for one code a minute.
        walk.host.place.add_operator("saburo")
        walk.mails.empty()
        Desk(walk.host.place).login("saburo", walk.mails)
    bad_news(walk)
    people(walk)


def test_a_sites_life_can_be_typed(
    engine: tuple[dict[str, str], Cluster | None],
    tmp_path: Path,
    mails: tuple[Mails, int],
) -> None:
    """From the first key to who leaves: every command of the documents ends as they
    say, but those of the list, which is printed."""
    settings, server = engine
    left_out = LEFT_OUT | (ON_SQLITE if server is None else ON_POSTGRESQL)
    folder = tmp_path / "host"
    folder.mkdir()
    host = Host(folder, mails[1], settings, STANDS_FOR)
    walk = Walk(host, mails[0], left_out)
    life(walk, server, tmp_path / "there")
    assert walk.wrong == []
    assert walk.over() == []
    reasons = Counter(walk.why_not(line) for line in typed_lines())
    for reason, count in reasons.items():
        if reason:
            sys.stdout.write(f"left out, {count} lines: {reason}\n")


@pytest.fixture(
    params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.postgres)]
)
def engine(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[dict[str, str], Cluster | None]]:
    """The settings of a site's databases, and their server if there is one."""
    if request.param == "SQLite":
        yield {}, None
        return
    server: Cluster = request.getfixturevalue("server")
    with server.database("walk") as site, server.database("walked") as vault:
        yield {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}, server


def test_what_is_left_out_is_there() -> None:
    """Each entry of the lists is of a chapter or line that stands in the runbook, and
    each test that is named in its place exists."""
    lines = typed_lines()
    for key, reason in (LEFT_OUT | ON_SQLITE | ON_POSTGRESQL).items():
        assert any(
            key == line.heading or line.text.startswith(key) for line in lines
        ), key
        for path in re.findall(r"tests/[\w/]+\.py", reason):
            assert (ROOT / path).exists(), path
