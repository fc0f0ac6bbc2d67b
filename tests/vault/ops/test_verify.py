"""Verification finds what is wrong, all of it and nothing else, whatever stands there."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, insert, inspect

from tests.places.vault import NOON, FakeClock, VaultPlace
from vault import Actor, Expiry, Pan, Token, WebKey, errors
from vault.ops import RootKey
from vault.ops.purge import Purge
from vault.ops.rotation.start import take_up
from vault.ops.verify import _Verification
from vault.store.database import connect
from vault.store.schema import (
    AUDIT_ENTRY,
    AUDIT_HEAD,
    CARD,
    DATA_KEY,
    METADATA,
    PURGED,
    QUARANTINE,
    ROTATION,
    ROTATION_RANGE,
    VAULT,
)
from vault.store.sqlite import checkpoint
from vault.trail import Chain

OPS = Actor("ops", "command")
HARMED = 1_000
# The vault has one row of these, so each try is a vault of its own.
SINGLE = (VAULT, AUDIT_HEAD)


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory,
    keys: tuple[WebKey, RootKey],
    founded: Path,
) -> Path:
    """The file of a vault with over a thousand rows of every table that can have them,
    to be copied."""
    folder = tmp_path_factory.mktemp("full")
    url = f"sqlite:///{shutil.copy(founded, folder / 'vault.db')}"
    place = VaultPlace(folder, url, *keys, connect(url), FakeClock())
    _fill(place)
    checkpoint(place.engine)
    place.engine.dispose()
    return folder / "vault.db"


@pytest.fixture
def full(place: VaultPlace, filled: Path) -> VaultPlace:
    """A copy of it of a test's own."""
    shutil.copy(filled, place.folder / "vault.db")
    return place


def _fill(place: VaultPlace) -> None:
    vault, ops = place.vault(), place.open_vault()
    pans = [Pan.parse("4810000000020000")] * 1_200
    with place.engine.begin() as db:
        vault.tokenize_many(db, [(pan, Expiry(2020, 1)) for pan in pans[:1_100]], OPS)
    for _ in Purge(vault, 90).run(OPS):
        pass
    with place.engine.begin() as db:
        vault.tokenize_many(db, [(pan, Expiry(2030, 1)) for pan in pans], OPS)
    rotation = take_up(ops, OPS, "yearly")
    for steps in (rotation.reencrypt(500), rotation.read_back()):
        for _ in steps:
            pass
    rotation.finish(OPS)
    with place.engine.begin() as db:
        for _ in range(1_050):
            ops.mint_key(db, 2, OPS, seals=0)
        made = [(ROTATION_RANGE, _range), (QUARANTINE, _quarantined)]
        for table, row in made:
            rows = [ops.signer.signed(table, row(n)) for n in range(1, 1_051)]
            db.execute(insert(table), rows)
        _add_rotations(place, db)
    assert place.findings() == {}


def _range(number: int) -> dict[str, object]:
    zero = ("card_cursor", "reencrypted", "newer")
    facts = {"id": number, "rotation_id": 1, "last_card": 9, "lease": ""}
    return {**facts, "lease_at": NOON, **dict.fromkeys(zero, 0)}


def _quarantined(number: int) -> dict[str, object]:
    facts = {"card_id": number, "token": "card_x", "rotation_id": 1}
    return {**facts, "problem": "can't be opened", "found_at": NOON}


def _add_rotations(place: VaultPlace, db: Connection) -> None:
    """A thousand finished rotations, as the trail tells of them."""
    ops = place.open_vault()
    for number in range(2, 1_052):
        zero = ("card_cursor", "reencrypted", "newer", "quarantined", "read_back")
        row = {
            **dict.fromkeys(zero, 0),
            "id": number,
            "state": "finished",
            "actor": "ops",
            "reason": "",
            "generation": 2,
            "data_key_id": 1,
            "started_at": NOON,
            "finished_at": NOON,
            "keys_destroyed": 0,
            "census_before": "{}",
            "census_after": "{}",
            "audit_seq": 1,
            "lease": "",
            "lease_at": NOON,
        }
        db.execute(insert(ROTATION), ops.signer.signed(ROTATION, row))
        for event in ("rotation.started", "rotation.finished"):
            ops.record(db, event, OPS, subject=f"rotation {number}")


def test_every_table_there_is_is_checked(place: VaultPlace) -> None:
    """A table added tomorrow is checked, or this fails."""
    with place.engine.connect() as db:
        checked = set(_Verification(place.open_vault(), db)._checks())
        there = set(inspect(db).get_table_names())
    by_the_chain = {AUDIT_ENTRY, AUDIT_HEAD}
    assert {t.name for t in checked | by_the_chain} == set(METADATA.tables)
    assert there - {"alembic_version_vault"} == set(METADATA.tables)


