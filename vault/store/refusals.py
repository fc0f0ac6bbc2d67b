"""Says in words why a database refused, and what to do, where its own don't."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from .sqlite import sqlite_path

AGAIN = "run the same command again"
_FULL, _READONLY, _CANTOPEN = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
)
_NO_MORE = (_FULL, sqlite3.SQLITE_IOERR)
_LITTLE_BYTES = 64 * 1024
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# What PostgreSQL answers to a role that may not do something.
_DENIED = "42501"


class Refusal(NamedTuple):
    """What a database said (``what``) and the next step (``hint``)."""

    what: str
    hint: str


def explain(error: SQLAlchemyError, urls: Iterable[str]) -> Refusal:
    """Why one of the databases at ``urls`` refused.  SQLite's error names no file, so
    the one that is meant is found by looking at them."""
    said = str(getattr(error, "orig", None) or error).strip()
    cause = said.splitlines()[0] if said else type(error).__name__
    if is_denied(error):
        return Refusal(
            cause,
            "this login may not do that; docs/operations.md says which one is for what, "
            "under: PostgreSQL: roles",
        )
    kind = getattr(getattr(error, "orig", None), "sqlite_errorcode", -1) & 0xFF
    files = [path for path in map(sqlite_path, urls) if path is not None]
    # Where the log can't grow SQLite calls it an I/O error.
    full = [path for path in files if kind == _FULL or _has_no_room(path)]
    if kind in _NO_MORE and full:
        return Refusal(
            f"the disk of {full[0]} is full",
            f"make room on the disk of {full[0]}, then {AGAIN}",
        )
    if kind == sqlite3.SQLITE_IOERR and files:
        return Refusal(
            f"the disk of {' or '.join(map(str, files))}: {cause}",
            "see what the kernel says of it (dmesg); back up to another disk first",
        )
    if kind in _DAMAGED and files:
        return Refusal(
            f"{' or '.join(map(str, files))}: {cause}",
            "stop the site, find out which with: cardvault doctor, and follow "
            "docs/operations.md, under: The disk died",
        )
    if kind in (_READONLY, _CANTOPEN):
        for path in files:
            refused = _shut(path)
            if refused is not None:
                return refused
    return Refusal(cause, "")


def is_denied(error: SQLAlchemyError) -> bool:
    """Say whether PostgreSQL refused what its role may not do."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _DENIED


def takes_no_more(error: SQLAlchemyError) -> bool:
    """Say whether SQLite could not write because of the disk: it is full, or broken."""
    kind = getattr(getattr(error, "orig", None), "sqlite_errorcode", -1) & 0xFF
    return kind in _NO_MORE


def _has_no_room(path: Path) -> bool:
    folder = path.parent
    return folder.is_dir() and shutil.disk_usage(folder).free < _LITTLE_BYTES


def _shut(path: Path) -> Refusal | None:
    """Why this account can't use the file, or None when it can."""
    folder = path.parent
    if not folder.is_dir():
        return Refusal(
            f"{path}: the folder {folder} is not there",
            "check VAULT_DATABASE_URL and DATABASE_URL, and the folder you are in",
        )
    for shut in (path, folder):
        if shut.exists() and not os.access(shut, os.R_OK | os.W_OK):
            owner, own = _name(shut.stat().st_uid), _name(os.geteuid())
            return Refusal(
                f"{path} can't be opened: {shut} belongs to {owner}, and this runs as "
                f"{own}",
                f"run it as {owner}, or give {shut} to who runs the site: chown",
            )
    return None


def _name(account: int) -> str:
    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return f"uid {account}"
