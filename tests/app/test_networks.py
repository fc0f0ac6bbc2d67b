"""ALLOWED_NETWORKS: who may see a page at all."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.networks import lies_in

OFFICE = "192.0.2.0/24,2001:db8::/32"
FOREIGN = "このネットワークからは利用できません。"


@pytest.mark.parametrize(
    ("origin", "inside"),
    [
        ("192.0.2.0", True),
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("192.0.2.7:50000", True),
        ("[2001:db8::1]:50000", True),
        ("[2001:db8::1]", True),
        ("[::ffff:192.0.2.7]:50000", True),
        ("198.51.100.1:50000", False),
        ("192.0.2.7:", False),
        ("192.0.2.7:port", False),
        ("192.0.2.7:500000", False),
        ("[192.0.2.7:50000", False),
        ("2001:db9::1", False),
        ("", False),
        ("unknown", False),
        ("192.0.2.7, 192.0.2.8", False),
    ],
)
def test_an_origin_lies_in_a_network_or_not(origin: str, inside: bool) -> None:
    """Both families, an IPv4 address in IPv6's clothes too; no address, no network."""
    networks = [ip_network(text) for text in OFFICE.split(",")]
    assert lies_in(origin, networks) is inside


@pytest.fixture
def get(app: Any, make_app: Any) -> Any:
    """Ask a site that is for OFFICE alone, from an address."""
    assert app
    site = make_app(ALLOWED_NETWORKS=OFFICE)

    def ask(path: str, origin: str, **headers: str) -> TestResponse:
        client: FlaskClient = site.test_client()
        place = {"REMOTE_ADDR": origin}
        return client.get(path, environ_base=place, headers=headers, buffered=True)

    return ask


def test_a_foreign_network_gets_no_page(get: Any) -> None:
    """No login, no cookie, whatever a header claims, and it reads why."""
    for path in ("/", "/login", "/cards", "/nowhere"):
        answer = get(path, "198.51.100.1", **{"X-Forwarded-For": "192.0.2.1"})
        assert answer.status_code == 403
        assert FOREIGN in answer.text
        assert "Set-Cookie" not in answer.headers


def test_an_allowed_network_gets_the_login(get: Any) -> None:
    """By IPv4 and by IPv6."""
    for origin in ("192.0.2.9", "2001:db8::9", "::ffff:192.0.2.9"):
        assert get("/login", origin).status_code == 200


def test_health_and_looks_are_for_everybody(get: Any) -> None:
    """A proxy asks for the one, the page that refuses has the other."""
    for path in ("/healthz", "/livez", "/static/site.css"):
        assert get(path, "198.51.100.1").status_code == 200


def test_a_trusted_proxy_names_the_network(app: Any, make_app: Any) -> None:
    """With PROXY_HOPS the last address it names counts, and a forged one does not."""
    assert app
    site = make_app(ALLOWED_NETWORKS=OFFICE, PROXY_HOPS="1")
    for named, status in (
        ("192.0.2.1", 200),
        ("198.51.100.1, 192.0.2.1", 200),
        ("192.0.2.1, 198.51.100.1", 403),
    ):
        answer = site.test_client().get("/login", headers={"X-Forwarded-For": named})
        assert answer.status_code == status, named
