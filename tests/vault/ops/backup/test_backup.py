"""Both databases in one file, as they were at one moment, and back."""

from __future__ import annotations

import dataclasses
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError

from tests.places.vault import VaultPlace
from vault import Actor, Token, WebKey, crypto, errors
from vault.ops import RootKey
from vault.ops.anchor import Anchor
from vault.ops.backup import make as backups
from vault.ops.backup.drill import Drill, drill
from vault.ops.backup.make import MANIFEST, _pack, make, one_moment
from vault.ops.backup.manifest import SITE, VAULT
from vault.ops.backup.restore import opening, restore
from vault.ops.create import new_keys
from vault.store import sqlite
from vault.store.database import connect, reading
from vault.store.files import NewFile, disk_faults
from vault.store.schema import AUDIT_ENTRY, CARD

Register = Callable[..., Token]
OPS = Actor("ops", "command")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Engine]:
    """A site's database, of which the vault knows nothing but its rows."""
    engine = connect(f"sqlite:///{tmp_path}/site.db")
    with engine.begin() as db:
        db.execute(text("CREATE TABLE customer (token TEXT)"))
        db.execute(text("INSERT INTO customer VALUES ('one'), ('two')"))
    yield engine
    engine.dispose()


@pytest.fixture
def backed_up(place: VaultPlace, site: Engine, register: Register) -> Path:
    """A backup of three cards and two customers."""
    for _ in range(3):
        register()
    path = place.folder / "a.backup"
    make(place.vault(), site, path, OPS)
    return path


def put(
    path: Path, folder: Path, web_key: WebKey, anchor: Anchor | None = None
) -> Path:
    """Restore a backup into a folder."""
    folder.mkdir(exist_ok=True)
    with opening(path, web_key) as kept:
        restore(kept, folder / VAULT, folder / SITE, anchor)
    return folder


def tried(path: Path, place: VaultPlace, root_key: RootKey | None = None) -> Drill:
    """Drill a backup."""
    with opening(path, place.web_key) as kept:
        root_key = root_key or place.root_key
        return drill(kept, place.web_key, root_key, place.clock)


def names(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What a SQLite file answers."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def test_what_is_restored_is_what_was_backed_up(
    place: VaultPlace, site: Engine, backed_up: Path, register: Register
) -> None:
    """Nothing written since is in it; every card opens; counts are told."""
    register()
    with site.begin() as db:
        db.execute(text("DELETE FROM customer"))
    folder = put(backed_up, place.folder / "restored", place.web_key)
    assert rows(folder / SITE, "SELECT token FROM customer") == [("one",), ("two",)]
    assert rows(folder / VAULT, "SELECT count(*) FROM card") == [(3,)]
    assert tried(backed_up, place).findings == ()
    with opening(backed_up, place.web_key) as kept:
        assert kept.manifest.cards == 3
        assert kept.manifest.site == {"customer": 2}


def test_the_manifest_has_the_copied_trails_head(
    place: VaultPlace, backed_up: Path
) -> None:
    """The entry about the backup is the last of it."""
    folder = put(backed_up, place.folder / "restored", place.web_key)
    engine = connect(f"sqlite:///{folder / VAULT}")
    with opening(backed_up, place.web_key) as kept, engine.connect() as db:
        head = Anchor.of(db, place.web_key.vault_id)
        assert kept.manifest.anchor == head
        query = select(AUDIT_ENTRY).where(AUDIT_ENTRY.c.seq == head.entries)
        last = db.execute(query).one()
    assert (last.event, last.actor, last.subject) == ("backup.made", "ops", "a.backup")
    engine.dispose()


def test_a_backup_holds_two_databases_and_no_key(
    place: VaultPlace, backed_up: Path
) -> None:
    """Nobody but its owner reads it, and nothing lies beside it."""
    with tarfile.open(backed_up) as tar:
        assert tar.getnames() == [MANIFEST, VAULT, SITE]
    assert backed_up.stat().st_mode & 0o777 == 0o600
    assert {n for n in names(place.folder) if n.startswith("a.")} == {"a.backup"}


