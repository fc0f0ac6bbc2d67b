"""Shows what ``cardvault status`` says as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .page import japan_time
from .words import Cell, Subject, Table, Words, yes_or_no


def of_status(status: dict[str, Any], warnings: Sequence[str]) -> Subject:
    """What ``cardvault status`` says, ``status`` as its ``--json`` prints it."""
    by_generation: list[Sequence[Cell]] = [
        (number, count) for number, count in status["census"].items()
    ]
    noted: list[Sequence[Cell]] = [(line,) for line in warnings]
    return Subject(
        "status",
        Words("保管庫の状態", "State of the vault"),
        Words(
            "カードの件数、鍵の世代、隔離、監査証跡の長さ、注意事項（cardvault status の内容）。",
            "Cards, generations of keys, quarantine, the trail's length and what to look "
            "at, as cardvault status shows them.",
        ),
        "3.5.1, 3.7.4, 10.5.1",
        (
            _overview(status),
            Table(
                Words("世代ごとのカード", "Cards by generation"),
                (Words("世代", "Generation"), Words("件数", "Cards")),
                by_generation,
            ),
            Table(
                Words("注意事項", "To look at"),
                (Words("内容（原文）", "What"),),
                noted,
            ),
        ),
        status,
        wrong=bool(warnings),
    )


def _overview(status: dict[str, Any]) -> Table:
    facts: list[Sequence[Cell]] = [
        (Words("鍵の世代", "Generation of the keys"), status["generation"]),
        (Words("保管中のカード", "Cards kept"), status["cards"]),
        (Words("隔離されたカード", "Cards in quarantine"), status["quarantined"]),
        (Words("監査証跡の件数", "Entries in the audit trail"), status["audit_seq"]),
        (
            Words("最後に外部へ渡したアンカー", "Newest anchor sent away"),
            japan_time(status["anchor"]["at"]),
        ),
        (
            Words("最後のバックアップ開始", "Newest backup begun"),
            japan_time(status["backup"]),
        ),
        (
            Words("未完了のローテーション", "A rotation is unfinished"),
            yes_or_no(status["rotation"] is not None),
        ),
    ]
    columns = (Words("項目", "What"), Words("値", "Value"))
    note = Words("「-」は一度もないことを示します。", "“-” is for never.")
    return Table(Words("概要", "Overview"), columns, facts, note)
