"""A PostgreSQL of the tests' own, on loopback, gone when they end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places.postgres_cluster import PROGRAMS, Cluster
from tests.places.site import Place
from vault import WebKey
from vault.ops import RootKey

from .many import Many, connected, make
from .meeting import Here, site_here
from .roles import Roles, made


@pytest.fixture
def databases(server: Cluster) -> Iterator[tuple[str, str]]:
    """Two empty databases: the site's URL and the vault's."""
    with server.database("site") as site, server.database("vault") as vault:
        yield site, vault


@pytest.fixture(scope="session")
def filled(
    server: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A place with 6,000 cards, to be copied."""
    with server.database("filled") as url:
        yield make(tmp_path_factory.mktemp("filled"), url)


@pytest.fixture
def many(server: Cluster, filled: Place, tmp_path: Path) -> Iterator[Many]:
    """A copy of it of a test's own."""
    shutil.copytree(filled.folder, tmp_path, dirs_exist_ok=True)
    with server.database("many", "filled") as url:
        copy = connected(Place(tmp_path, more={"VAULT_DATABASE_URL": url}))
        yield copy
        copy.end()


@pytest.fixture(scope="module")
def here(
    server: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
    keys: tuple[WebKey, RootKey],
) -> Iterator[Here]:
    """A site in this process whose statements are looked at; who waits is patient."""
    with site_here(server, tmp_path_factory.mktemp("here"), keys) as made:
        yield made


@pytest.fixture(scope="session")
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    """A server with the roles, databases and vault of the runbook's chapter."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    there = made(tmp_path_factory.mktemp("roles"))
    yield there
    there.cluster.remove()
