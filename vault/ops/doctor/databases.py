"""Checks the two databases: whether they answer, are whole and have room, and on
PostgreSQL how one is connected and what the role may do."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, column, inspect, select, table, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ...settings import DEFAULT_SITE_DATABASE_URL
from ...store.database import reading
from ...store.revisions import REVISIONS
from ...store.sqlite import sqlite_path
from .result import CheckResult, Installation, fault, first_line, ok, unknown, warning

LOW_DISK_BYTES = 500 * 1024 * 1024
MEBIBYTE = 1024 * 1024
SITE_VERSIONS = "alembic_version_site"
_MIGRATE = "flask --app wsgi migrate"
_RESTORE = (
    "stop the site, keep a copy, and follow docs/operations.md, under: The disk died"
)
ON_WEB_HOST = "run doctor on the web host too, as the site's role"
_REFUSED = "permission denied"
_VERIFIED = ("verify-full",)
_TIMEOUTS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
)
_POWERS = text(
    "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls"
    " FROM pg_roles WHERE rolname = current_user"
)
_REWRITES = text(
    "SELECT bool_or(has_table_privilege(oid, 'UPDATE')"
    " OR has_table_privilege(oid, 'DELETE')) FROM pg_class"
    " WHERE relname = 'audit_entry' AND relnamespace = current_schema()::regnamespace"
)
_SLOTS = text(
    "SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS held"
    " FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL"
    " AND NOT pg_is_in_recovery()"
)
_MOST_SHOWN = 200


def answer(here: Installation) -> Iterator[CheckResult]:
    """Check that each database answers, has its tables, and is whole."""
    for name, url in here.databases.items():
        path = sqlite_path(url)
        if name == "site" and _is_elsewhere(here, path):
            yield unknown("site database", "DATABASE_URL is not set here", ON_WEB_HOST)
            continue
        if path is not None and not path.is_file():
            yield fault(
                f"{name} database",
                f"{path} is not there",
                "set VAULT_DATABASE_URL and DATABASE_URL as the site has them",
            )
            continue
        try:
            yield from _one(here, name, url, path)
        except SQLAlchemyError as error:
            cause = first_line(getattr(error, "orig", None) or type(error).__name__)
            said = f"does not answer: {cause}"
            if _REFUSED in cause:
                yield unknown(f"{name} database", said, ON_WEB_HOST)
            else:
                yield fault(f"{name} database", said, _mend(path))


def _is_elsewhere(here: Installation, path: Path | None) -> bool:
    """Say whether the site's database is not named here, as on a host for ops alone."""
    settings = here.settings
    is_default = settings.site_database_url == DEFAULT_SITE_DATABASE_URL
    on_server = sqlite_path(settings.database_url) is None
    return is_default and on_server and path is not None and not path.exists()


def _one(
    here: Installation, name: str, url: str, path: Path | None
) -> Iterator[CheckResult]:
    with reading(here.engine(url)) as db:
        if path is not None:
            damage = _damage(db)
            if damage:
                text = f"SQLite finds {path} damaged: {damage}"
                yield fault(f"{name} database", text, _RESTORE)
                return
        versions = SITE_VERSIONS if name == "site" else REVISIONS.version_table
        stored = _revision(db, versions)
    needed = REVISIONS.head() if name == "vault" else None
    if stored is None or (needed is not None and stored != needed):
        yield fault(
            f"{name} database",
            f"is at revision {stored or 'none'}, this code needs {needed or 'more'}",
            _MIGRATE,
        )
    elif needed is None:
        seen = f"answers, is whole, at revision {stored}"
        yield ok(f"{name} database", f"{seen} (compare it: {_MIGRATE} --check)")
    else:
        yield ok(f"{name} database", f"answers, is whole, at revision {stored}")


def _damage(db: Connection) -> str:
    """What SQLite finds wrong with the file, as one line and a count; "" when
    nothing."""
    rows = db.execute(text("PRAGMA quick_check")).scalars().all()
    lines = [line for row in rows for line in str(row).splitlines()]
    lines = [line for line in lines if line and not line.startswith("***")]
    if lines == ["ok"] or not lines:
        return ""
    more = f", and {len(lines) - 1:,} lines more" if len(lines) > 1 else ""
    return lines[0][:_MOST_SHOWN] + more


