"""Error pages, and what a database that fails leaves behind."""

from __future__ import annotations

import re

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient

from app.auth.guard import public
from app.errors import PAGES
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
    found = re.search(r'class="incident">([a-z]{8})<', client.get("/broken").text)
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
