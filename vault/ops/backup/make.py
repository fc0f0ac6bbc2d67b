"""One file that holds both databases as they were at one moment."""

from __future__ import annotations

import gzip
import hashlib
import io
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import Connection, Engine, func, inspect, select, table, text

from ...kill_points import instant
from ...store.database import reading
from ...store.files import SUFFIX, Part
from ...trail import Actor
from ...web.vault import Vault
from ..anchor import Anchor
from ..census import take_census
from .manifest import SITE, VAULT, Manifest, Member

MANIFEST = "manifest.json"
PAGES = 1024
# Most of a backup is ciphertext and MACs, which no level makes smaller.
COMPRESSION = 1
# A page has to answer soon, a backup has time, should nothing move for long.
SITE_WAIT_SECONDS = 30.0
_SIDE_FILES = ("", "-journal", "-wal", "-shm")


def make(vault: Vault, site: Engine, path: Path, by: Actor) -> Manifest:
    """Write the vault's database and the ``site``'s into the new file ``path``,
    while both are in use.  Needs no root key and holds no key.

    Raises KeyFileError when something is in the way, OSError or sqlite3.Error
    when the disk refuses; ``path`` is there whole or not at all.
    """
    with Part(path) as part:
        with _scratch(path) as places:
            with one_moment(vault, site, by, path.name) as (site_db, vault_db):
                _copy(site_db, places[SITE])
                _copy(vault_db, places[VAULT])
                instant("backup-copied")
                members = [_measure(name, place) for name, place in places.items()]
                manifest = _describe(vault, vault_db, site_db, tuple(members))
            sealed = manifest.sealed(vault.web_key)
            _pack(part.file, sealed, places, manifest.made_at)
        # The copies are gone before the name is there: cut off in between, nobody
        # would run it again and remove them.
        part.sync()
        instant("backup-written")
        part.put_in_place()
        instant("backup-named")
    return manifest


@contextmanager
def one_moment(
    vault: Vault, site: Engine, by: Actor, name: str
) -> Iterator[tuple[Connection, Connection]]:
    """Reading transactions on the site's database and on the vault's that see
    both at one moment, after the entry about the backup ``name``.

    Neither order of two copies would do.  Registering commits the vault first:
    with the vault copied before the site, a customer registered in between
    would lack his card.  Deleting commits the site first, and replacing deletes
    the old card last: with the site copied before the vault, their customers
    would.  So both writers' locks are held while the snapshots are taken, for
    one commit's time.  A request takes the site's lock and then the vault's, and
    has let go of both only when both are written (app/db.py); so whoever holds
    both, taken in that order too, finds none half-way.  What may be left is a
    card no customer refers to, and that does no harm.
    """
    patient = site.execution_options(lock_wait=SITE_WAIT_SECONDS)
    with reading(site) as site_db, reading(vault.engine) as vault_db:
        with patient.begin():
            with vault.engine.begin() as db:
                # Before the copy: better an entry for a backup that was cut off
                # than a copy of every card that the trail says nothing of.
                vault.record(db, "backup.made", by, subject=name)
            # The vault's own lock had to go with the entry's commit.  What needs
            # it alone (a rotation, a purge) is whole with each commit.
            for snapshot in (site_db, vault_db):
                snapshot.execute(text("SELECT count(*) FROM sqlite_master"))
        instant("backup-begun")
        yield site_db, vault_db


@contextmanager
def _scratch(path: Path) -> Iterator[dict[str, Path]]:
    """Where the copies lie until they are packed; removed, and what a killed
    run left there too.  The caller holds the lock on ``path``'s part."""
    places = {n: path.with_name(f"{path.name}{SUFFIX}.{n}") for n in (VAULT, SITE)}
    with ExitStack() as stack:
        for place in places.values():
            stack.callback(_remove, place)
            _remove(place)
            place.touch(mode=0o600, exist_ok=False)
        yield places


def _remove(place: Path) -> None:
    for suffix in _SIDE_FILES:
        place.with_name(place.name + suffix).unlink(missing_ok=True)


def _copy(db: Connection, place: Path) -> None:
    """Copy what ``db``'s transaction sees.  It is a reader under WAL, which keeps
    no writer waiting and which no writer makes start again."""
    source = cast(sqlite3.Connection, db.connection.driver_connection)
    with closing(sqlite3.connect(place, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=PAGES)
        # One file, without a log beside it; and no database in use, which is in
        # WAL mode, is ever byte for byte the one in a backup.
        copy.execute("PRAGMA journal_mode = DELETE")


def _measure(name: str, place: Path) -> Member:
    with place.open("rb") as copy:
        digest = hashlib.file_digest(copy, "sha256").hexdigest()
    return Member(name, digest, place.stat().st_size)


def _describe(
    vault: Vault, vault_db: Connection, site_db: Connection, members: tuple[Member, ...]
) -> Manifest:
    census = take_census(vault, vault_db)
    return Manifest(
        vault_id=census.vault_id,
        made_at=vault.clock(),
        generation=census.generation,
        roots=tuple(root for root in (census.root_id, census.next_root_id) if root),
        cards=census.cards,
        site=_rows_by_table(site_db),
        anchor=Anchor.of(vault_db, census.vault_id),
        members=members,
    )


def _rows_by_table(db: Connection) -> dict[str, int]:
    names = sorted(inspect(db).get_table_names())
    count = select(func.count())
    return {n: db.execute(count.select_from(table(n))).scalar_one() for n in names}


def _pack(file: BinaryIO, manifest: bytes, places: dict[str, Path], at: int) -> None:
    with (
        gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.addfile(_entry(MANIFEST, len(manifest), at), io.BytesIO(manifest))
        for name, place in places.items():
            with place.open("rb") as copy:
                tar.addfile(_entry(name, place.stat().st_size, at), copy)


def _entry(name: str, size: int, at: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, at, 0o600
    return entry
