"""The runbook's recipes hold against somebody who laid things ready before."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.actors.reader import run
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect
from vault.store.schema import CARD, PURGED

from .runbook import NAMED, TEXT, Reader, chapter, kinds, lines_of, statements
from .shell import Shell
from .thief import (
    ATTACKS,
    ATTACKS_WITH_THE_ROOT,
    Thief,
    begin_another_trail,
    plant_rotation,
)

Attack = Callable[[Thief], None]
HOST, ROOT_KEY = "The web host or the web key", "The root"
SEALED = 5


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with an operator who has an app, a card purged, a rotation done, and a
    card newer than it; its backup, an anchor, and the database of before."""
    folder = tmp_path_factory.mktemp("kept")
    taro = "operators add taro --name 太郎 --email taro@example.co.jp"
    _type(folder, "cardvault init --no-passphrase")
    _type(folder, "flask --app wsgi migrate")
    _type(folder, f"flask --app wsgi {taro}")
    with closing(sqlite3.connect(folder / "instance" / "site.db")) as db:
        db.execute("INSERT INTO totp VALUES (1, x'00', 0, 0)")
        db.commit()
    _seal(folder, *[Expiry(2030, 1)] * (SEALED - 1), Expiry(2020, 1))
    _type(folder, "cardvault purge --expired-for 90")
    shutil.copy(folder / "instance" / "vault.db", folder / "older.db")
    _type(folder, "VAULT_ROOT_KEY=instance/root.key cardvault rotate")
    _seal(folder, Expiry(2030, 1))
    _type(folder, "cardvault audit anchor > anchor.json")
    _type(folder, "cardvault backup site.backup")
    return folder


def _type(folder: Path, line: str) -> None:
    done = run(line, folder)
    assert done.returncode == 0, done.stdout


def _seal(folder: Path, *expiries: Expiry) -> None:
    web_key = WebKey.read(folder / "instance" / "web.key")
    engine = connect(f"sqlite:///{folder}/instance/vault.db")
    vault, pan = Vault(web_key, engine, system_clock), Pan.parse("4810000000020000")
    for expiry in expiries:
        with engine.begin() as db:
            vault.tokenize(db, pan, expiry, Actor("taro", "192.0.2.1"))
    engine.dispose()


@pytest.fixture
def reader(empty: Shell, kept: Path) -> Reader:
    """The ops person, at a copy of that place."""
    shutil.copytree(kept, empty.folder, dirs_exist_ok=True)
    return Reader(empty)


def require_safe(reader: Reader, thief: Thief) -> None:
    """The thief opens nothing, of what is sealed from now on neither; every card is
    there, and everything verifies."""
    reader.shell.seal(1)
    assert thief.opened() == set()
    web_key = WebKey.read(reader.shell.folder / "instance" / "web.key")
    assert web_key.sealing_key not in thief.sealing_keys
    assert web_key.root.id not in {root.public.id for root in thief.roots}
    ran = reader.shell("verify")
    assert (ran.code, ran.out.split(",")[0]) == (0, f"{SEALED + 1} cards opened")


@pytest.mark.parametrize(
    ("attack", "named"),
    ATTACKS.items(),
    ids=[attack.__name__ for attack in ATTACKS],
)
def test_the_web_hosts_recipe_leaves_a_thief_nothing(
    reader: Reader, attack: Attack, named: list[str]
) -> None:
    """Whatever who has the web key laid ready: mended as the chapter says where it is
    named, all lines go through and the thief opens nothing."""
    thief = Thief(reader.shell)
    attack(thief)
    done = reader.follow(HOST)
    assert sorted(reader.mended) == sorted(named)
    # Before the rotation the trail may still say what the thief entered.
    assert done[0][1].code in (0, 1)
    assert [ran for ran in done[1:] if ran[1].code] == []
    require_safe(reader, thief)


def test_a_trail_begun_anew_is_given_up_for_the_backup(reader: Reader) -> None:
    """Nothing of it is mended: the backup in an empty place, then the same lines."""
    thief, folder = Thief(reader.shell), reader.shell.folder
    begin_another_trail(thief)
    assert "vault row" in NAMED.findall(reader.shell("verify").out)
    assert reader.shell("audit", "verify").code == 5
    for path in [*folder.glob("instance/*.db*")]:
        path.unlink()
    words = ("restore", "site.backup", "--anchor", "anchor.json")
    assert reader.shell(*words).code == 0
    assert [ran for ran in reader.follow(HOST) if ran[1].code] == []
    require_safe(reader, thief)


def test_what_was_laid_ready_would_open_cards(reader: Reader) -> None:
    """The thieves of these tests are real: with the root at hand they open them."""
    thief = Thief(reader.shell)
    ATTACKS_WITH_THE_ROOT[0](thief)
    reader.shell("rotate")
    assert len(thief.opened()) == SEALED


@pytest.mark.parametrize(
    "attack", ATTACKS_WITH_THE_ROOT, ids=lambda attack: attack.__name__
)
def test_the_roots_recipe_leaves_a_thief_nothing(
    reader: Reader, attack: Attack
) -> None:
    """Whatever who has the root made with the root's own mark."""
    thief = Thief(reader.shell)
    attack(thief)
    done = reader.follow(ROOT_KEY)
    assert done[0][1].code in (0, 2)  # 2: no new root was being prepared
    assert [ran for ran in done[1:] if ran[1].code] == []
    require_safe(reader, thief)


@pytest.mark.parametrize(
    "heading",
    [
        "A live data key",
        "The SECRET_KEY",
        "An age identity",
        "A mail account",
        "A backup medium",
        "An operator's password",
    ],
)
def test_every_other_recipe_can_be_typed(reader: Reader, heading: str) -> None:
    """Line by line, each exits 0."""
    done = reader.follow(heading)
    assert done
    assert [ran for _, ran in done if ran.code] == []


