"""A pgbouncer in transaction mode before the tests' PostgreSQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.server import ROLE, account, free_port, new_folder

from .postgres_cluster import Cluster

# Debian keeps it where only root's PATH looks.
PROGRAM = shutil.which("pgbouncer", path="/usr/bin:/usr/sbin:/usr/local/bin")
# How many connections it has to one database: fewer than one worker may ask for.
POOL = 2
PATIENCE_SECONDS = 120
# From this version on it can keep prepared statements apart by itself.
KEEPS_PREPARED = (1, 21)

SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
admin_users = {role}
pool_mode = transaction
default_pool_size = {pool}
{more}
"""


@dataclass
class Bouncer:
    """Its files and where it listens."""

    cluster: Cluster
    folder: Path = field(default_factory=new_folder)
    port: int = field(default_factory=free_port)

    def url(self, url: str) -> str:
        """The URL of one of the cluster's databases, through pgbouncer."""
        return url.replace(self.cluster.host, f"127.0.0.1:{self.port}")

    def say(self, statement: str) -> list[dict[str, object]]:
        """What its console answers."""
        place = f"host=127.0.0.1 port={self.port} user={ROLE} dbname=pgbouncer connect_timeout=60"
        with closing(psycopg.connect(place, autocommit=True)) as console:
            cursor = psycopg.ClientCursor(console)
            rows = cursor.execute(statement)
            names = [column.name for column in rows.description or ()]
            return [dict(zip(names, row, strict=True)) for row in rows]

    @contextmanager
    def running(self) -> Iterator[Bouncer]:
        """Run it until the block ends; its files go with it."""
        run = self._start()
        try:
            self._wait(run)
            yield self
        finally:
            run.kill()
            run.wait()
            shutil.rmtree(self.folder)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _start(self) -> subprocess.Popen[bytes]:
        settings = self._written()
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [str(PROGRAM), settings],
                user=account(),
                cwd="/",
                stdout=log,
                stderr=log,
            )

    def _written(self) -> Path:
        users, settings = self.folder / "users", self.folder / "pgbouncer.ini"
        users.write_text(f'"{ROLE}" ""\n')
        settings.write_text(
            SETTINGS.format(
                server_port=self.cluster.port,
                port=self.port,
                users=users,
                role=ROLE,
                pool=POOL,
                more="max_prepared_statements = 0"
                if _version() >= KEEPS_PREPARED
                else "",
            )
        )
        for path in (users, settings):
            # Another account reads them, and the site's code in this process keeps what
            # it writes to itself.
            path.chmod(0o644)
        return settings

    def _wait(self, run: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            said = self._log.read_text()
            assert run.poll() is None, f"pgbouncer did not start: {said}"
            with suppress(psycopg.OperationalError):
                self.say("SHOW VERSION")
                return
            time.sleep(0.02)
        raise AssertionError(f"pgbouncer does not answer: {self._log.read_text()}")


def _version() -> tuple[int, ...]:
    said = subprocess.run(
        [str(PROGRAM), "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said.stdout)
    assert found is not None, said.stdout
    return int(found[1]), int(found[2])
