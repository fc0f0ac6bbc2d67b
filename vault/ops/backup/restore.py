"""Restores a backup: checks it and puts its databases into an empty place."""

from __future__ import annotations

import gzip
import hashlib
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from ...errors import FileRefused, IntegrityFault, WrongVault
from ...kill_points import kill_point
from ...store.files import NewFile, require_free
from ...web.web_key import WebKey
from ..anchor import Anchor
from .make import MANIFEST
from .manifest import DAMAGED_HINT, SITE, VAULT, Manifest, Member

MAX_MANIFEST_BYTES = 1024 * 1024
PIECE = 1024 * 1024
_SIDE_FILES = ("-wal", "-shm", "-journal")
# What reading a file that was cut short, or is no backup, may raise.
_UNREADABLE = (tarfile.TarError, EOFError, ValueError, zlib.error, gzip.BadGzipFile)


class Backup:
    """A backup opened for reading once, from front to back; its ``manifest`` is
    checked."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        tar: tarfile.TarFile,
        packed: gzip.GzipFile,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._tar = tar
        self._packed = packed

    def extract(self, files: Mapping[str, BinaryIO]) -> None:
        """Write the databases to ``files`` by name; one that is not in ``files`` is
        checked and not written.

        Raises IntegrityFault naming the first that is not as the manifest says, or when
        the file is cut short; what was written must not be used then.
        """
        with _told(self.path):
            for member in self.manifest.members:
                entry = self._tar.next()
                if entry is None or (entry.name, entry.size) != (
                    member.name,
                    member.bytes,
                ):
                    raise _damaged(self.path, f"its {member.name} is missing")
                self._extract(member, entry, files.get(member.name))
            _read_out(self._packed)

    def _extract(
        self, member: Member, entry: tarfile.TarInfo, file: BinaryIO | None
    ) -> None:
        source, digest = self._tar.extractfile(entry), hashlib.sha256()
        while source is not None and (piece := source.read(PIECE)):
            digest.update(piece)
            if file is not None:
                file.write(piece)
        if digest.hexdigest() != member.sha256:
            raise _damaged(self.path, f"its {member.name} is not as written")
        if file is not None:
            file.flush()


@contextmanager
def opening(path: Path, web_key: WebKey) -> Iterator[Backup]:
    """Open a backup and check its manifest with the web key.

    Raises IntegrityFault when it is damaged, WrongVault when it is another vault's,
    FileRefused when it was made under another sealing key, OSError when the file can't
    be read.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        packed = stack.enter_context(gzip.GzipFile(fileobj=file))
        with _told(path):
            tar = stack.enter_context(tarfile.open(fileobj=packed, mode="r|"))
            entry = tar.next()
            if entry is None or entry.name != MANIFEST:
                raise _damaged(path, "is not a backup of a vault")
            source = tar.extractfile(entry)
            text = source.read(MAX_MANIFEST_BYTES) if source else b""
        try:
            manifest = Manifest.parse(text, web_key, path)
        except (FileRefused, WrongVault):
            # A damaged backup can look like another vault's; read it whole first, to
            # report the real reason.
            with _told(path):
                _read_out(packed)
            raise
        yield Backup(path, manifest, tar, packed)


def _read_out(packed: gzip.GzipFile) -> None:
    """Read to the end of the file, where gzip checks its checksum."""
    while packed.read(PIECE):
        pass


def restore(
    backup: Backup, vault_place: Path, site_place: Path, anchor: Anchor | None = None
) -> None:
    """Put both databases where nothing is, or finish what a killed run began.

    Everything is written and checked before anything gets its name, so a damaged
    backup leaves nothing.  Raises IntegrityFault then, and when the trail doesn't have
    the ``anchor``; FileRefused when something is in the way.
    """
    # The vault is named first, as it is committed first in registering: if this is
    # killed in between, no customer exists whose card is missing.
    places = {VAULT: vault_place, SITE: site_place}
    members = {member.name: member for member in backup.manifest.members}
    missing = [n for n, place in places.items() if not _is_there(place, members[n])]
    with ExitStack() as stack:
        parts = {name: stack.enter_context(NewFile(places[name])) for name in missing}
        backup.extract({name: part.file for name, part in parts.items()})
        if anchor is not None:
            written = parts[VAULT].part if VAULT in parts else vault_place
            anchor.check(_entry_mac(written, anchor.entries))
        for part in parts.values():
            part.sync()
        kill_point("restore-written")
        for name, part in parts.items():
            part.publish()
            kill_point(f"restore-named-{name}")


def _is_there(place: Path, member: Member) -> bool:
    """Say whether an earlier run put ``member`` at ``place`` and nothing has used it
    since; raises FileRefused when anything else is there."""
    there = place.is_file() and _is_copy(place, member)
    if not there:
        require_free(place)
    for suffix in _SIDE_FILES:
        # SQLite would apply an old log to the new database.
        require_free(place.with_name(place.name + suffix))
    return there


def _is_copy(place: Path, member: Member) -> bool:
    if place.stat().st_size != member.bytes:
        return False
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == member.sha256


def _entry_mac(database: Path, seq: int) -> bytes | None:
    # With ``immutable`` SQLite makes no files beside the database, which still has its
    # temporary name.
    address = f"{database.absolute().as_uri()}?immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as db:
        query = "SELECT mac FROM audit_entry WHERE seq = ?"
        row = db.execute(query, (seq,)).fetchone()
    return row[0] if row else None


def _damaged(path: Path, problem: str) -> IntegrityFault:
    return IntegrityFault(str(path), problem, hint=DAMAGED_HINT)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE:
        raise _damaged(path, "is damaged or cut short") from None
