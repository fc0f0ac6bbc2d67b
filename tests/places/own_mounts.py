"""Processes with mounts of their own: what is mounted in them is gone with them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Without root the same is allowed where a user may have a namespace of their own.
_UNSHARE = ["unshare", "--mount", "--propagation", "private"]
_AS_ROOT = _UNSHARE if os.geteuid() == 0 else [*_UNSHARE, "--map-root-user"]


def may_mount() -> bool:
    """Whether this account may have mounts of its own."""
    try:
        done = subprocess.run(
            [*_AS_ROOT, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def in_own_mounts(
    script: str, *words: str | Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root with mounts of its own and the arguments ``words``."""
    command: Sequence[str] = [*_AS_ROOT, "sh", "-euc", script, "sh", *map(str, words)]
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def _opened(*paths: Path) -> str:
    """Lines of a shell that let every account come to ``paths``, also where a folder
    above one is shut to others, as root's home is with a Python in it."""
    shut = {
        folder
        for path in paths
        for folder in path.parents
        if not folder.stat().st_mode & 0o001
    }
    inside = [path for path in paths if shut & set(path.parents)]
    kept = {path: f"/mnt/kept{number}" for number, path in enumerate(inside)}
    lines = [f"mkdir {one}; mount --bind {path} {one}; " for path, one in kept.items()]
    lines += [f"mount -t tmpfs -o mode=711 tmpfs {folder}; " for folder in sorted(shut)]
    lines += [
        f"mkdir -p {path}; mount --bind {one} {path}; " for path, one in kept.items()
    ]
    return "".join(lines)


class Machine:
    """A machine like this one whose files in the places an installation writes to are
    its own; it is gone with the process that holds its mounts.  The checkout is its
    /srv/cardsite.  Needs root."""

    # What an installation writes to; /etc is a copy, the others are empty.
    PLACES = ("/srv", "/var/lib", "/var/backups", "/var/log", "/usr/local/sbin", "/run")

    def __init__(self, checkout: Path) -> None:
        script = (
            "mount -t tmpfs tmpfs /mnt; cp -a /etc /mnt/etc; mount --bind /mnt/etc /etc; "
            f"for place in {' '.join(self.PLACES)}; do "
            'mount -t tmpfs -o mode=755 tmpfs "$place"; done; '
            f"{_opened(Path(sys.base_prefix), checkout)}"
            'mkdir /srv/cardsite; mount --bind "$1" /srv/cardsite; '
            "echo ready; exec >&-; exec sleep infinity"
        )
        self._holder = subprocess.Popen(
            [*_UNSHARE, "sh", "-euc", script, "sh", str(checkout)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        with self._holder.stdout as said:
            assert said.readline() == "ready\n"

    def words(self, *words: str) -> list[str]:
        """The words that run a command on the machine, in root's own environment."""
        inside = ["nsenter", "--target", str(self._holder.pid), "--mount"]
        path = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        return [*inside, "env", "-i", "--chdir=/", path, *words]

    def run(
        self, *words: str, given: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine to its end."""
        pairs = [f"{name}={value}" for name, value in environ.items()]
        return subprocess.run(
            self.words(*pairs, *words),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def do(self, *words: str, given: str = "", **environ: str) -> str:
        """The same for a command that ends well; what it prints."""
        done = self.run(*words, given=given, **environ)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def end(self) -> None:
        """Let go of the mounts, and so of every file."""
        self._holder.kill()
        self._holder.wait(120)
