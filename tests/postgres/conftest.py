"""A PostgreSQL of the tests' own, on loopback, gone when they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cluster import PROGRAMS, Cluster

NAMES = ("site", "vault")


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    """A running server."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    cluster = Cluster().make()
    yield cluster
    cluster.remove()


@pytest.fixture
def databases(server: Cluster) -> Iterator[tuple[str, str]]:
    """Two empty databases: the site's URL and the vault's."""
    server.say(*(f"CREATE DATABASE {name}" for name in NAMES))
    yield server.url("site"), server.url("vault")
    server.say(*(f"DROP DATABASE {name} WITH (FORCE)" for name in NAMES))
