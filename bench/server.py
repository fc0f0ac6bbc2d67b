"""A PostgreSQL server of a run's own, on a port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from sqlalchemy import create_engine, text

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SETTINGS = "fsync=on listen_addresses=127.0.0.1 unix_socket_directories="
DRIVER = "postgresql+psycopg"
# pg_ctl would give up after one minute, which a busy machine may need.
WAIT_SECONDS = "600"
ROLE = "cardsite"


def account() -> str | None:
    """The server refuses to run as root: Debian's own account then."""
    return "postgres" if os.getuid() == 0 else None


def new_folder() -> Path:
    """An empty folder that is the server's account's."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    user = account()
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    return folder


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """Its files and its process."""

    settings: ClassVar[str] = SETTINGS

    folder: Path = field(default_factory=new_folder)
    port: int = field(default_factory=free_port)

    @property
    def data(self) -> Path:
        """Where its files are."""
        return self.folder / "data"

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"{DRIVER}://{ROLE}@{self.host}/{database}"

    def make(self) -> Self:
        """Make the files of a server that asks nobody for a password, and start it."""
        words = ("-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C.UTF-8")
        self.run("initdb", *words)
        return self.start()

    def start(self) -> Self:
        """Start it and wait until it answers."""
        options = " ".join(f"-c {setting}" for setting in self.settings.split())
        log = str(self.folder / "log")
        words = ("-w", "-t", WAIT_SECONDS, "-l", log, "-o", f"-p {self.port} {options}")
        self.run("pg_ctl", *words, "start")
        return self

    def stop(self) -> None:
        """Stop it as a crash would."""
        self.run("pg_ctl", "-t", WAIT_SECONDS, "-m", "immediate", "stop")

    def remove(self) -> None:
        """Stop it, if it runs, and delete its files."""
        if (self.data / "postmaster.pid").exists():
            with suppress(subprocess.CalledProcessError):  # killed earlier
                self.stop()
        shutil.rmtree(self.folder)

    def run(self, name: str, *words: str, data: Path | None = None) -> None:
        """Run one of PostgreSQL's programs on ``data``, its own unless said."""
        subprocess.run(
            [str(PROGRAMS[-1] / name), "-D", str(data or self.data), *words],
            user=account(),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )

    @contextmanager
    def database(self, name: str, template: str = "template1") -> Iterator[str]:
        """A database, empty or a copy of another, while it is needed; its URL."""
        self.say(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        self.say(f"DROP DATABASE {name} WITH (FORCE)")

    def say(
        self, *statements: str, database: str = "postgres"
    ) -> list[tuple[object, ...]]:
        """Execute statements, each by itself; the last one's rows."""
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        rows: list[tuple[object, ...]] = []
        with engine.connect() as db:
            for statement in statements:
                done = db.execute(text(statement))
                rows = [tuple(row) for row in done] if done.returns_rows else []
        engine.dispose()
        return rows
