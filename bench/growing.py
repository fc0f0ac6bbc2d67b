"""Whether a rotation's rate and memory stay flat as the vault grows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .cards import filled
from .rotating import ours

LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Size:
    """A vault of ``cards``: cards re-encrypted a second, and the most memory the
    whole command took, in MiB."""

    cards: int
    rate: float
    memory: float


def measure(folder: Path, count: int) -> Size:
    """Rotate a vault of ``count`` cards in this process, then by the command."""
    vault = filled(folder, count)
    rate = count / ours(vault)
    environ = {
        **os.environ,
        "VAULT_WEB_KEY": f"{folder}/web.key",
        "VAULT_DATABASE_URL": f"sqlite:///{folder}/vault.db",
        "VAULT_ROOT_KEY": f"{folder}/root.key",
    }
    command = [str(Path(sys.executable).parent / "cardvault"), "rotate", "--json"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    memory = most_memory(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Size(count, rate, memory)


def most_memory(process: subprocess.Popen[bytes]) -> float:
    """MiB at most until the process ends (the kernel's own high-water mark; what
    it tells when a child is waited for begins with the parent's)."""
    most = 0
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        most = max(most, int(found[1]) if found else 0)
        time.sleep(LOOK_SECONDS)
    return most / 1024
