"""A PostgreSQL server that a test can kill, have followed and promote."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

from bench.server import PROGRAMS, ROLE, SETTINGS, WAIT_SECONDS, Server

__all__ = ["PROGRAMS", "ROLE", "Cluster"]

PATIENCE_SECONDS = 120


class Cluster(Server):
    """A server of the tests' own, like the one that is measured.  It syncs nothing:
    what it wrote outlives the SIGKILL of its processes, and no test cuts the power."""

    settings: ClassVar[str] = SETTINGS.replace("fsync=on", "fsync=off")

    def standby(self) -> Cluster:
        """A running copy that follows this server."""
        other = Cluster()
        source = f"host=127.0.0.1 port={self.port} user={ROLE}"
        self.run("pg_basebackup", "-R", "-c", "fast", "-d", source, data=other.data)
        return other.start()

    def kill(self) -> None:
        """SIGKILL: nobody is told anything, as when its host is gone."""
        master = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        for process in (master, *map(int, children)):
            os.kill(process, signal.SIGKILL)
        until = time.monotonic() + PATIENCE_SECONDS
        while any(Path(f"/proc/{process}/exe").exists() for process in children):
            assert time.monotonic() < until
            time.sleep(0.01)

    def lose_sight(self) -> None:
        """Cut a standby off from its primary."""
        self.say("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Make a standby the primary."""
        self.run("pg_ctl", "-w", "-t", WAIT_SECONDS, "promote")