@pytest.mark.parametrize("held", ["site", "vault"])
def test_no_request_is_half_way_in_a_backup(
    place: VaultPlace, site: Engine, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    """Registering or deleting holds one of the locks until both are written, and
    a backup waits for both; one that waited in vain leaves nothing."""
    monkeypatch.setattr(sqlite, "LOCK_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(backups, "SITE_WAIT_SECONDS", 0.01)
    before = names(place.folder)
    busy = {"site": site, "vault": place.engine}[held]
    with busy.begin(), pytest.raises(OperationalError):
        make(place.vault(), site, place.folder / "a.backup", OPS)
    left = names(place.folder) - before
    assert {n for n in left if not n.endswith(("-wal", "-shm", "-queue"))} == set()
    with place.engine.connect() as db:
        events = db.execute(select(AUDIT_ENTRY.c.event)).scalars().all()
    assert "backup.made" not in events


def test_writers_go_on_while_a_backup_is_copied(
    place: VaultPlace, site: Engine, register: Register
) -> None:
    """Once the moment is taken nobody waits, and the copy sees none of it."""
    register()
    with one_moment(place.vault(), site, OPS, "a") as (site_db, vault_db):
        register()
        with site.begin() as db:
            db.execute(text("DELETE FROM customer"))
        cards = vault_db.execute(select(func.count()).select_from(CARD)).scalar_one()
        left = site_db.execute(text("SELECT count(*) FROM customer")).scalar_one()
    assert (cards, left) == (1, 2)


def test_a_part_a_dead_run_left_is_written_over(
    place: VaultPlace, site: Engine
) -> None:
    """Of the backup itself and of its copies; a finished one is never touched."""
    path = place.folder / "a.backup"
    for left in ("a.backup.part", "a.backup.part.vault.db", "a.backup.part.site.db"):
        (place.folder / left).write_bytes(b"x" * 10_000_000)
    make(place.vault(), site, path, OPS)
    assert {n for n in names(place.folder) if n.startswith("a.")} == {"a.backup"}
    assert tried(path, place).findings == ()
    kept = path.read_bytes()
    with pytest.raises(errors.FileRefused, match=r"a\.backup is in the way"):
        make(place.vault(), site, path, OPS)
    assert path.read_bytes() == kept


def test_a_part_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Two backups into one file: the second is refused."""
    path = tmp_path / "a.backup"
    with NewFile(path) as part:
        part.file.write(b"whole")
        with pytest.raises(errors.FileRefused, match="by another process"):
            NewFile(path)
        part.sync()
        part.publish()
    assert path.read_bytes() == b"whole"
    with (tmp_path / "b.part").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(errors.FileRefused, match="by another process"):
            NewFile(tmp_path / "b")


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    """It is looked for again before the name is given."""
    with NewFile(tmp_path / "a") as part:
        (tmp_path / "a").write_text("another's")
        with pytest.raises(errors.FileRefused, match="is in the way"):
            part.publish()
    assert names(tmp_path) == {"a"}
    assert (tmp_path / "a").read_text() == "another's"


def test_what_the_disk_refuses_is_said(place: VaultPlace, site: Engine) -> None:
    """A folder that is not there, a symbolic link laid where the part goes."""
    (place.folder / "a.part").symlink_to(place.folder / "elsewhere")
    for path in (place.folder / "a", place.folder / "nowhere" / "a"):
        with pytest.raises(errors.FileRefused) as told, disk_faults(path):
            make(place.vault(), site, path, OPS)
        assert str(told.value).startswith(f"{path}.part: ")
    assert not (place.folder / "elsewhere").exists()


@pytest.mark.parametrize("left", [0, 1, 15, 0.1, 0.5, 0.9, -8, -1])
def test_a_cut_backup_restores_nothing(
    place: VaultPlace, backed_up: Path, left: float
) -> None:
    """Wherever it ends, down to its last byte."""
    whole = backed_up.read_bytes()
    keep = int(left * len(whole)) if isinstance(left, float) else left
    backed_up.write_bytes(whole[:keep])
    with pytest.raises(errors.IntegrityFault) as fault:
        put(backed_up, place.folder / "restored", place.web_key)
    assert fault.value.subject == str(backed_up)
    assert names(place.folder / "restored") == set()


def test_no_turned_byte_restores_anything_else(
    place: VaultPlace, backed_up: Path
) -> None:
    """Past gzip's own heading, every 97th byte: nothing gets its name, or, where
    the bit was only filling, what does is the same."""
    whole, folder = backed_up.read_bytes(), place.folder / "restored"
    good = contents(put(backed_up, place.folder / "good", place.web_key))
    refused = 0
    for at in [*range(10, len(whole), 97), *range(len(whole) - 8, len(whole))]:
        backed_up.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            assert contents(put(backed_up, folder, place.web_key)) == good
            shutil.rmtree(folder)
        except errors.IntegrityFault:
            assert names(folder) == set()
            refused += 1
    assert refused > len(whole) // 97


def forge(path: Path, folder: Path, change: dict[str, object]) -> Path:
    """A backup with another site database, its manifest made to agree but for the
    MAC, which takes the web key."""
    with tarfile.open(path) as tar:
        tar.extractall(folder, filter="data")
    fields = json.loads((folder / MANIFEST).read_text())
    with closing(sqlite3.connect(folder / SITE)) as db, db:
        db.execute("UPDATE customer SET token = 'two' WHERE token = 'one'")
    digest = hashlib.sha256((folder / SITE).read_bytes()).hexdigest()
    fields["members"][1]["sha256"] = digest
    return pack_anew(folder, json.dumps({**fields, **change}).encode())


def pack_anew(folder: Path, manifest: bytes) -> Path:
    """A backup of what lies in a folder."""
    forged = folder / "forged.backup"
    places = {name: folder / name for name in (VAULT, SITE)}
    with forged.open("wb") as file:
        _pack(file, manifest, places, 0)
    return forged


def test_a_forged_backup_is_refused(place: VaultPlace, backed_up: Path) -> None:
    """Whoever has no web key can't make one of another site database."""
    forged = forge(backed_up, place.folder / "forger", {})
    with pytest.raises(errors.IntegrityFault, match="manifest is not as written"):
        put(forged, place.folder / "restored", place.web_key)


def test_another_database_under_the_true_manifest_is_refused(
    place: VaultPlace, backed_up: Path
) -> None:
    """Its digest is not the manifest's."""
    folder = place.folder / "forger"
    forge(backed_up, folder, {})
    forged = pack_anew(folder, (folder / MANIFEST).read_bytes())
    with pytest.raises(errors.IntegrityFault, match=r"site\.db is not as written"):
        put(forged, place.folder / "restored", place.web_key)
    assert names(place.folder / "restored") == set()


def test_damage_is_not_taken_for_another_vaults_backup(
    place: VaultPlace, backed_up: Path
) -> None:
    """Where it met the vault's name, the checksum tells."""
    whole = backed_up.read_bytes()
    vault_id = place.web_key.vault_id.encode()
    turned = gzip.compress(gzip.decompress(whole).replace(vault_id, vault_id[::-1]))
    backed_up.write_bytes(turned[:-8] + whole[-8:])
    with pytest.raises(errors.IntegrityFault, match="damaged or cut short"):
        put(backed_up, place.folder / "restored", place.web_key)


@pytest.mark.parametrize(
    "change", [{"format": "cardvault backup 9"}, {"mac": 7}, {"mac": "x"}]
)
def test_what_is_no_manifest_is_refused(
    place: VaultPlace, backed_up: Path, change: dict[str, object]
) -> None:
    """Of another format, or with a MAC that is none."""
    forged = forge(backed_up, place.folder / "forger", change)
    with pytest.raises(errors.IntegrityFault, match="not a backup this code can read"):
        put(forged, place.folder / "restored", place.web_key)


def test_wrong_keys_are_refused(place: VaultPlace, backed_up: Path) -> None:
    """Another vault's, another sealing key's, another root's: nothing written."""
    restored = place.folder / "restored"
    foreign_web, foreign_root = new_keys()
    resigned = WebKey(place.web_key.vault_id, place.web_key.root, crypto.new_key())
    later = WebKey(place.web_key.vault_id, foreign_web.root, place.web_key.sealing_key)
    with pytest.raises(errors.WrongVault, match="is of vault"):
        put(backed_up, restored, foreign_web)
    with pytest.raises(errors.FileRefused, match="another sealing key"):
        put(backed_up, restored, resigned)
    with opening(backed_up, later) as kept:
        with pytest.raises(errors.FileRefused, match="is for root"):
            kept.manifest.require_root(later, backed_up)
        with pytest.raises(errors.FileRefused, match="is for root"):
            drill(kept, later, place.root_key, place.clock)
    with pytest.raises(errors.WrongRootKey):
        tried(backed_up, place, foreign_root)
    assert names(restored) == set()


def test_a_half_restored_place_is_gone_on_with(
    place: VaultPlace, backed_up: Path
) -> None:
    """What an earlier run named is recognized by its bytes; parts are replaced."""
    folder = put(backed_up, place.folder / "restored", place.web_key)
    (folder / SITE).unlink()
    (folder / f"{SITE}.part").write_bytes(b"half")
    put(backed_up, folder, place.web_key)
    assert names(folder) == {VAULT, SITE}
    assert rows(folder / SITE, "SELECT count(*) FROM customer") == [(2,)]


@pytest.mark.parametrize(
    "there", ["vault.db", "site.db", "vault.db-wal", "site.db-journal", "site.db-shm"]
)
def test_only_an_empty_place_is_restored_into(
    place: VaultPlace, backed_up: Path, there: str
) -> None:
    """A database or a log of one is named and left; an old log would be played
    into the new database."""
    folder = place.folder / "restored"
    folder.mkdir()
    (folder / there).write_bytes(b"here first")
    with pytest.raises(errors.FileRefused, match=f"{there} is in the way"):
        put(backed_up, folder, place.web_key)
    assert names(folder) == {there}
    assert (folder / there).read_bytes() == b"here first"


def test_a_queue_of_writers_is_in_nobodys_way(
    place: VaultPlace, backed_up: Path
) -> None:
    """One of an older database's may stand there, and none is restored."""
    folder = place.folder / "restored"
    folder.mkdir()
    (folder / f"{SITE}-queue").write_bytes(b"an older one's")
    put(backed_up, folder, place.web_key)
    assert names(folder) == {VAULT, SITE, f"{SITE}-queue"}


def test_a_database_in_use_is_in_the_way(place: VaultPlace, backed_up: Path) -> None:
    """Opened once, even with nothing written, it is no longer the backup's."""
    folder = put(backed_up, place.folder / "restored", place.web_key)
    engine = connect(f"sqlite:///{folder / SITE}")
    engine.connect().close()
    engine.dispose()
    with pytest.raises(errors.FileRefused, match=r"site\.db is in the way"):
        put(backed_up, folder, place.web_key)


def test_a_drill_names_each_bad_card_and_leaves_nothing(
    place: VaultPlace,
    site: Engine,
    register: Register,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its scratch folder is gone, however it ends."""
    good, bad = register(), register()
    with place.engine.begin() as db:
        db.execute(text(f"UPDATE card SET last4 = '9999' WHERE token = '{bad}'"))
    path = place.folder / "a.backup"
    make(place.vault(), site, path, OPS)
    scratch = place.folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    done = tried(path, place)
    assert [finding.subject for finding in done.findings] == [bad]
    assert good != bad
    assert names(scratch) == set()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(errors.IntegrityFault):
        tried(path, place)
    assert names(scratch) == set()


def test_a_damaged_page_is_found_by_a_drill(
    place: VaultPlace, site: Engine, register: Register
) -> None:
    """In the site's database too, where no MAC would tell."""
    register()
    with site.begin() as db:
        db.execute(text("CREATE INDEX by_token ON customer (token)"))
        db.execute(text("PRAGMA writable_schema = ON"))
        db.execute(text("UPDATE sqlite_master SET rootpage = 2 WHERE rootpage = 3"))
    path = place.folder / "a.backup"
    site.dispose()
    make(place.vault(), site, path, OPS)
    found = tried(path, place).findings
    assert [finding.subject for finding in found] == [SITE]


def test_a_backup_of_newer_code_is_not_drilled(
    place: VaultPlace, site: Engine, register: Register
) -> None:
    """Its tables are another shape than this code knows."""
    register()
    with place.engine.begin() as db:
        db.execute(text("UPDATE alembic_version_vault SET version_num = '9999'"))
    make(place.vault(), site, place.folder / "a.backup", OPS)
    with pytest.raises(errors.SchemaError, match="made by a newer version"):
        tried(place.folder / "a.backup", place)


def test_an_anchor_of_another_trail_is_found(
    place: VaultPlace, backed_up: Path
) -> None:
    """The same number of entries or more, but not the anchored one among them."""
    with opening(backed_up, place.web_key) as kept:
        head = kept.manifest.anchor
    folder = put(backed_up, place.folder / "restored", place.web_key, head)
    (folder / SITE).unlink()
    forked = dataclasses.replace(head, mac="00", entries=1)
    with pytest.raises(errors.IntegrityFault, match="another one than was anchored"):
        put(backed_up, folder, place.web_key, forked)
    later = dataclasses.replace(head, entries=head.entries + 1)
    with pytest.raises(errors.IntegrityFault, match="an older database"):
        put(backed_up, place.folder / "elsewhere", place.web_key, later)
    assert names(place.folder / "elsewhere") == set()
    assert names(folder) == {VAULT}


def test_a_copy_needs_no_locks_of_its_file_system(
    place: VaultPlace, register: Register, tmp_path: Path
) -> None:
    """An SMB share may say that everything is locked, as this other process does."""
    register()
    path = tmp_path / "copy"
    path.touch()
    said, go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(said[1], b"x")
            os.read(go_on[0], 1)
        os._exit(0)
    os.read(said[0], 1)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=0).execute("CREATE TABLE a (b)")
    try:
        with reading(place.engine) as db:
            backups._copy(db, path)
    finally:
        os.write(go_on[1], b"x")
        os.waitpid(child, 0)
    with closing(sqlite3.connect(path)) as copy:
        assert copy.execute("SELECT count(*) FROM card").fetchone() == (1,)
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [found.name for found in tmp_path.glob("copy*")] == ["copy"]
