"""Writes the files of a new vault so that all of them get their names, or none.

Everything is written to a ``.part`` file beside its name first.  If init is killed
before it gives the first name, the next init overwrites what it left.  If it is killed
between two names, every file is complete, and the next init gives the missing names.
A database on a server needs no name; there the commit counts as the first name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, create_engine, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ..errors import FileRefused, VaultError
from ..kill_points import kill_point
from ..store import files
from ..store.database import connect, reading
from ..store.files import NewFile, disk_faults, part_of, sync_folder
from ..store.schema import AUDIT_ENTRY, VAULT
from ..store.sqlite import checkpoint, sqlite_path
from .create import require_empty
from .root_key import read_root_text

_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class NewPlace:
    """Where a new vault's files go; ``root_key`` is None when the root is to be held as
    shares."""

    web_key: Path
    root_key: Path | None
    database_url: str

    @property
    def database(self) -> Path | None:
        """The database's file; None when it is on a server."""
        return sqlite_path(self.database_url)

    @property
    def keys(self) -> list[Path]:
        """The key files in the order they get their names: before the database, which
        could never be opened without them."""
        return [path for path in (self.root_key, self.web_key) if path is not None]

    @property
    def made_folders(self) -> list[Path]:
        """The folders that may be made.  The root key's is not among them, unless
        another file is in it too, because it may be a medium that is not mounted."""
        places = (self.web_key, self.database)
        return [path.parent for path in places if path is not None]


def require_free(place: NewPlace) -> None:
    """Raise FileRefused when a file is in the way, or when the root key's folder does
    not exist."""
    for path in place.keys:
        files.require_free(path)
    if place.database is None:
        engine = connect(place.database_url)
        require_empty(engine, "the database")
        engine.dispose()
    else:
        files.require_free(place.database)
        for path in _side_files(place.database):
            # SQLite would apply an old log to the new database.
            files.require_free(path)
    if place.root_key is not None:
        _require_folder(place.root_key.parent, place.made_folders)


def _require_folder(folder: Path, made: Sequence[Path]) -> None:
    with disk_faults(folder):
        there = folder.is_dir()
    if not there and folder.absolute() not in {path.absolute() for path in made}:
        raise FileRefused(
            f"{folder} is not there, where the root key is to go",
            hint=f"mount the medium, or make the folder: mkdir -m 700 {folder}",
        )


def make(
    place: NewPlace, texts: Mapping[Path, str], found: Callable[[Engine], None]
) -> None:
    """Write the key files (``texts`` by path), call ``found`` to create the database,
    and give everything its name.

    On an error nothing is left, except that with a database on a server that was
    already created the key files are kept for ``finish``.  Raises FileRefused when
    the disk refuses or another init is running, SQLAlchemyError when the database
    refuses.
    """
    with ExitStack() as stack:
        stack.enter_context(disk_faults(place.web_key))
        stack.enter_context(_folders(place.made_folders))
        parts = [stack.enter_context(NewFile(path)) for path in place.keys]
        for key in parts:
            key.file.write(texts[key.path].encode())
            key.sync()
        kill_point("init-keys-written")
        if place.database is None:
            _found(place.database_url, found)
            for key in parts:
                key.keep()
        else:
            file = stack.enter_context(NewFile(place.database))
            stack.callback(_remove_side_files, file.part)
            _found_file(place, file, found)
            parts.append(file)
        kill_point("init-founded")
        _name(parts, undo=place.database is not None)


def _found_file(
    place: NewPlace, file: NewFile, found: Callable[[Engine], None]
) -> None:
    _remove_side_files(file.part)
    url = make_url(place.database_url).set(database=str(file.part))
    _found(url.render_as_string(hide_password=False), found)
    if any(os.path.lexists(path) for path in _side_files(file.part)):
        raise FileRefused(
            f"{file.part} is in use by another process",
            hint="nothing was made; end it and run the same command again",
        )
    file.sync()


