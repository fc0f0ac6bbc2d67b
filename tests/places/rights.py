"""What this account may do on this machine, for tests that need more than most do.

A test says so with ``@pytest.mark.rights("mounts")``.  Where something is not allowed, as
in many containers, its tests are skipped, in CI left out, and the run's first lines say
why.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

from .own_mounts import may_mount
from .small_disk import ways

SYSTEMD = Path("/lib/systemd/systemd")
# What a systemd of its own needs beside files and mounts.
SPACES = ("--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--net")


def _is_root() -> bool:
    return os.geteuid() == 0


def _may_boot() -> bool:
    """Whether systemd is there and could be the first process of namespaces."""
    if not (SYSTEMD.exists() and _is_root() and may_mount()):
        return False
    words = ("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
    done = subprocess.run(
        ["unshare", *SPACES, "--mount-proc", *words], capture_output=True, check=False
    )
    return done.returncode == 0


RIGHTS: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (_is_root, "this account is not root"),
    "mounts": (may_mount, "nothing may be mounted here"),
    "disks": (lambda: "no space" in ways(), "no disk may be mounted here"),
    "boot": (_may_boot, "no systemd can be the first process here"),
}


@cache
def missing(right: str) -> str:
    """Why ``right`` is not there; "" when it is."""
    has, why = RIGHTS[right]
    return "" if has() else why
