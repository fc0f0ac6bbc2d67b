"""Shows who may read and change what: PostgreSQL's roles and grants by its catalogue,
SQLite's and the keys' files by owner and mode."""

from __future__ import annotations

import grp
import pwd
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ...errors import VaultError
from ...settings import VaultSettings
from ...store import grants
from ...store.database import connect, reading
from ...store.sqlite import sqlite_path
from ...store.write_queue import SUFFIX as QUEUE
from .words import Cell, Subject, Table, Words, yes_or_no

_SIDE_FILES = ("", "-wal", "-shm", "-journal", QUEUE)
_ROLES = text("""
    SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls,
        rolreplication, ARRAY(
            SELECT other.rolname::text FROM pg_auth_members
            JOIN pg_roles other ON other.oid = roleid WHERE member = pg_roles.oid
            ORDER BY 1)
    FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname
""")
_GRANTS = text("""
    WITH ours AS (
        SELECT * FROM pg_class WHERE relnamespace = current_schema()::regnamespace
        AND relkind IN ('r', 'p', 'S', 'v')
    ), given AS (
        SELECT relname, '' AS attname, acl.grantee, acl.privilege_type
        FROM ours, aclexplode(coalesce(relacl, acldefault(
            CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) acl
        UNION ALL
        SELECT relname, attname, acl.grantee, acl.privilege_type
        FROM ours JOIN pg_attribute ON attrelid = ours.oid, aclexplode(attacl) acl
    )
    SELECT relname, coalesce(rolname, 'PUBLIC'), privilege_type,
        string_agg(attname, ', ' ORDER BY attname)
    FROM given LEFT JOIN pg_roles ON pg_roles.oid = grantee
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
_SERVER = (
    "server_version",
    "ssl",
    "password_encryption",
    "log_connections",
    "log_statement",
    "wal_level",
)
_ROLE_COLUMNS = (
    Words("ロール", "Role"),
    Words("ログイン可", "Logs in"),
    Words("スーパーユーザー", "Superuser"),
    Words("ロール作成", "Makes roles"),
    Words("DB作成", "Makes databases"),
    Words("RLS回避", "Bypasses RLS"),
    Words("レプリケーション", "Replicates"),
    Words("所属", "Member of"),
)
_GRANT_COLUMNS = (
    Words("表", "Table"),
    Words("ロール", "Role"),
    Words("許可", "Privileges"),
)
_FILE_COLUMNS = (
    Words("ファイル", "File"),
    Words("用途", "What it is"),
    Words("所有者", "Owner"),
    Words("グループ", "Group"),
    Words("権限", "Mode"),
)
_KEYS = ("file", "is", "owner", "group", "mode")
_FILES = {
    "vault": Words("保管庫データベース", "the vault's database"),
    "site": Words("サイトのデータベース", "the site's database"),
    "web key": Words("ウェブ鍵ファイル", "the web key file"),
    "root key": Words("ルート鍵ファイル", "the root key file"),
}
_NAMES = {
    "vault": Words("保管庫データベース", "The vault's database"),
    "site": Words("サイトのデータベース", "The site's database"),
}


@dataclass(frozen=True)
class Access:
    """The subject, and the version of each PostgreSQL server that answered."""

    subject: Subject
    servers: dict[str, str]


def access(settings: VaultSettings) -> Access:
    """Who may do what, as far as this account can see it.  A database that doesn't
    answer is named, and the rest is shown all the same."""
    files = _rows(settings)
    tables = [_files(files)]
    data: dict[str, Any] = {"files": [dict(zip(_KEYS, r, strict=True)) for r in files]}
    servers, missing = {}, False
    wrong = any(int(file[-1], 8) & 0o077 for file in files)
    urls = {"vault": settings.database_url, "site": settings.site_database_url}
    for name, url in urls.items():
        if sqlite_path(url) is not None:
            continue
        found = _asked(name, url)
        data[name] = found
        tables += _server_tables(_NAMES[name], found)
        wrong |= found.get("as_granted") is False
        missing |= "not_reached" in found
        if "settings" in found:
            servers[f"PostgreSQL ({name})"] = found["settings"]["server_version"]
    return Access(
        Subject(
            "access",
            Words("アクセス権", "Access rights"),
            Words(
                "データベースのロールと権限、データベース・鍵ファイルの所有者と権限。",
                "The databases' roles and grants, owners and modes of databases and key "
                "files.",
            ),
            "7.2.1, 7.2.2, 7.2.5, 7.2.6, 7.3.1, 10.3.1, 10.3.2",
            tables,
            data,
            wrong=wrong,
            missing=missing,
        ),
        servers,
    )


def _files(files: Sequence[tuple[str, str, str, str, str]]) -> Table:
    rows: list[Sequence[Cell]] = [
        (file, _FILES[kind], owner, group, mode)
        for file, kind, owner, group, mode in files
    ]
    return Table(
        Words("ファイルの所有者と権限", "Owners and modes of files"),
        _FILE_COLUMNS,
        rows,
        Words(
            "このコマンドを実行した機械にあるものだけです。",
            "Those on the machine that this was run on.",
        ),
    )


def _rows(settings: VaultSettings) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for path, kind in _paths(settings):
        # SQLite removes the files beside a database when nobody has it open any more.
        with suppress(FileNotFoundError):
            found = path.stat()
            owner, group = _owner(found.st_uid), _group(found.st_gid)
            rows.append((str(path), kind, owner, group, _mode(found.st_mode)))
    return rows


def _paths(settings: VaultSettings) -> Iterator[tuple[Path, str]]:
    urls = {"vault": settings.database_url, "site": settings.site_database_url}
    for kind, url in urls.items():
        database = sqlite_path(url)
        if database is None:
            continue
        for path in (database.with_name(database.name + s) for s in _SIDE_FILES):
            if path.is_file():
                yield path, kind
    keys = {"web key": settings.web_key, "root key": settings.root_key}
    for kind, key in keys.items():
        if key is not None and key.is_file():
            yield key, kind


def _asked(name: str, url: str) -> dict[str, Any]:
    """What a server's catalogue says, or why it was not asked."""
    engine = connect(url)
    try:
        with reading(engine) as db:
            return _catalogue(name, db)
    except (SQLAlchemyError, VaultError) as error:
        cause = getattr(error, "orig", None) or error
        first = next(iter(str(cause).strip().splitlines()), type(error).__name__)
        return {"not_reached": first}
    finally:
        engine.dispose()


def _catalogue(name: str, db: Connection) -> dict[str, Any]:
    found: dict[str, Any] = {
        "role": db.scalar(text("SELECT current_user::text")),
        "settings": {one: db.scalar(_setting(one)) for one in _SERVER},
        "roles": [list(row) for row in db.execute(_ROLES)],
        "grants": [list(row) for row in db.execute(_GRANTS)],
    }
    if name == "vault":
        found["as_granted"] = not grants.difference(db, grants.GRANTS)
    return found


def _setting(name: str) -> Any:
    return text("SELECT current_setting(:name, true)").bindparams(name=name)


def _server_tables(name: Words, found: Mapping[str, Any]) -> Iterator[Table]:
    if "not_reached" in found:
        why: Sequence[Cell] = (str(found["not_reached"]),)
        heading = Words(f"{name.ja}：接続できず未確認", f"{name.en}: not reached")
        yield Table(heading, (Words("理由（原文）", "Why"),), [why])
        return
    yield Table(
        Words(f"{name.ja}：サーバーの設定", f"{name.en}: the server"),
        (Words("名前", "Name"), Words("値", "Value")),
        list(_server_rows(found)),
    )
    roles: list[Sequence[Cell]] = [
        (row[0], *map(yes_or_no, row[1:7]), ", ".join(row[7])) for row in found["roles"]
    ]
    yield Table(Words(f"{name.ja}：ロール", f"{name.en}: roles"), _ROLE_COLUMNS, roles)
    granted: list[Sequence[Cell]] = [
        (table, role, ", ".join(privileges))
        for (table, role), privileges in _by_role(found["grants"]).items()
    ]
    heading = Words(f"{name.ja}：表ごとの許可", f"{name.en}: grants by table")
    yield Table(heading, _GRANT_COLUMNS, granted)


def _server_rows(found: Mapping[str, Any]) -> Iterator[Sequence[Cell]]:
    yield Words("このコマンドのロール", "role of this command"), found["role"]
    if "as_granted" in found:
        good = Words(
            "設計どおりの許可か（ロールがある場合）",
            "grants are as designed, where the roles exist",
        )
        yield good, yes_or_no(found["as_granted"])
    yield from found["settings"].items()


def _by_role(rows: Sequence[Sequence[str]]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for table, role, privilege, columns in rows:
        shown = (
            f"{privilege} ({columns.strip(', ')})" if columns.strip(", ") else privilege
        )
        found.setdefault((table, role), []).append(shown)
    return found


def _owner(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"uid {uid}"


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return f"gid {gid}"


def _mode(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"
