"""Lists the keys: what each is for, how it is made, how old it is, when it ends.

Of the data keys each is in the database; of the others the vault knows what kind they
are, and the merchant where they lie.  No key material is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from ... import crypto
from ...clock import DAY_SECONDS
from ...store.schema import DATA_KEY, VAULT
from ...web.newest_entries import newest_entries
from ...web.vault import Vault
from ..census import Census
from .page import japan_time
from .words import Cell, Subject, Table, Words

CRYPTOPERIOD_DAYS = 365
"""After how many days ``cardvault status`` asks for a rotation, at the latest."""
_STATES = {
    "live": Words("使用中", "in use"),
    "retired": Words("新規使用停止（復号のみ）", "retired: opens, seals no more"),
    "destroyed": Words("破棄済み", "destroyed"),
    "damaged": Words("記録が改変されている", "its row was edited"),
}
_COLUMNS = (
    Words("番号", "No."),
    Words("世代", "Generation"),
    Words("状態", "State"),
    Words("作成", "Made"),
    Words("期限", "To be changed by"),
    Words("使用停止", "Retired"),
    Words("破棄", "Destroyed"),
    Words("カード", "Cards"),
    Words("封印回数", "Seals"),
)
_KIND_COLUMNS = (
    Words("鍵", "Key"),
    Words("用途", "What for"),
    Words("方式・長さ", "Algorithm, length"),
    Words("保管場所・保護", "Where, protected by"),
    Words("作成・変更", "Made, changed"),
)
_YEARLY = Words("作成から365日以内に変更", "changed within 365 days of being made")


def inventory(vault: Vault, db: Connection, census: Census) -> Subject:
    """The inventory of keys, by the database as it is."""
    counts = {key.id: key for key in census.keys}
    rows = db.execute(select(DATA_KEY).order_by(DATA_KEY.c.id)).all()
    keys = [_key(row, counts[row.id].state, counts[row.id].cards) for row in rows]
    state = db.execute(select(VAULT)).one()
    changed = _changed(db, census.root_id)
    late = [key for key in keys if key["cards"] and key["ends_at"] < vault.clock()]
    data = {
        "root": {"id": census.root_id, "suite": state.suite, "made_at": changed},
        "next_root": census.next_root_id,
        "web_key": {"bits": 8 * crypto.KEY_BYTES, "algorithm": "HMAC-SHA-256"},
        "cryptoperiod_days": CRYPTOPERIOD_DAYS,
        "data_keys": keys,
    }
    return Subject(
        "keys",
        Words("鍵の台帳", "Inventory of keys"),
        Words(
            "カードの保護に使う鍵の種類・方式・長さ・状態・作成日・期限。"
            "鍵そのものは含みません。",
            "The keys that protect cards: kinds, algorithms, lengths, states, when made "
            "and when they end. No key material.",
        ),
        "3.6.1, 3.6.1.1, 3.7.1, 3.7.4, 3.7.5, 12.3.3",
        (_kinds(census.root_id, changed, state.created_at), _data_keys(keys)),
        data,
        wrong=bool(late),
    )


def _key(row: Row[Any], state: str, cards: int) -> dict[str, Any]:
    """A data key's row as the JSON has it; a damaged row may hold anything."""
    made = row.created_at if isinstance(row.created_at, int) else 0
    return {
        "id": row.id,
        "generation": row.generation,
        "algorithm": "AES-256-GCM",
        "bits": 8 * crypto.KEY_BYTES,
        "state": state,
        "wrapped_by": row.root_id,
        "wrapped_as": row.suite,
        "made_at": made,
        "ends_at": made + CRYPTOPERIOD_DAYS * DAY_SECONDS,
        "retired_at": row.retired_at,
        "destroyed_at": row.destroyed_at,
        "cards": cards,
        "seals": row.seals,
    }


def _changed(db: Connection, root_id: str) -> int | None:
    """When the root in use came into use by a root rotation, as the trail says; None
    when it is the vault's first."""
    found = newest_entries(db, [f"root {root_id}"], ["root.finalized"])
    return max(found.values(), default=None)


def _data_keys(keys: Sequence[dict[str, Any]]) -> Table:
    rows: list[Sequence[Cell]] = [
        (
            str(key["id"]),
            str(key["generation"]),
            _STATES.get(key["state"], key["state"]),
            japan_time(key["made_at"]),
            "-" if key["state"] == "destroyed" else japan_time(key["ends_at"]),
            japan_time(key["retired_at"]),
            japan_time(key["destroyed_at"]),
            key["cards"],
            key["seals"],
        )
        for key in keys
    ]
    return Table(
        Words("データ鍵（カードを暗号化する鍵）", "Data keys, which encrypt cards"),
        _COLUMNS,
        rows,
        Words(
            "方式はいずれもAES-256-GCM（256ビット）。期限は作成から365日。"
            "1本の鍵の封印回数の上限はNIST SP 800-38Dによります。",
            "Each is for AES-256-GCM, 256 bits, and ends 365 days after it was made. How "
            "often one may seal is limited by NIST SP 800-38D.",
        ),
    )


# The kinds of keys whose row is the same in every vault.
_OTHER_KINDS: tuple[Sequence[Cell], ...] = (
    (
        Words("データ鍵", "Data keys"),
        Words("カード番号の暗号化", "encrypt card numbers"),
        Words("AES-256-GCM、256ビット", "AES-256-GCM, 256 bits"),
        Words(
            "保管庫データベース。ルート鍵で包んだ形でのみ保存",
            "the vault's database, wrapped under the root key alone",
        ),
        _YEARLY,
    ),
    (
        Words("ウェブ鍵ファイルの鍵", "Sealing key of the web key file"),
        Words(
            "行のMACと監査証跡。カードは開けない",
            "MACs of rows, the audit trail; opens no card",
        ),
        Words("HMAC-SHA-256、256ビット", "HMAC-SHA-256, 256 bits"),
        Words(
            "Webサーバーの権限0600のファイル",
            "a file of mode 0600 on the web server",
        ),
        Words("cardvault web-key rotate で変更", "changed by cardvault web-key rotate"),
    ),
    (
        "SECRET_KEY",
        Words(
            "ログインのCookie・フォーム・認証コード",
            "cookies, forms and codes of the login",
        ),
        Words("256ビット以上", "256 bits or more"),
        Words("Webサーバーの設定", "the web server's settings"),
        Words("SECRET_KEY_FALLBACKS とともに変更", "changed by SECRET_KEY_FALLBACKS"),
    ),
)


def _kinds(root_id: str, changed: int | None, founded: int) -> Table:
    since = japan_time(changed or founded)
    rows: list[Sequence[Cell]] = [
        (
            Words(f"ルート鍵 {root_id}", f"Root key {root_id}"),
            Words(
                "データ鍵を包み、運用側の記録に署名する（鍵暗号化鍵）",
                "wraps the data keys, signs what the ops side writes (key-encrypting key)",
            ),
            crypto.SUITE,
            Words(
                "Webサーバーの外。パスフレーズで封をしたファイル、または分散片（Shamir）",
                "off the web server: a file under a passphrase, or custodians' shares",
            ),
            Words(f"{since} から使用", f"in use since {since}"),
        ),
        *_OTHER_KINDS,
    ]
    return Table(Words("鍵の種類", "Kinds of keys"), _KIND_COLUMNS, rows)
