"""Error pages, and what a database that fails leaves behind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app.auth.guard import public
from app.errors import PAGES
from tests.actors.operator_client import Auth
from tests.places.site import site_path
from tests.places.vault import VaultPlace

TELLTALES = ("Traceback", "sqlite", "SELECT", "/site-packages/", ".py", "werkzeug")


@pytest.mark.parametrize("status", sorted(PAGES))
def test_each_error_page_is_japanese_and_tells_nothing(app: Flask, status: int) -> None:
    """What happened and what to do, and nothing of the machine (WEB-05)."""

    @public
    def broken() -> str:
        if status == 500:
            raise RuntimeError("SELECT secret FROM /srv/site.py")
        abort(status)

    app.add_url_rule("/broken", "broken", broken)
    answer = app.test_client().get("/broken")
    assert answer.status_code == status
    assert all(words in answer.text for words in PAGES[status])
    assert not [word for word in TELLTALES if word in answer.text]
    assert ("受付番号" in answer.text) == (status == 500)


def test_the_incident_on_the_page_is_the_one_in_the_log(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Support finds the trace by what the operator reads out."""

    @public
    def broken() -> str:
        raise RuntimeError

    app.add_url_rule("/broken", "broken", broken)
    found = re.search(
        r'class="incident">([a-z]{4}-[a-z]{4})<', client.get("/broken").text
    )
    assert found is not None
    assert found[1] in caplog.text


def test_health_follows_both_databases(
    app: Flask, client: FlaskClient, place: VaultPlace, environ: dict[str, str]
) -> None:
    """200, 503 while either is gone, 200 again, and no detail in any answer."""
    assert client.get("/healthz").text == "ok\n"
    for path in (site_path(environ), place.folder / "vault.db"):
        app.extensions["site_engine"].dispose()
        app.extensions["vault"].engine.dispose()
        away = path.rename(path.with_suffix(".away"))
        answer = client.get("/healthz")
        if path.exists():
            path.unlink()
        app.extensions["site_engine"].dispose()
        app.extensions["vault"].engine.dispose()
        away.rename(path)
        if "vault" in path.name:
            assert (answer.status_code, answer.text) == (503, "unavailable\n")
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("way", "status"),
    [("/nowhere", 404), ("/cards/nobody/edit", 404), ("/healthz", 405), ("csrf", 400)],
)
def test_an_error_page_knows_who_is_logged_in(
    auth: Auth, way: str, status: int
) -> None:
    """Name, ログアウト and the support address of an operator, and the way to the
    list; a stranger gets the way to the login."""
    auth.login()
    if way == "csrf":
        answer = auth.client.post("/cards", data={"csrf_token": "old"})
        assert "登録・更新は行われていません。" in answer.text
    else:
        post = status == 405
        answer = auth.post(way, page="/cards") if post else auth.get(way)
    assert answer.status_code == status
    assert "山田 太郎" in answer.text
    assert "ログアウト" in answer.text
    assert 'href="/cards">一覧へ戻る</a>' in answer.text
    assert "smartsafety_support@mot-net.com" in answer.text


def test_a_strangers_error_page_leads_to_the_login(client: FlaskClient) -> None:
    """Without a name and without ログアウト."""
    page = client.get("/nowhere").text
    assert 'href="/login">ログイン画面へ</a>' in page
    assert "ログアウト" not in page


def test_a_card_that_is_gone_leads_back_to_the_list_as_it_was(auth: Auth) -> None:
    """With its search and its order."""
    auth.login()
    page = auth.get("/cards/nobody/edit?q=A&sort=name").text
    assert 'href="/cards?q=A&amp;sort=name">一覧へ戻る</a>' in page


def test_who_may_not_come_in_gets_no_button(make_app: Any, app: Flask) -> None:
    """Any address would be refused again."""
    assert app.name
    away = make_app(ALLOWED_NETWORKS="10.0.0.0/8").test_client()
    answer = away.get("/login")
    assert answer.status_code == 403
    assert 'class="button' not in answer.text


def test_a_503_tells_what_was_not_done(app: Flask, auth: Auth) -> None:
    """A page that can't be shown says no more; a card's form says that it was not
    registered, and that sending it again is safe."""
    auth.login()

    def broken() -> None:
        raise OperationalError("SELECT 1", None, Exception("gone"))

    # Before the guard, which would need the database too.
    app.before_request_funcs[None].insert(0, broken)
    shown, sent = auth.get("/cards").text, auth.client.post("/cards").text
    assert "表示できませんでした。" in shown
    assert "登録・更新は行われていません。" not in shown
    assert "登録・更新は行われていません。" in sent
    assert "二重に登録されることはありません。" in sent
    assert "二重に" not in auth.client.post("/login").text
