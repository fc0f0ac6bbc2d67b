"""Makes the record of a key rotation, a page in Japanese or English to be signed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row

from ...card.scrub import one_line
from ...store.schema import ROTATION
from ...web.vault import Vault
from ..open_vault import OpenVault
from ..rotation.status import rotation_status, with_counts
from .page import japan_time

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Record of key rotation",
        "vault": "Vault",
        "id": "Rotation",
        "actor": "Run by",
        "reason": "Reason",
        "started_at": "Begun (Japan time)",
        "finished_at": "Finished (Japan time)",
        "generation": "Generations",
        "census_before": "Cards before",
        "census_after": "Cards after",
        "reencrypted": "Cards re-encrypted",
        "newer": "Skipped because newer",
        "quarantined": "Quarantined",
        "read_back": "Cards read back",
        "keys_destroyed": "Data keys destroyed",
        "audit_seq": "Audit trail position",
        "how": "Verified by",
        "method": (
            "each card's row MAC, opening its new envelope (AES-256-GCM), length, "
            "first two and last four digits against the row, and its revision "
            "against the audit trail"
        ),
        "state": "Result",
        "running": "not finished",
        "good": "finished; no card of an older generation is left",
        "bad": "finished; quarantined cards keep the older data keys",
        "none": "none given",
        "of": "generation {number}: {count:,}",
        "at_work": "At work now",
        "made_by_root": "Record signed by",
        "root": "root key {root}, checked",
        "unchecked": (
            "not checked: the root key was not at hand, and whoever has the web key "
            "could have written this record"
        ),
        "sign": "Name, date and signature",
    },
    "ja": {
        "title": "鍵ローテーション実施記録",
        "vault": "保管庫",
        "id": "ローテーション番号",
        "actor": "実施者",
        "reason": "実施理由",
        "started_at": "開始日時（日本時間）",
        "finished_at": "完了日時（日本時間）",
        "generation": "鍵の世代",
        "census_before": "実施前のカード件数",
        "census_after": "実施後のカード件数",
        "reencrypted": "再暗号化したカード",
        "newer": "新しいため対象外",
        "quarantined": "隔離",
        "read_back": "読み戻し確認したカード",
        "keys_destroyed": "破棄したデータ鍵",
        "audit_seq": "監査証跡の位置",
        "how": "確認方法",
        "method": (
            "全カードについて、行のMACの検査、新しい暗号文の復号（AES-256-GCM）、"
            "桁数・先頭2桁・下4桁と行との照合、版数と監査証跡との照合"
        ),
        "state": "結果",
        "running": "未完了",
        "good": "完了（旧世代のカードは残っていません）",
        "bad": "完了（隔離されたカードがあるため、旧データ鍵を保持しています）",
        "none": "記載なし",
        "of": "第{number}世代 {count:,}件",
        "at_work": "実行中のプロセス",
        "made_by_root": "記録の署名",
        "root": "ルート鍵 {root} による（確認済み）",
        "unchecked": (
            "未確認（ルート鍵なしで出力したため、ウェブ鍵を持つ者による偽造でないことは"
            "確認していません）"
        ),
        "sign": "氏名・日付・署名",
    },
}
_ORDER = (
    "vault",
    "id",
    "actor",
    "reason",
    "started_at",
    "finished_at",
    "generation",
    "census_before",
    "census_after",
    "reencrypted",
    "newer",
    "quarantined",
    "read_back",
    "how",
    "keys_destroyed",
    "audit_seq",
    "made_by_root",
    "state",
)


def facts_of(vault: Vault, db: Connection, row: Row[Any]) -> dict[str, Any]:
    """What the record of the rotation with this row says.  Raises IntegrityFault when
    the row was edited, NotMadeByRoot when the root at hand did not make it."""
    vault.signer.check(ROTATION, row, f"rotation {row.id}")
    values = with_counts(vault, db, dict(row._mapping))
    facts = {"vault": vault.web_key.vault_id, **_facts(values)}
    if row.state == "running":
        facts["at_work"] = rotation_status(vault, db, row).at_work
    proven = vault.root_id if isinstance(vault, OpenVault) else None
    return {**facts, "made_by_root": proven}


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    hidden = ("mac", "ops_mac", "lease", "lease_at", "card_cursor")
    values = {k: v for k, v in row.items() if k not in hidden}
    for name in ("census_before", "census_after"):
        values[name] = json.loads(values[name] or "null")
    return values


def page(facts: dict[str, Any], lang: str) -> str:
    """The record as one printable page."""
    words = _WORDS[lang]
    shown = {
        **facts,
        "reason": facts["reason"] or words["none"],
        "started_at": japan_time(facts["started_at"]),
        "finished_at": japan_time(facts["finished_at"]),
        "generation": f"{facts['generation'] - 1} -> {facts['generation']}",
        "census_before": _census(facts["census_before"], words),
        "census_after": _census(facts["census_after"], words),
        "how": words["method"],
        "made_by_root": words["root"].format(root=facts["made_by_root"])
        if facts["made_by_root"]
        else words["unchecked"],
        "state": words[_result(facts)],
    }
    lines = [words["title"], "=" * 64, ""]
    lines += [f"{words[name]}: {_number(shown[name])}" for name in _ORDER]
    if "at_work" in facts:
        lines.append(f"{words['at_work']}: {', '.join(facts['at_work']) or '-'}")
    return "\n".join([*map(one_line, lines), "", "", f"{words['sign']}: {'_' * 40}"])


def needs_a_look(facts: dict[str, Any]) -> bool:
    """Say whether the rotation is unfinished or left cards in quarantine."""
    return _result(facts) != "good"


def _result(facts: dict[str, Any]) -> str:
    if facts["state"] == "running":
        return "running"
    return "bad" if facts["quarantined"] else "good"


def _census(census: dict[str, int] | None, words: dict[str, str]) -> str:
    parts = [
        words["of"].format(number=number, count=count)
        for number, count in (census or {}).items()
    ]
    return ", ".join(parts) or "0"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "-")
