"""A visit by a link from another site, which a browser sends without the cookie."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

CROSSED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
AGAIN = '<meta http-equiv="refresh" content="0">'


@pytest.mark.parametrize("path", ["/", "/login", "/cards", "/cards/nobody/edit"])
def test_a_visit_without_the_cookie_is_asked_for_again(
    client: FlaskClient, path: str
) -> None:
    """The page sets no cookie, which would end the login of another tab."""
    answer = client.get(path, headers=CROSSED)
    assert answer.status_code == 200
    assert AGAIN in answer.text
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**CROSSED, "Sec-Fetch-Site": "same-origin"},
        {**CROSSED, "Sec-Fetch-Site": "none"},
        {**CROSSED, "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_any_other_visit_is_answered_at_once(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    """From our own pages, from a bookmark, and what is no page."""
    assert AGAIN not in client.get("/login", headers=headers).text


def test_a_visit_with_the_cookie_is_answered_at_once(client: FlaskClient) -> None:
    """Nothing is asked for twice in a row, whatever the browser says of itself."""
    client.get("/login")
    assert AGAIN not in client.get("/login", headers=CROSSED).text


def test_a_form_from_another_site_stays_refused(client: FlaskClient) -> None:
    """It is not asked for again."""
    assert client.post("/login", headers=CROSSED).status_code == 403
