"""Processes with mounts of their own: what is mounted in them is gone with them."""

from __future__ import annotations

import os
import subprocess
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
