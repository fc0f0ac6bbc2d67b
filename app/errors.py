"""Answers errors with static Japanese pages: an incident number and no trace.

``answer_broken`` answers what gunicorn can't parse (WEB-01, WEB-05): no view or guard of
ours sees such a request, and gunicorn's own answer is in English, has none of our
headers and quotes a piece of what was sent.
"""

from __future__ import annotations

import sqlite3
from http import HTTPStatus

from flask import Flask, current_app, render_template, request, session
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as OutOfConnections
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    SecurityError,
    ServiceUnavailable,
)
from werkzeug.wrappers import Response as BaseResponse

from vault.card.token import random_letters
from vault.errors import VaultError

from .happenings import Facts, Kind, happened
from .log import milliseconds
from .security import (
    HEADERS,
    ForeignNetwork,
    LostPort,
    PlainHttp,
    UnknownVisitor,
    tell_unknown_host,
)

INCIDENT_LETTERS = 8

# The texts of each status: what happened, and what to do.
PAGES: dict[int, tuple[str, str]] = {
    400: (
        "送信内容を受け付けられませんでした。",
        "画面を開き直してから、もう一度入力してください。",
    ),
    403: ("この操作は許可されていません。", "一覧からやり直してください。"),
    404: (
        "ページが見つかりません。",
        "アドレスをご確認のうえ、一覧画面からやり直してください。",
    ),
    405: (
        "この操作は受け付けられません。",
        "画面のボタンやリンクから操作してください。",
    ),
    413: ("送信内容が大きすぎます。", "入力内容を短くして、もう一度お試しください。"),
    429: (
        "ログインの失敗が続いたため、この接続元からのログインを15分ほど停止しています。",
        "しばらくしてから、もう一度お試しください。",
    ),
    503: (
        "表示できませんでした。",
        "しばらくしてから、もう一度お試しください。",
    ),
    500: (
        "システムで問題が発生しました。",
        "しばらくしてからもう一度お試しください。続く場合は、受付番号を添えてお問い合わせください。",
    ),
}
CSRF_PAGE = (
    "時間がたったため、受け付けられませんでした。",
    "登録・更新は行われていません。画面を開き直して、もう一度入力してください。",
)
# A form that could not be answered, and one whose ticket keeps it from acting twice.
UNSENT_PAGE = (
    "ただいま処理できません。",
    "登録・更新は行われていません。しばらくしてから、もう一度お試しください。",
)
UNSENT_CARD_PAGE = (
    UNSENT_PAGE[0],
    UNSENT_PAGE[1]
    + "ブラウザーの「再読み込み」でもう一度送信できます。"
    + "二重に登録されることはありません。",
)
# Refusals that would come again at every address, so their page has no button.
BARRED = (ForeignNetwork, LostPort, PlainHttp, SecurityError, UnknownVisitor)
# Refusals of somebody who may be logged in; the others are answered without asking.
MAY_BE_KNOWN = frozenset({400, 404, 405, 413})
FOREIGN_PAGE = (
    "このネットワークからは利用できません。",
    "利用が許可されているネットワーク（社内など）から開き直すか、管理者に連絡してください。",
)
PROXY_PAGE = (
    "サーバーの設定に誤りがあるため、このサイトは利用できません。",
    "お手数ですが、管理者に連絡してください。原因と直し方は、サーバーのログに書かれています。",
)
HTTPS_PAGE = (
    "アドレスの先頭を https に変えて、開き直してください。",
    "すでに https で始まっている場合は、管理者に連絡してください。",
)
HOST_PAGE = (
    "このアドレスでは利用できません。",
    "正しいアドレスで開き直すか、管理者に連絡してください。",
)
RETRY_SECONDS = "5"
BARE_PAGE = """<!doctype html>
<html lang="ja"><meta charset="utf-8"><title>{0}</title><p>{0}</p><p>{1}</p></html>
"""

# PostgreSQL's for a lock, a deadlock, a conflict or a statement that took too long.
BUSY_STATES = frozenset({"55P03", "40P01", "40001", "57014"})
BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# PostgreSQL's for a standby, which takes no writing; SQLite's for a damaged file.
AWAY_STATES = frozenset({"25006"})
AWAY_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def init_app(app: Flask) -> None:
    """Answer every error with a page of our own."""
    app.register_error_handler(CSRFError, _csrf_failed)
    app.register_error_handler(ForeignNetwork, _came_from_outside)
    app.register_error_handler(UnknownVisitor, _came_unknown)
    app.register_error_handler(LostPort, _came_unknown)
    app.register_error_handler(PlainHttp, _came_by_http)
    app.register_error_handler(SecurityError, _came_by_another_name)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(SQLAlchemyError, _database_failed)
    app.register_error_handler(VaultError, _vault_failed)
    app.register_error_handler(Exception, _broken)


