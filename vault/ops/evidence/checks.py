"""Shows what ``verify`` and ``audit verify`` found, now or when they were last run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..checks import Done
from ..verify import Finding
from .page import japan_time
from .words import Cell, Subject, Table, Words

_TITLE = Words("検証の結果", "What the checks found")
_SHOWS = Words(
    "全カードの復号と全行の検査（verify）、監査証跡の検査（audit verify）の結果と、"
    "監査証跡に記録された直近の実施日。",
    "Whether every card opens and every row is as written (verify), whether the audit "
    "trail is whole (audit verify), and when each check was last made by the trail.",
)
_GOOD, _BAD = (
    Words("異常なし", "nothing was found"),
    Words("異常あり", "something was found"),
)
_NOT_RUN = Words(
    "今回は実行していません：ルート鍵が手元にないため（VAULT_ROOT_KEY または "
    "VAULT_ROOT_KEY_COMMAND を設定すると実行されます）。",
    "Not run now: the root key was not at hand (set VAULT_ROOT_KEY or "
    "VAULT_ROOT_KEY_COMMAND).",
)
_RUN = Words("今回、ルート鍵を用いて実行しました。", "Run now, with the root key.")
_UNANCHORED = Words(
    "今回、ルート鍵を用いて実行しました。アンカーは渡されていないため、"
    "古いデータベースへの差し替えはこの検査では分かりません（--anchor）。",
    "Run now, with the root key. No anchor was given, so these checks can't tell "
    "whether an older database was put back (--anchor).",
)


@dataclass(frozen=True)
class Run:
    """What the checks found that were run now: how many ``cards`` were opened and
    ``entries`` of the trail read, against how many ``anchors``; the findings of each."""

    cards: int
    entries: int
    anchors: int
    verify: Sequence[Finding]
    trail: Sequence[Finding]

    @property
    def well(self) -> bool:
        """Whether nothing was found."""
        return not self.verify and not self.trail


def of_checks(run: Run | None, newest: Mapping[str, Done]) -> Subject:
    """The page of the checks: ``run`` is None when the root key was not at hand,
    ``newest`` is the last result of each by the trail."""
    tables = [_run_table(run), _newest_table(newest)]
    found = [*run.verify, *run.trail] if run else []
    if found:
        rows: list[Sequence[Cell]] = [(one.subject, one.problem) for one in found]
        columns = (Words("対象", "What"), Words("内容（原文）", "What is wrong"))
        tables.append(Table(Words("見つかった異常", "Found"), columns, rows))
    data = {
        "run": run is not None,
        "cards_opened": run.cards if run else None,
        "entries_read": run.entries if run else None,
        "anchors_held": run.anchors if run else None,
        "verify": [vars(one) for one in run.verify] if run else None,
        "audit_verify": [vars(one) for one in run.trail] if run else None,
        "newest": {name: vars(done) for name, done in newest.items()},
    }
    wrong = run is not None and not run.well
    requirements = "3.5.1, 10.3.2, 10.3.4, 10.4.1, 11.5.2"
    return Subject(
        "checks",
        _TITLE,
        _SHOWS,
        requirements,
        tables,
        data,
        wrong=wrong,
        missing=run is None,
    )


def _run_table(run: Run | None) -> Table:
    columns = (
        Words("検査", "Check"),
        Words("件数", "Looked at"),
        Words("結果", "Result"),
    )
    heading = Words("今回の検査", "Now")
    if run is None:
        return Table(heading, columns, [], _NOT_RUN)
    opened = Words(f"カード {run.cards:,} 件", f"{run.cards:,} cards")
    read = Words(
        f"証跡 {run.entries:,} 件、アンカー {run.anchors:,} 件",
        f"{run.entries:,} entries, {run.anchors:,} anchors",
    )
    rows: list[Sequence[Cell]] = [
        ("cardvault verify", opened, _BAD if run.verify else _GOOD),
        ("cardvault audit verify", read, _BAD if run.trail else _GOOD),
    ]
    return Table(heading, columns, rows, _RUN if run.anchors else _UNANCHORED)


def _newest_table(newest: Mapping[str, Done]) -> Table:
    rows: list[Sequence[Cell]] = [
        (name, japan_time(done.at), _GOOD if done.well else _BAD)
        for name, done in newest.items()
    ]
    columns = (
        Words("検査", "Check"),
        Words("実施日時（日本時間）", "When (Japan time)"),
        Words("結果", "Result"),
    )
    heading = Words("監査証跡に記録された直近の検査", "Newest by the audit trail")
    return Table(heading, columns, rows)
