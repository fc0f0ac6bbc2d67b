"""A row is put back from a dump as the runbook says, with PostgreSQL's own programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.places.postgres_cluster import PROGRAMS, Cluster
from tests.places.site import Place
from tests.vault.commands.runbook import lines_of, statements
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = pytest.mark.postgres

Shell = Callable[[str], None]


@pytest.fixture
def place(tmp_path: Path, databases: tuple[str, str]) -> Place:
    """A vault on PostgreSQL with a card."""
    place = Place(tmp_path, more={"VAULT_DATABASE_URL": databases[1]})
    assert place.ops("init", "--no-passphrase").returncode == 0
    engine = connect(databases[1])
    vault = Vault(WebKey.read(tmp_path / "web.key"), engine, system_clock)
    with engine.begin() as db:
        pan, by = Pan.parse("4810000000020000"), Actor("taro", "192.0.2.1")
        vault.tokenize(db, pan, Expiry(2030, 1), by)
    engine.dispose()
    assert place.ops("rotate").returncode == 0
    return place


@pytest.fixture
def shell(place: Place) -> Shell:
    """Type a script as the tables' owner."""
    url = make_url(place.more["VAULT_DATABASE_URL"])
    environ = {
        **os.environ,
        "PATH": f"{PROGRAMS[-1]}:{os.environ['PATH']}",
        "PGHOST": str(url.host),
        "PGPORT": str(url.port),
        "PGUSER": str(url.username),
        "PGOPTIONS": "--client-min-messages=warning",
    }

    def shell(script: str) -> None:
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            env=environ,
            cwd=place.folder,
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), script

    return shell


def test_a_row_is_put_back_from_a_dump(
    place: Place, server: Cluster, shell: Shell
) -> None:
    """The lines of the chapter, then its statements for what verify named."""
    shell("pg_dump --format=custom --file=vault.pgdump vault")
    for damage in (
        "UPDATE vault SET generation = 9",
        "UPDATE audit_entry SET actor = 'jiro' WHERE seq = 3",
        "UPDATE data_key SET created_at = 7 WHERE id = 2",
    ):
        server.say(damage, database="vault")
    assert place.ops("verify").stdout.count("\n") == 4
    shell("\n".join(lines_of("Put a row back", 1)))
    for kind, number in (
        ("vault row", ""),
        ("audit entry SEQ", "3"),
        ("data key N", "2"),
    ):
        script = statements(kind).replace("SEQ", number).replace("= N", f"= {number}")
        server.say(*script.rstrip().rstrip(";").split(";\n"), database="vault")
    done = place.ops("verify")
    assert (done.returncode, done.stdout[:6]) == (0, "1 card")
    shell("psql --dbname=vault --command='DROP SCHEMA before CASCADE'")
    shell("dropdb before_vault")
