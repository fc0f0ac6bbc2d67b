"""``cardvault report rotation`` prints a page for an assessor, Japanese or English."""

from __future__ import annotations

import json
import time
from typing import Any

import click
from sqlalchemy import select

from ..card.expiry import JAPAN_OFFSET
from ..card.scrub import one_line
from ..ops.open_vault import OpenVault
from ..ops.rotation.status import rotation_status, with_counts
from ..store.database import reading
from ..store.schema import ROTATION
from .output import reader_may_leave
from .vaults import EXAMPLE, vault_with_root_key_if_there

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


@click.group()
def report() -> None:
    """Print records for an assessor."""


@report.command(
    epilog=EXAMPLE + "cardvault report rotation 3 --lang en > rotation-3.txt"
)
@click.argument("number", type=int, required=False)
@click.option(
    "--lang", type=click.Choice(["ja", "en"]), default="ja", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rotation(number: int | None, lang: str, as_json: bool) -> None:
    """Print the record of rotation NUMBER, or of the latest.

    With the root key the record's MAC of the root is checked; without it the page says
    that it was not.
    """
    vault = vault_with_root_key_if_there()
    query = select(ROTATION).order_by(ROTATION.c.id.desc()).limit(1)
    if number is not None:
        query = query.where(ROTATION.c.id == number)
    with reading(vault.engine) as db:
        row = db.execute(query).first()
        if row is None:
            raise click.UsageError(
                f"there is no rotation {number}"
                if number
                else "no card was ever rotated"
            )
        vault.signer.check(ROTATION, row, f"rotation {row.id}")
        values = with_counts(vault, db, dict(row._mapping))
        running = row.state == "running"
        now = rotation_status(vault, db, row).at_work if running else None
    proven = vault.root_id if isinstance(vault, OpenVault) else None
    facts = {"vault": vault.web_key.vault_id, **_facts(values)}
    if now is not None:
        facts["at_work"] = now
    facts["made_by_root"] = proven
    with reader_may_leave():
        click.echo(json.dumps(facts) if as_json else page(facts, lang))


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
        "started_at": _japan_time(facts["started_at"]),
        "finished_at": _japan_time(facts["finished_at"]),
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


def _japan_time(at: int | None) -> str:
    if at is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at + JAPAN_OFFSET))


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value or "-")
