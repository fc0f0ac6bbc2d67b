"""Lists the operators of the site with the dates that a review of accounts asks for.

It reads the site's tables as they are; the site's own code is not part of the ops side.
On PostgreSQL the role of the ops commands doesn't get into that database: then the page
says where the list comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ...clock import DAY_SECONDS
from ...store.database import connect, reading
from ...store.sqlite import sqlite_path
from ...web.newest_entries import newest_entries
from .page import japan_time
from .words import Cell, Subject, Table, Words

COMMAND = "flask --app wsgi operators list --csv > operators.csv"
UNUSED_SECONDS = 90 * DAY_SECONDS
"""PCI DSS 8.2.6; the site's own number, which a test compares."""
_CHANGED, _RESET = "operator.password_changed", "operator.password_reset"
_ENABLED = "operator.enabled"
_OPERATORS = text("""
    SELECT login_id, name, must_change, locked_until, last_login_at, shared_until,
        shared_approver, disabled_at, used_at, operator.created_at,
        (SELECT created_at FROM totp WHERE operator_id = operator.id) AS totp_at,
        (SELECT max(created_at) FROM passkey WHERE operator_id = operator.id)
            AS passkey_at
    FROM operator ORDER BY login_id
""")
_STATES = {
    "active": Words("有効", "active"),
    "disabled": Words("無効", "disabled"),
    "locked": Words("ロック中", "locked"),
    "ended": Words("共有期限切れ", "ended"),
    "unused": Words("90日以上未使用（ログイン不可）", "unused for 90 days: kept out"),
    "shared": Words("共有ID", "shared"),
    "first password": Words("初期パスワード", "first password"),
}
_FACTORS = {
    "mail": Words("メール", "mail"),
    "totp": Words("認証アプリ", "app"),
    "passkey": Words("パスキー", "passkey"),
}
_COLUMNS = (
    Words("ログインID", "Login ID"),
    Words("氏名", "Name"),
    Words("状態", "State"),
    Words("第2要素", "Second factor"),
    Words("作成", "Made"),
    Words("有効化", "Enabled"),
    Words("最終ログイン", "Last login"),
    Words("パスワード変更", "Password changed"),
    Words("無効化", "Disabled"),
)
_TITLE = Words("操作者の一覧（棚卸し）", "Review of operators")
_SHOWS = Words(
    "サイトにログインできる人の一覧。状態、作成・有効化・無効化の日、最終ログイン、"
    "認証の要素、パスワードの変更日。",
    "Who may log in to the site: state, when made, enabled and disabled, last login, "
    "factors, when the password was changed.",
)
_REQUIREMENTS = "7.2.4, 8.2.1, 8.2.2, 8.2.5, 8.2.6, 8.4.2"


def review(url: str, trail: Connection, now: int) -> Subject:
    """The operators in the site's database at ``url``; ``trail`` reads the vault's
    database, ``now`` is seconds since 1970 UTC."""
    try:
        found = _rows(url)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        return _not_read(next(iter(str(cause).strip().splitlines()), ""))
    if found is None:
        return _not_read("its file is not there")
    names = [row["login_id"] for row in found]
    entries = newest_entries(trail, names, (_CHANGED, _RESET, _ENABLED))
    data = [_facts(row, entries, now) for row in found]
    due = any(one["state"] == "unused" for one in data)
    rows = [_row(one) for one in data]
    table = Table(_TITLE, _COLUMNS, rows, _NOTE)
    return Subject(
        "operators", _TITLE, _SHOWS, _REQUIREMENTS, (table,), data, wrong=due
    )


_NOTE = Words(
    "時刻は日本時間。パスワード変更と有効化は監査証跡によります。「-」は記録なし。",
    "Times are Japan's. Changes of passwords and enabling are by the audit trail. “-” "
    "is for never.",
)


def _not_read(why: str) -> Subject:
    row: Sequence[Cell] = (why, COMMAND)
    columns = (
        Words("理由（原文）", "Why"),
        Words("Webサーバーで取得するコマンド", "What gets it on the web server"),
    )
    heading = Words(
        "この機械からはサイトのデータベースを読めません",
        "The site's database can't be read from here",
    )
    data = {"not_read": why, "command": COMMAND}
    table = Table(heading, columns, [row])
    return Subject(
        "operators", _TITLE, _SHOWS, _REQUIREMENTS, (table,), data, missing=True
    )


def _rows(url: str) -> list[dict[str, Any]] | None:
    """The operators' rows; None when a SQLite file is missing, which is never made."""
    path = sqlite_path(url)
    if path is not None and not path.is_file():
        return None
    engine = connect(url, read_only=path is not None)
    try:
        with reading(engine) as db:
            return [dict(row._mapping) for row in db.execute(_OPERATORS)]
    finally:
        engine.dispose()


def _facts(
    row: dict[str, Any], entries: dict[tuple[str, str], int], now: int
) -> dict[str, Any]:
    name = row["login_id"]
    factors = [kind for kind in ("passkey", "totp") if row[f"{kind}_at"]]
    return {
        "login_id": name,
        "name": row["name"],
        "state": state_of(row, now),
        "factors": factors or ["mail"],
        "made_at": row["created_at"],
        "enabled_at": entries.get((name, _ENABLED)),
        "disabled_at": row["disabled_at"] or None,
        "last_login_at": row["last_login_at"] or None,
        "unused_since": row["used_at"],
        "password_changed_at": entries.get((name, _CHANGED)),
        "password_reset_at": entries.get((name, _RESET)),
        "shared_until": row["shared_until"] or None,
        "shared_approver": row["shared_approver"],
    }


def state_of(row: dict[str, Any], now: int) -> str:
    """An operator's state as ``operators list`` names it, by the columns of its row."""
    if row["disabled_at"]:
        return "disabled"
    if row["locked_until"] > now:
        return "locked"
    if 0 < row["shared_until"] <= now:
        return "ended"
    if now - row["used_at"] > UNUSED_SECONDS:
        return "unused"
    if row["shared_until"]:
        return "shared"
    return "first password" if row["must_change"] else "active"


def _row(one: dict[str, Any]) -> Sequence[Cell]:
    factors = [_FACTORS[kind] for kind in one["factors"]]
    return (
        one["login_id"],
        one["name"],
        _STATES[one["state"]],
        Words("・".join(f.ja for f in factors), ", ".join(f.en for f in factors)),
        japan_time(one["made_at"]),
        japan_time(one["enabled_at"]),
        japan_time(one["last_login_at"]),
        japan_time(one["password_changed_at"]),
        japan_time(one["disabled_at"]),
    )