@pytest.mark.parametrize(
    "table", [t for t in METADATA.sorted_tables if t not in SINGLE], ids=str
)
def test_a_thousand_rows_overwritten_with_anything_are_named_and_no_other(
    full: VaultPlace, table: Table
) -> None:
    """A random column of each, a random value of a random SQLite type."""
    draw = random.Random(table.name)
    named = _named(full, table.name)
    identity = next(iter(table.primary_key.columns)).name
    # The column a row is named by is tried below: it has no name then.
    columns = [c.name for c in table.columns if c.name not in (identity, "token")]
    with closing(_raw(full)) as raw:
        rowids = [row[0] for row in raw.execute(f"SELECT rowid FROM {table}")]
        harmed = draw.sample(rowids, HARMED)
        for rowid in harmed:
            _overwrite(raw, draw, table.name, draw.choice(columns), rowid)
    # A key that lost what it is wrapped in opens none of its cards.
    named_too = set() if table is not DATA_KEY else {"card"}
    found = {name for name in full.findings() if name.split("_")[0] not in named_too}
    assert found == {named[rowid] for rowid in harmed}


@pytest.mark.parametrize("table", [t.name for t in SINGLE])
def test_the_single_rows_are_named_whatever_stands_in_them(
    place: VaultPlace, table: str
) -> None:
    """Each column in turn, each type; the cards are checked all the same."""
    draw = random.Random(table)
    with place.engine.begin() as db:
        card = place.vault().tokenize(
            db, Pan.parse("4810000000020000"), Expiry(2030, 1), OPS
        )
    with closing(_raw(place)) as raw:
        good = raw.execute(f"SELECT * FROM {table}").fetchone()
        raw.execute("UPDATE card SET last4 = '9999'")
        columns = [c.name for c in METADATA.tables[table].columns if c.name != "id"]
        for column in columns:
            for _ in range(12):
                _overwrite(raw, draw, table, column, 1)
                found = place.findings()
                assert {table.replace("vault", "vault row").replace("_", " ")} <= set(
                    found
                ) | {"audit genesis"}, column
                assert card in found
                marks = ", ".join("?" * len(good))
                raw.execute(f"REPLACE INTO {table} VALUES ({marks})", good)


@pytest.mark.parametrize(
    ("table", "column"), [(CARD, "token"), (PURGED, "token"), (CARD, "id")]
)
def test_a_row_that_lost_its_name_is_named_by_another(
    full: VaultPlace, table: Table, column: str
) -> None:
    """By its number or by what stands there; what it was is missing."""
    with closing(_raw(full)) as raw:
        rowid, token = raw.execute(f"SELECT rowid, token FROM {table}").fetchone()
        values = (b"\xff\x00A", "x\x1b[2K", None, 7, 2.5)
        for value in (-5, 2**60) if column == "id" else values:
            change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            raw.execute(change, (value, rowid))
            rowid = value if column == "id" else rowid
            found = full.findings()
            assert 1 <= len(found) <= 2, (value, found)
            if column == "token":
                assert any(token in subject for subject in found)


def test_a_trail_that_says_nonsense_under_a_right_mac_is_named(
    place: VaultPlace,
) -> None:
    """Whoever has the web key can write any entry; none of them ends a check."""
    vault = place.vault()
    details: list[tuple[str, dict[str, object]]] = [
        ("card.registered", {}),
        ("card.registered", {"rev": "1"}),
        ("card.re-encrypted", {"cards": ["card_x"]}),
        ("card.re-encrypted", {"cards": {"card_x": "two"}}),
        ("rotation.started", {"generation": "2"}),
        ("card.purged", {"cards": 3}),
    ]
    for event, detail in details:
        with place.engine.begin() as db:
            vault.record(db, event, OPS, subject="rotation 9", detail=detail)
        assert place.findings() != {}, (event, detail)


def test_an_entry_far_ahead_is_named_at_once(place: VaultPlace) -> None:
    """Its number makes nobody count up to it."""
    with closing(_raw(place)) as raw:
        raw.execute(
            "INSERT INTO audit_entry SELECT 9000000000000000000, at, actor, event, "
            "outcome, origin, subject, detail, mac FROM audit_entry LIMIT 1"
        )
    assert list(place.findings()) == ["audit entry 9000000000000000000"]


