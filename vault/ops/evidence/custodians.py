"""Makes the form on which the custodians of the root key take on their duty."""

from __future__ import annotations

from collections.abc import Sequence

from .words import Cell, Subject, Table, Words

_LINES = 5
_COLUMNS = (
    Words("片の番号", "Share"),
    Words("保管者 氏名", "Custodian"),
    Words("所属・役職", "Department, post"),
    Words("保管場所・容器番号", "Where, seal no."),
    Words("受領日", "Received on"),
    Words("返却日", "Returned on"),
    Words("署名・印", "Signature or seal"),
)
_DUTIES = (
    Words(
        "分散片（またはパスフレーズ・鍵媒体）を、許可された場所に封をして保管し、"
        "写し・写真・電子的な記録を作りません。",
        "I keep my share (or passphrase, or medium) sealed in the place agreed, and make "
        "no copy, picture or electronic record of it.",
    ),
    Words(
        "他の保管者の片を預からず、自分の片を他人に渡しません。",
        "I hold no other custodian's share and hand mine to nobody else.",
    ),
    Words(
        "紛失・漏えい、またはその疑いを知ったときは、直ちに責任者へ報告します。",
        "I report at once when my share is lost, or may be known to somebody.",
    ),
    Words(
        "異動・退職のときは片を返却し、責任者は新しい片への切替"
        "（cardvault root rotate）を手配します。",
        "I give my share back when I change post or leave, and the person in charge has "
        "the root changed (cardvault root rotate).",
    ),
    Words(
        "鍵管理者としての責任を理解し、これを引き受けます。",
        "I understand what a key custodian is responsible for, and take it on.",
    ),
)


def form() -> Subject:
    """The form for the root that the page's head names, to be filled in by hand."""
    empty: Sequence[Cell] = [""] * (len(_COLUMNS) - 1)
    lines: list[Sequence[Cell]] = [(str(n), *empty) for n in range(1, _LINES + 1)]
    duties: list[Sequence[Cell]] = [
        (str(number), duty) for number, duty in enumerate(_DUTIES, 1)
    ]
    terms: list[Sequence[Cell]] = [
        (
            Words("必要な片の数／全体の数", "Shares needed / shares made"),
            "      /      ",
        ),
        (Words("鍵管理の責任者", "Person in charge of the keys"), ""),
        (Words("次回の確認予定日", "To be looked through again on"), ""),
    ]
    return Subject(
        "custodians",
        Words("鍵保管者 引受書", "Key custodians' form"),
        Words(
            "ルート鍵の分散片・パスフレーズ・鍵媒体を預かる人の一覧と引受けの署名。"
            "誰がどの片を持つかはデータベースに記録されないため、紙で管理します。",
            "Who holds which share, passphrase or medium of the root key, with their "
            "signatures. No database knows that, so it is kept on paper.",
        ),
        "3.6.1.3, 3.7.6, 3.7.8",
        (
            Table(
                Words("対象", "Subject"),
                (Words("項目", "What"), Words("記入", "To be filled in")),
                terms,
            ),
            Table(
                Words("引き受ける内容", "What is taken on"),
                (Words("項", "No."), Words("内容", "Duty")),
                duties,
            ),
            Table(Words("保管者", "Custodians"), _COLUMNS, lines),
        ),
    )
