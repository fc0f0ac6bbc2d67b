"""Makes a backup: one file that holds both databases as they were at one moment."""

from __future__ import annotations

import gzip
import hashlib
import io
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sqlalchemy import Connection, Engine, func, inspect, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from ...kill_points import kill_point
from ...store.database import reading
from ...store.files import SUFFIX, NewFile
from ...store.refusals import takes_no_more
from ...trail import Actor
from ...web.vault import Vault
from ..anchor import Anchor
from ..census import take_census
from .manifest import SITE, VAULT, Manifest, Member

MANIFEST = "manifest.json"
PAGES = 1024
# Most of a backup is ciphertext and MACs, which don't compress at any level.
COMPRESSION = 1
# A page has to answer soon, a backup has time, should nothing move for long.
SITE_WAIT_SECONDS = 30.0
Unrecorded = Callable[[], None]
_SIDE_FILES = ("", "-journal", "-wal", "-shm")


def make(
    vault: Vault,
    site: Engine,
    path: Path,
    by: Actor,
    unrecorded: Unrecorded | None = None,
) -> Manifest:
    """Write the vault's database and the ``site``'s into the new file ``path``,
    while both are in use.  Needs no root key and holds no key.  ``unrecorded`` is as
    in ``one_moment``.

    Raises FileRefused when something is in the way, OSError or sqlite3.Error
    when the disk refuses; ``path`` is there whole or not at all.
    """
    with NewFile(path) as part:
        with _scratch(path) as paths:
            with one_moment(vault, site, by, path.name, unrecorded) as snapshots:
                site_db, vault_db = snapshots
                _copy(site_db, paths[SITE])
                _copy(vault_db, paths[VAULT])
                kill_point("backup-copied")
                members = [_measure(name, path) for name, path in paths.items()]
                manifest = _describe(vault, vault_db, site_db, tuple(members))
            sealed = manifest.sealed(vault.web_key)
            _pack(part.file, sealed, paths, manifest.made_at)
        # The copies are deleted before the backup gets its name: if it were killed
        # after naming, no later run would delete them.
        part.sync()
        kill_point("backup-written")
        part.publish()
        kill_point("backup-named")
    return manifest


@contextmanager
def one_moment(
    vault: Vault,
    site: Engine,
    by: Actor,
    name: str,
    unrecorded: Unrecorded | None = None,
) -> Iterator[tuple[Connection, Connection]]:
    """Read both databases as they were at one moment, after recording the backup
    ``name`` in the trail.

    Two copies one after the other would not do:

    - registering commits the vault, then the site: with the vault copied first, a new
      customer could lack a card;
    - deleting commits the site, then the vault: with the site copied first, a customer
      could refer to a deleted card.

    So this takes both write locks, the site's first as every request does, and keeps
    them until both snapshots exist.  A request between its two commits holds a lock
    (app/db.py), so none is caught half-way.  The worst that is left is a card no
    customer refers to; ``cards reconcile`` removes it.
    """
    patient = site.execution_options(lock_wait=SITE_WAIT_SECONDS)
    with reading(site) as site_db, reading(vault.engine) as vault_db:
        with patient.begin():
            # The entry comes before the copy, so that no copy of the cards exists
            # without an entry; a backup that is cut off has one too.
            try:
                with vault.engine.begin() as db:
                    vault.record(db, "backup.made", by, subject=name)
            except SQLAlchemyError as error:
                if unrecorded is None or not takes_no_more(error):
                    raise
                unrecorded()
            # Committing the entry released the vault's lock.  A rotation or a purge may
            # write in between; each of its commits leaves the vault consistent.
            for snapshot in (site_db, vault_db):
                snapshot.execute(text("SELECT count(*) FROM sqlite_master"))
        kill_point("backup-begun")
        yield site_db, vault_db


@contextmanager
def _scratch(path: Path) -> Iterator[dict[str, Path]]:
    """The paths of the two copies until they are packed.  They are deleted at the end,
    and at the beginning those that a killed run left.  The caller holds the lock on
    the ``.part`` file of ``path``."""
    paths = {n: path.with_name(f"{path.name}{SUFFIX}.{n}") for n in (VAULT, SITE)}
    with ExitStack() as stack:
        for scratch in paths.values():
            stack.callback(_remove, scratch)
            _remove(scratch)
            scratch.touch(mode=0o600, exist_ok=False)
        yield paths


def _remove(path: Path) -> None:
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _copy(db: Connection, path: Path) -> None:
    """Copy what ``db``'s transaction sees.  Under WAL a reader keeps no writer waiting,
    and no writer makes it start again."""
    source = cast(sqlite3.Connection, db.connection.driver_connection)
    # The copy is this process's own, and a share or a medium may have no locks.  Without
    # them SQLite opens a database in WAL mode, as the copy is at first, only when no
    # other process may use it.
    address = f"{path.absolute().as_uri()}?vfs=unix-none"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as copy:
        copy.execute("PRAGMA locking_mode = EXCLUSIVE")
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=PAGES)
        # Out of WAL mode the copy is one file without a log beside it.  It also differs
        # from any database in use, which is in WAL mode.
        copy.execute("PRAGMA journal_mode = DELETE")


def _measure(name: str, path: Path) -> Member:
    with path.open("rb") as copy:
        digest = hashlib.file_digest(copy, "sha256").hexdigest()
    return Member(name, digest, path.stat().st_size)


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


def _pack(file: BinaryIO, manifest: bytes, paths: dict[str, Path], at: int) -> None:
    with (
        gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.addfile(_entry(MANIFEST, len(manifest), at), io.BytesIO(manifest))
        for name, path in paths.items():
            with path.open("rb") as copy:
                tar.addfile(_entry(name, path.stat().st_size, at), copy)


def _entry(name: str, size: int, at: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, at, 0o600
    return entry
