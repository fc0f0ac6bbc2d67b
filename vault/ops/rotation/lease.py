"""Names processes in leases, so that others can tell whether a process still runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

SILENT_SECONDS = 60


def own_name() -> str:
    """This process's name: host, boot, process id and when it started.

    Process ids are reused; with start time and boot id the name is unique.
    """
    pid = os.getpid()
    return f"{_host()} {pid} {_started(pid)}"


def is_over(lease: str, lease_at: int, now: int) -> bool:
    """Say whether a lease's holder has ended (seen on this host) or has not written for
    60 seconds; ``lease_at`` and ``now`` are seconds UTC."""
    if not lease or now - lease_at > SILENT_SECONDS:
        return True
    host, _, process = lease.partition(" ")
    pid, _, started = process.partition(" ")
    if host != _host() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def describe(lease: str) -> str:
    """A lease as text for a person: which host, which process."""
    host, _, process = lease.partition(" ")
    return f"{host.partition('/')[0]} process {process.partition(' ')[0]}"


def _host() -> str:
    return f"{socket.gethostname()}/{_read(Path('/proc/sys/kernel/random/boot_id'))}"


def _started(pid: int) -> str:
    """The process's start time in clock ticks, or "" when there is none."""
    stat = _read(Path(f"/proc/{pid}/stat"))
    # The command's name, in brackets, may hold blanks, so count from its end.
    fields = stat.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
