"""A PostgreSQL of the tests' own, on loopback, gone when they end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.site import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SETTINGS = "fsync=on listen_addresses=127.0.0.1 unix_socket_directories="


def account() -> str | None:
    """The server refuses to run as root: Debian's own account then."""
    return "postgres" if os.getuid() == 0 else None


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a running server, but for the database's name."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    folder, port, user = Path(tempfile.mkdtemp(prefix="pg")), free_port(), account()
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    data, programs = folder / "data", PROGRAMS[-1]

    def run(name: str, *words: str) -> None:
        command = [str(programs / name), "-D", str(data), *words]
        subprocess.run(
            command, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/"
        )

    run("initdb", "-A", "trust", "-U", "cardsite", "-E", "UTF8", "--locale=C.UTF-8")
    options = " ".join(f"-c {setting}" for setting in SETTINGS.split())
    log = str(folder / "log")
    run("pg_ctl", "-w", "-l", log, "-o", f"-p {port} {options}", "start")
    yield f"postgresql+psycopg://cardsite@127.0.0.1:{port}"
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def databases(server: str) -> Iterator[tuple[str, str]]:
    """Two empty databases: the site's URL and the vault's."""
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    names = ("site", "vault")
    with engine.connect() as db:
        for name in names:
            db.execute(text(f"CREATE DATABASE {name}"))
    yield f"{server}/site", f"{server}/vault"
    with engine.connect() as db:
        for name in names:
            db.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