def _found(url: str, found: Callable[[Engine], None]) -> None:
    engine = connect(url, alone=True)
    try:
        found(engine)
        checkpoint(engine)
    finally:
        engine.dispose()


def _name(parts: Sequence[NewFile], *, undo: bool) -> None:
    named: list[NewFile] = []
    try:
        for piece in parts:
            piece.publish()
            named.append(piece)
            kill_point("init-named")
    except BaseException:
        for piece in named if undo else ():
            piece.take_back()
        raise


def is_left_whole(place: NewPlace) -> bool:
    """Say whether an init was killed while it gave the names: each file is complete,
    all are of one vault, the vault was not used yet, and a name is missing."""
    missing = [path for path in place.keys if not os.path.lexists(path)]
    if place.database is None:
        begun = bool(missing)
    else:
        begun = len(missing) < len(place.keys) and not os.path.lexists(place.database)
    if not begun:
        return False
    pieces = [part_of(path) if path in missing else path for path in place.keys]
    try:
        of_keys = {json.loads(read_root_text(path))["vault_id"] for path in pieces}
    except (VaultError, ValueError, KeyError, TypeError):
        return False
    return of_keys == {_just_founded(place)}


def _just_founded(place: NewPlace) -> str | None:
    """The id of the vault in the database, if its trail has only the entry about its
    creation.  The copy of a vault in use that a killed restore leaves has more."""
    if place.database is None:
        engine = connect(place.database_url)
    else:
        # With ``immutable`` SQLite makes no files beside the database, which still has
        # its temporary name.
        file = part_of(place.database).absolute().as_uri()
        url = make_url("sqlite://").set(database=file)
        engine = create_engine(url.set(query={"immutable": "1", "uri": "true"}))
    event = AUDIT_ENTRY.c.event
    try:
        with reading(engine) as db:
            vault_id: str | None = db.execute(select(VAULT.c.vault_id)).scalar()
            more = db.execute(select(event).where(event != "vault.founded").limit(1))
            return vault_id if more.first() is None else None
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()


def finish(place: NewPlace) -> None:
    """Give the missing names to the files that ``is_left_whole`` found."""
    files = [*place.keys, *filter(None, [place.database])]
    with ExitStack() as stack:
        stack.enter_context(disk_faults(place.web_key))
        missing = [path for path in files if not os.path.lexists(path)]
        parts = [stack.enter_context(NewFile(p, left_whole=True)) for p in missing]
        for piece in parts:
            piece.sync()
        _name(parts, undo=False)


def give_up(place: NewPlace) -> None:
    """Remove the names that ``is_left_whole`` found, so that a new vault can be made
    there.  Raises FileRefused when the database is on a server."""
    if place.database is None:
        beside = part_of(place.web_key)
        raise FileRefused(
            "an init was cut off when its vault was made and its shares were shown",
            hint=f"with those shares: mv {beside} {place.web_key}; "
            f"without: rm {beside} and give an empty database",
        )
    with disk_faults(place.web_key), NewFile(place.database, left_whole=True):
        place.web_key.replace(part_of(place.web_key))
        sync_folder(place.web_key.parent)


@contextmanager
def _folders(folders: Sequence[Path]) -> Iterator[None]:
    """Make the folders that are missing, and remove them again on an error."""
    made: list[Path] = []
    try:
        for folder in folders:
            for step in (*reversed(folder.parents), folder):
                if not os.path.lexists(step):
                    step.mkdir(mode=0o700)
                    made.append(step)
                    sync_folder(step.parent)
        yield
    except BaseException:
        for step in reversed(made):
            with suppress(OSError):
                step.rmdir()
        raise


def _side_files(database: Path) -> list[Path]:
    return [database.with_name(database.name + suffix) for suffix in _SIDE_FILES]


def _remove_side_files(database: Path) -> None:
    for path in _side_files(database):
        path.unlink(missing_ok=True)