def test_every_row_of_the_table_leads_to_a_chapter() -> None:
    """Nine things that may get out, each with its recipe; every link of the runbook
    to a chapter of its own leads there."""
    table = chapter("Something may be known to somebody").partition("|---|")[2]
    rows = [row.split("|") for row in table.splitlines() if row.startswith("| ")]
    assert len(rows) == 9
    assert all(len(row) == 7 and "](#" in row[4] for row in rows)
    headings = re.findall(r"^#+ (.+)$", TEXT, re.M)
    slugs = {
        re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in headings
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) - slugs == set()


def test_each_kind_that_is_named_has_its_statements() -> None:
    """The table and the statements beside it name the same kinds of row."""
    files = {"web.key", "web.key.new", "root.key.new", "audit genesis"}
    for kind in kinds() - files:
        assert statements(kind).strip().endswith(";"), kind
    assert kinds() > files
    assert "\n## Not made by this vault's root\n" in TEXT


@pytest.fixture
def first(reader: Reader) -> str:
    """The token of the first card of all."""
    with reader.shell.open_vault().engine.connect() as db:
        query = select(CARD.c.token).where(CARD.c.id == 1)
        return str(db.execute(query).scalar_one())


@pytest.mark.parametrize(
    ("damage", "kind", "number"),
    [
        ("UPDATE audit_entry SET actor = 'jiro' WHERE seq = 3", "audit entry SEQ", "3"),
        ("DELETE FROM audit_entry WHERE seq = 4", "audit entry SEQ", "4"),
        ("UPDATE purged SET at = 7", "purge mark of TOKEN", "PURGED"),
        ("UPDATE data_key SET created_at = 7 WHERE id = 2", "data key N", "2"),
        ("UPDATE vault SET generation = 9", "vault row", ""),
        ("UPDATE card SET expiry = 204001 WHERE id = 1", "card TOKEN", "FIRST"),
        (
            "INSERT INTO rotation_range VALUES (7, 1, 9, 0, 0, 0, '', 0, x'00', x'00')",
            "rotation range N",
            "7",
        ),
        (
            "INSERT INTO quarantine VALUES (1, 'x', 1, 'x', 0, x'00', x'00')",
            "quarantine N",
            "1",
        ),
    ],
)
def test_a_row_is_put_back_from_a_backup(
    reader: Reader, first: str, damage: str, kind: str, number: str
) -> None:
    """Each statement of the chapter mends what verify named."""
    shell = reader.shell
    shell.edit(damage)
    assert shell("verify").code == 1
    reader.execute(kind, {"FIRST": first, "PURGED": _purged(shell)}.get(number, number))
    assert shell("verify").code == 0


def _purged(shell: Shell) -> str:
    """The token of the card that was purged."""
    with shell.open_vault().engine.connect() as db:
        return str(db.execute(select(PURGED.c.token)).scalar_one())


def test_a_planted_key_without_cards_goes_with_its_rotation(reader: Reader) -> None:
    """What no backup has; the database keeps a key that cards are under."""
    plant_rotation(Thief(reader.shell))
    reader.execute("vault row", "")
    reader.execute("data key N, under which no card is", "4")
    assert "not made" not in reader.shell("verify").out
    with pytest.raises(sqlite3.IntegrityError):
        reader.execute("data key N, under which no card is", "3")


def test_a_broken_trail_keeps_the_old_keys_until_it_is_mended(reader: Reader) -> None:
    """As the chapter says: the rotation exits 4, the copy of the entry in the backup is
    the entry, and the next rotation destroys the old keys."""
    shell = reader.shell
    shell.edit("UPDATE audit_entry SET actor = 'jiro' WHERE seq = 3")
    assert "audit entry 3 " in shell("audit", "verify").out
    ran = shell("rotate")
    assert (ran.code, "0 keys destroyed" in ran.out) == (4, True)
    reader.execute("audit entry SEQ", "3")
    assert shell("audit", "verify").code == 0
    ran = shell("rotate")
    assert (ran.code, "3 keys destroyed" in ran.out) == (0, True)


def test_an_entry_that_was_added_is_deleted(reader: Reader) -> None:
    """By the first of the two statements."""
    reader.shell.edit(
        "INSERT INTO audit_entry SELECT 999, at, actor, event, outcome, origin, subject, "
        "detail, mac FROM audit_entry WHERE seq = 3"
    )
    assert "audit entry 999 " in reader.shell("audit", "verify").out
    reader.execute("audit entry SEQ", "999")
    assert reader.shell("audit", "verify").code == 0


def test_the_cards_of_a_live_key_are_found(reader: Reader, first: str) -> None:
    """The two statements name the live keys and the cards under one; the comparison
    with the backup names what differs."""
    ask = re.findall(r"^SELECT .*;$", chapter("A live data key"), re.M)
    with closing(sqlite3.connect(reader.shell.folder / "instance" / "vault.db")) as db:
        ((number, _at),) = db.execute(ask[0]).fetchall()
        assert len(db.execute(ask[1].replace("K", str(number))).fetchall()) == 1
    reader.shell.edit("UPDATE card SET expiry = 204001 WHERE id = 1")
    for line in lines_of("Put a row back")[:2]:
        assert reader.type(line).code == 0
    ask = re.findall(r"^  (SELECT .*?;)$", chapter(HOST), re.M | re.S)
    with closing(sqlite3.connect(reader.shell.folder / "instance" / "vault.db")) as db:
        db.execute("ATTACH 'before/vault.db' AS before")
        assert [row[0] for row in db.execute(ask[0])] == [first]