def test_the_chain_goes_on_after_a_bad_entry(
    place: VaultPlace, register: Callable[..., Token]
) -> None:
    """The entries after it are checked as before, and a second bad one is named."""
    for _ in range(4):
        register()
    with place.engine.begin() as db:
        db.exec_driver_sql("UPDATE audit_entry SET actor = 'x' WHERE seq IN (2, 4)")
        db.exec_driver_sql("DELETE FROM audit_entry WHERE seq IN (5, 6)")
    ops = place.open_vault()
    with place.engine.connect() as db:
        chain = Chain(ops.web_key.vault_id, ops.genesis(db))
        walked = list(chain.walk(db, ops.trail))
    bad = [str(f) for f in walked if isinstance(f, errors.IntegrityFault)]
    assert bad == [
        "audit entry 2: is not as it was written",
        "audit entry 4: is not as it was written",
        "audit entry 5: is missing, with those up to 6",
    ]
    assert len(walked) > len(bad)


@pytest.mark.parametrize("how", ["older", "deleted"])
@pytest.mark.parametrize("then", ["left", "edited", "rotated"])
def test_a_row_put_back_stays_named(
    place: VaultPlace, register: Callable[..., Token], how: str, then: str
) -> None:
    """To its older version or after its deletion; changing it by the program's own
    ways afterwards, an edit or a rotation, makes it no better."""
    token, vault = register(), place.vault()
    with closing(_raw(place)) as raw:
        old = raw.execute("SELECT * FROM card").fetchone()
        with place.engine.begin() as db:
            if how == "older":
                vault.set_expiry(db, token, Expiry(2031, 1), OPS)
            else:
                vault.delete(db, token, OPS)
        raw.execute("DELETE FROM card")
        raw.execute(f"INSERT INTO card VALUES ({', '.join('?' * len(old))})", old)
    if then == "edited":
        with place.engine.begin() as db:
            vault.set_expiry(db, token, Expiry(2032, 1), OPS)
    if then == "rotated":
        rotation = take_up(place.open_vault(), OPS, "")
        for steps in (rotation.reencrypt(10), rotation.read_back()):
            for _ in steps:
                pass
        rotation.finish(OPS)
        assert rotation.row["quarantined"] == 1
        assert rotation.row["keys_destroyed"] == 0
    assert token in place.findings()


def _named(place: VaultPlace, table: str) -> dict[int, str]:
    """What each row is called, by its rowid."""
    with closing(_raw(place)) as raw:
        raw.row_factory = sqlite3.Row
        rows = raw.execute(f"SELECT rowid AS rowid_, * FROM {table}").fetchall()
    return {row["rowid_"]: _name(table, row) for row in rows}


def _name(table: str, row: sqlite3.Row) -> str:
    if table == "card":
        return str(row["token"])
    if table == "purged":
        return f"purge mark of {row['token']}"
    number = row["id"] if "id" in row.keys() else row[1]  # noqa: SIM118
    return f"{table.replace('_', ' ')} {number}"


def _raw(place: VaultPlace) -> sqlite3.Connection:
    """A connection that nothing is checked on, as a file's owner has."""
    raw = sqlite3.connect(place.url.removeprefix("sqlite:///"), isolation_level=None)
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute("PRAGMA writable_schema = ON")
    raw.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
    raw.execute("PRAGMA writable_schema = RESET")
    return raw


def _overwrite(
    raw: sqlite3.Connection, draw: random.Random, table: str, column: str, rowid: int
) -> None:
    """Write a value that isn't the one there, of any type, text that is no UTF-8 too."""
    before = raw.execute(
        f"SELECT hex({column}), typeof({column}) FROM {table} WHERE rowid = ?", (rowid,)
    ).fetchone()
    while True:
        how, value = draw.choice(list(_values(draw)))
        change = f"UPDATE {table} SET {column} = {how} WHERE rowid = ?"
        with suppress(sqlite3.IntegrityError):  # another row has that value
            raw.execute(change, (value, rowid))
        after = raw.execute(
            f"SELECT hex({column}), typeof({column}) FROM {table} WHERE rowid = ?",
            (rowid,),
        ).fetchone()
        if after != before:
            return


def _values(draw: random.Random) -> Iterator[tuple[str, object]]:
    data = draw.randbytes(draw.randrange(40))
    yield "?", data
    yield "CAST(? AS TEXT)", data
    yield "?", None
    yield "?", draw.randrange(-(2**63), 2**63)
    yield "?", draw.choice([draw.random(), 1e308, -0.0, float("inf")])
    yield "?", draw.choice(["", "x", "card_x", "１２３", "\x00\x1b[31m"])