def _refused(error: HTTPException) -> BaseResponse:
    if error.response is not None:
        return error.get_response()
    return _page(error)


def _csrf_failed(error: CSRFError) -> BaseResponse:
    return _page(error, CSRF_PAGE)


def _came_from_outside(error: ForeignNetwork) -> BaseResponse:
    return _page(error, FOREIGN_PAGE)


def _came_unknown(error: UnknownVisitor | LostPort) -> BaseResponse:
    return _page(error, PROXY_PAGE)


def _came_by_http(error: PlainHttp) -> BaseResponse:
    return _page(error, HTTPS_PAGE)


def _came_by_another_name(error: SecurityError) -> BaseResponse:
    tell_unknown_host()
    return _page(error, HOST_PAGE)


def _database_failed(error: SQLAlchemyError) -> BaseResponse:
    cause = getattr(error, "orig", None) or error
    return _unavailable(cause, _kind_of(error, cause))


def _kind_of(error: SQLAlchemyError, cause: BaseException) -> Kind:
    """What the log calls an error of a database: away or busy, which every request of
    the next minutes may meet too, or one that nobody expected."""
    if isinstance(error, OutOfConnections):
        return Kind.LOCK_GIVEN_UP
    state, primary = getattr(cause, "sqlstate", None), _sqlite_code(cause)
    if state in BUSY_STATES or primary in BUSY_CODES:
        return Kind.LOCK_GIVEN_UP
    if state in AWAY_STATES or primary in AWAY_CODES:
        return Kind.DATABASE_AWAY
    away = isinstance(error, OperationalError | InterfaceError)
    # SQLite's plain error is one of the statement: a table is missing, for example.
    expected = away and primary != sqlite3.SQLITE_ERROR
    return Kind.DATABASE_AWAY if expected else Kind.REQUEST_FAILED


def _sqlite_code(cause: BaseException) -> int | None:
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _vault_failed(error: VaultError) -> BaseResponse:
    return _unavailable(error, Kind.REQUEST_FAILED)


def _unavailable(cause: BaseException, kind: Kind) -> BaseResponse:
    response = _incident(ServiceUnavailable(), cause, kind)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response


def _broken(error: Exception) -> BaseResponse:
    return _incident(InternalServerError(), error, Kind.REQUEST_FAILED)


def _incident(page: HTTPException, cause: BaseException, kind: Kind) -> BaseResponse:
    """The page with an incident number; the log has the error under the same number:
    one line where a database is away or busy, else with its traceback."""
    letters = random_letters(INCIDENT_LETTERS)
    half = INCIDENT_LETTERS // 2
    incident = f"{letters[:half]}-{letters[half:]}"
    facts: Facts = {
        "incident": incident,
        "error": type(cause).__name__,
        "page": request.endpoint or "",
        "ms": milliseconds(),
    }
    unexpected = kind is Kind.REQUEST_FAILED
    if not unexpected:
        facts["cause"] = str(cause).partition("\n")[0]
    happened(kind, trace=cause if unexpected else None, **facts)
    _restore_session()
    return _page(page, incident=incident)


def _restore_session() -> None:
    """Leave the browser's session as it came.  Nothing of the request was committed, so
    a login that it began or ended in the session is not so in the database, and the
    same form can be sent again only with the session it was shown with."""
    came = current_app.session_interface.open_session(current_app, request)
    session.clear()
    session.update(came or {})
    session.modified = False


def _page(
    error: HTTPException, words: tuple[str, str] | None = None, incident: str = ""
) -> BaseResponse:
    status = error.code or 500
    if status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "POST":
        on_card = request.blueprint == "cards"
        words = UNSENT_CARD_PAGE if on_card else UNSENT_PAGE
    heading, advice = words or PAGES.get(status) or PAGES[500 if status > 499 else 400]
    page = render_template(
        "errors/error.html",
        code=status,
        heading=heading,
        advice=advice,
        incident=incident,
        known=_is_known(error),
        barred=isinstance(error, BARRED),
    )
    response = current_app.make_response((page, status))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _is_known(error: HTTPException) -> bool:
    """Say whether the page may greet an operator who is logged in.  It asks only where
    nothing is broken and the request is one to this site."""
    if error.code not in MAY_BE_KNOWN or isinstance(error, SecurityError):
        return False
    try:
        return bool(current_user.is_authenticated)
    except SQLAlchemyError:
        return False


def answer_broken(status: HTTPStatus) -> bytes:
    """A complete HTTP response with the texts of ``status``, made without a request."""
    body = BARE_PAGE.format(*PAGES[status]).encode()
    headers = {
        **HEADERS,
        "Cache-Control": "no-store",
        "Connection": "close",
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    lines = [f"HTTP/1.1 {status} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