def _revision(db: Connection, versions: str) -> str | None:
    if not inspect(db).has_table(versions):
        return None
    query: Select[Any] = (
        select(column("version_num")).select_from(table(versions)).limit(1)
    )
    stored = db.execute(query).scalar()
    return None if stored is None else str(stored)


def _mend(path: Path | None) -> str:
    if path is None:
        return "see whether PostgreSQL runs and takes this host and role"
    found = path.stat()
    if stat.S_IMODE(found.st_mode) & stat.S_IRUSR:
        return _RESTORE
    return f"chmod 600 {path}"


def disk_room(here: Installation) -> Iterator[CheckResult]:
    """Check the room on the disk of each file of a database."""
    folders = [path.parent for path in here.sqlite_files().values()]
    for folder in dict.fromkeys(folder for folder in folders if folder.is_dir()):
        free = shutil.disk_usage(folder).free
        said = f"{free // MEBIBYTE:,} MB are left on the disk of {folder}"
        if free < LOW_DISK_BYTES:
            yield warning("disk room", said, "make room, before pages answer 503")
        else:
            yield ok("disk room", said)


def connection(here: Installation) -> Iterator[CheckResult]:
    """Check how each PostgreSQL database is connected: TLS, and the limits that keep a
    page from waiting for ever."""
    for name, db in _servers(here):
        url = make_url(here.databases[name])
        mode = str(url.query.get("sslmode", "prefer"))
        if mode in _VERIFIED:
            yield ok(f"{name} TLS", f"sslmode={mode}")
        elif str(url.query.get("host", url.host) or "").startswith("/"):
            yield ok(f"{name} TLS", "a socket on this machine")
        else:
            yield warning(
                f"{name} TLS",
                f"sslmode={mode} takes any server"
                + ("" if _encrypted(db) else ", and this connection is in the clear"),
                "add ?sslmode=verify-full&sslrootcert=ca.crt to the URL",
            )
        limits = {limit: str(_show(db, limit)) for limit in _TIMEOUTS}
        without = [limit for limit, value in limits.items() if value == "0"]
        if without:
            said = f"{', '.join(without)} is off"
            yield warning(f"{name} timeouts", said, "take it out of the URL's options")
        else:
            yield ok(
                f"{name} timeouts", ", ".join(f"{k} {v}" for k, v in limits.items())
            )


def powers(here: Installation) -> Iterator[CheckResult]:
    """Check that the role may do no more than it has to."""
    for name, db in _servers(here):
        row: Any = db.execute(_POWERS).one()
        facts = row._mapping
        held = [power[3:] for power, has in facts.items() if has is True]
        rewrites = bool(db.execute(_REWRITES).scalar())
        if rewrites:
            yield warning(
                f"{name} role",
                f"{row.rolname} may change and delete entries of the trail",
                "docs/operations.md, under: PostgreSQL: roles",
            )
        if held:
            yield warning(
                f"{name} role",
                f"{row.rolname} is {', '.join(held)}",
                "give the site and the commands roles of their own without that",
            )
        if not held and not rewrites:
            said = f"{row.rolname} has no power over the server or the trail"
            yield ok(f"{name} role", said)


def slots(here: Installation) -> Iterator[CheckResult]:
    """Check that no forgotten replication slot keeps the write-ahead log, and with it
    what was deleted."""
    for name, db in _servers(here):
        kept = db.execute(_SLOTS).all()
        for row in kept:
            yield warning(
                f"{name} replication slots",
                f"{row.slot_name} is used by nobody and keeps "
                f"{int(row.held or 0) // MEBIBYTE:,} MB of pg_wal",
                f"SELECT pg_drop_replication_slot('{row.slot_name}')",
            )
        if not kept:
            yield ok(f"{name} replication slots", "none that nobody uses")


def _servers(here: Installation) -> Iterator[tuple[str, Connection]]:
    for name, url in here.databases.items():
        if sqlite_path(url) is None and _answers(here, url):
            with reading(here.engine(url)) as db:
                yield name, db


def _answers(here: Installation, url: str) -> bool:
    """Say whether a database answers at all; ``answer`` says why not."""
    try:
        with reading(here.engine(url)) as db:
            db.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _encrypted(db: Connection) -> bool:
    query = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    return bool(db.execute(query).scalar())


def _show(db: Connection, setting: str) -> object:
    query = text("SELECT current_setting(:name)")
    return db.execute(query, {"name": setting}).scalar()
