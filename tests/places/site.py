"""A whole place made and run by the real commands, for tests of processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from app.auth.passwords import Hasher
from app.auth.service import add_operator
from tests.forked import Started, typist
from tests.killed import launch
from vault.clock import system_clock
from vault.store.database import connect

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PASSWORD = "correct horse battery 5"
START_SECONDS = 120


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Place:
    """A folder with keys and databases, and the commands that work on it."""

    folder: Path
    mail_port: int = 9
    port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the site answers."""
        return f"http://127.0.0.1:{self.port}"

    def environ(self, **more: str) -> dict[str, str]:
        """The web role's environment: no root key in it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("VAULT_")}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "SECRET_KEY": "a secret of at least thirty-two bytes",
            "DATABASE_URL": f"sqlite:///{self.folder}/site.db",
            "VAULT_DATABASE_URL": f"sqlite:///{self.folder}/vault.db",
            "VAULT_WEB_KEY": f"{self.folder}/web.key",
            "MAIL_PORT": str(self.mail_port),
            "ALLOW_INSECURE_LOOPBACK": "1",
            "ARGON2_MEMORY_KIB": "19456",
            **self.more,
            **more,
        }

    def run(
        self, *words: str, given: str = "", kill_at: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the project's commands to its end, or until it is killed at a
        named kill point; started anew when one is running that was forked."""
        environ = self.environ(**more)
        ran = typist().type(
            *words, folder=self.folder, environ=environ, given=given, kill_at=kill_at
        )
        if ran is not None:
            return subprocess.CompletedProcess(
                words, ran.returncode, ran.stdout, ran.stderr
            )
        return self.run_anew(*words, environ=environ, given=given, kill_at=kill_at)

    def command(self, name: str) -> list[str]:
        """How one of the project's commands is typed."""
        return [str(BIN / name)]

    def run_anew(
        self, *words: str, environ: Mapping[str, str], given: str, kill_at: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """The same by a process that was not forked."""
        command = launch(kill_at, words[0]) if kill_at else self.command(words[0])
        return subprocess.run(
            [*command, *words[1:]],
            env=environ,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            timeout=300,
        )

    def ops(
        self, *words: str, given: str = "", kill_at: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run cardvault with the root key."""
        root = {"VAULT_ROOT_KEY": f"{self.folder}/root.key", **more}
        return self.run("cardvault", *words, given=given, kill_at=kill_at, **root)

    def make(self) -> Place:
        """Make keys and databases by the real commands."""
        for done in (
            self.ops("init", "--no-passphrase"),
            self.run("flask", "--app", "wsgi", "migrate"),
        ):
            assert done.returncode == 0, done.stderr
        return self

    def add_operator(self, login_id: str) -> str:
        """Add an operator with PASSWORD; returns his address."""
        address = f"{login_id}@example.co.jp"
        words = ("operators", "add", login_id, "--name", "山田", "--email", address)
        flags = ("--password-stdin", "--no-change")
        done = self.run("flask", "--app", "wsgi", *words, *flags, given=PASSWORD + "\n")
        assert done.returncode == 0, done.stderr
        return address

    def add_operators(self, count: int) -> list[str]:
        """Add operators with PASSWORD, hashed once; returns their login IDs."""
        names = [f"operator{number}" for number in range(count)]
        hashed, now = Hasher(19456).hash(PASSWORD), system_clock()
        engine = connect(self.environ()["DATABASE_URL"])
        with Session(engine) as site:
            for name in names:
                addresses = [f"{name}@example.co.jp"]
                add_operator(
                    site, name, "山田", addresses, hashed, must_change=False, now=now
                )
            site.commit()
        engine.dispose()
        return names

    @contextmanager
    def serving(
        self, *flags: str, kill_at: str = "", anew: bool = False
    ) -> Iterator[Started]:
        """gunicorn on the place, in a process group of its own; a worker that comes to
        ``kill_at`` is killed there.  ``anew`` is for who looks at its processes: it is
        not forked, so that the memory, the environment and the words are its own."""
        words = ("gunicorn", "--bind", f"127.0.0.1:{self.port}", *flags, "wsgi:app")
        start = self._start_anew if anew else typist().start
        log, environ = self.folder / "gunicorn.log", self.environ()
        site = start(*words, folder=ROOT, environ=environ, log=log, kill_at=kill_at)
        try:
            self.wait(site)
            yield site
        finally:
            site.terminate()
            site.wait(START_SECONDS)

    def _start_anew(
        self,
        *words: str,
        folder: Path,
        environ: Mapping[str, str],
        log: Path,
        kill_at: str = "",
    ) -> Started:
        command = launch(kill_at, words[0]) if kill_at else self.command(words[0])
        with log.open("ab") as said:
            return subprocess.Popen(
                [*command, *words[1:]],
                env=environ,
                cwd=folder,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def wait(self, site: Started) -> None:
        """Wait until the site is well."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert site.poll() is None, (self.folder / "gunicorn.log").read_text()
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=10):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError("the site did not come up")


def kill_group(site: Started) -> None:
    """SIGKILL a whole process group, as a power cut would."""
    os.killpg(site.pid, signal.SIGKILL)
    site.wait()


def processes(master: int) -> list[int]:
    """gunicorn's master and its workers."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [master, *map(int, children.split())]


def site_path(environ: Mapping[str, str]) -> Path:
    """The file of the site's database, out of the settings of a site."""
    return Path(environ["DATABASE_URL"].removeprefix("sqlite:///"))
