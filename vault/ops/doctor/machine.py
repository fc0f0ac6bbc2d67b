"""Checks the machine: core files, swap, the clock's source, Python and the libraries."""

from __future__ import annotations

import ctypes
import re
import resource
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from .result import CheckResult, Installation, ok, unknown, warning

# Until when Python's makers mend faults of a version (PEP 664, 693, 719, 745, 790).
PYTHON_ENDS = {
    (3, 11): "2027-10-31",
    (3, 12): "2028-10-31",
    (3, 13): "2029-10-31",
    (3, 14): "2030-10-31",
    (3, 15): "2031-10-31",
}
CODE = Path(__file__).resolve().parents[3]
"""The folder that the code lies in: the checkout, with its lock file."""
PROC, SYS = Path("/proc"), Path("/sys")
# Both keep no core of a process whose limit is 0, as ours is.
_KIND_TAKERS = ("systemd-coredump", "apport")
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s\\]+)", re.M)
_STATUS_OFFSET, _TIMEX_BYTES, _UNSYNCHRONISED = 40, 512, 0x0040
_MOST_NAMED = 5


def core_files(_here: Installation) -> Iterator[CheckResult]:
    """Check that no process of ours leaves a core file, which could hold a key."""
    pattern = _read(PROC / "sys/kernel/core_pattern")
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        yield warning(
            "core files", "core files are on; a core file may hold a key", "ulimit -c 0"
        )
    elif pattern.startswith("|") and not any(t in pattern for t in _KIND_TAKERS):
        taker = pattern[1:].split()[0] if pattern[1:].split() else "a program"
        yield warning(
            "core files",
            f"the kernel hands them to {taker}, whatever a process's limit is",
            "sysctl -w kernel.core_pattern=core",
        )
    else:
        yield ok("core files", "off: the site and this command leave none")


def swap(_here: Installation) -> Iterator[CheckResult]:
    """Check that memory with a live data key can't reach the disk in the clear."""
    lines = _read(PROC / "swaps").splitlines()[1:]
    plain = [line.split()[0] for line in lines if not _is_encrypted(line.split()[0])]
    if plain:
        sleeps = "disk" in _read(SYS / "power/state").split()
        yield warning(
            "swap",
            f"swap is on ({', '.join(plain)}); memory with a live data key may reach "
            "the disk"
            + (", and all of it when the machine hibernates" if sleeps else ""),
            "encrypt it, or: swapoff -a",
        )
    else:
        yield ok("swap", "off" if not lines else "on memory or an encrypted disk")


def _is_encrypted(device: str) -> bool:
    name = Path(device).name
    if name.startswith("zram"):
        return True
    uuid = _read(SYS / "block" / name / "dm/uuid")
    return uuid.startswith("CRYPT-")


def clock_source(_here: Installation) -> Iterator[CheckResult]:
    """Ask the kernel whether something keeps the clock right."""
    # adjtimex with modes 0 changes nothing; the status is after three longs (with the
    # first int padded to one) and two more of them.
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    answer = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    status = int.from_bytes(
        buffer.raw[_STATUS_OFFSET : _STATUS_OFFSET + 4], sys.byteorder
    )
    if answer < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        yield unknown("clock source", "the kernel doesn't say here")
    elif status & _UNSYNCHRONISED:
        yield warning(
            "clock source",
            "nothing keeps the clock right",
            "timedatectl set-ntp true; in a container, on its host",
        )
    else:
        yield ok("clock source", "the clock is synchronised")


def python(here: Installation) -> Iterator[CheckResult]:
    """Check that faults of this Python are still mended."""
    version = sys.version_info[:2]
    name, end = ".".join(map(str, version)), PYTHON_ENDS.get(version)
    if end is None:
        yield unknown("python", f"until when {name} is mended isn't known here")
    elif time.strftime("%Y-%m-%d", time.gmtime(here.clock())) > end:
        yield warning("python", f"{name} is mended no more since {end}", "a newer one")
    else:
        yield ok("python", f"{name} is mended until {end}")


def lock_file() -> Path:
    """The lock: beside the code of a checkout, or where the wheel installs it.  It may
    be missing."""
    beside = CODE / "requirements.txt"
    installed = Path(sys.prefix) / "share" / "cardsite" / beside.name
    return beside if beside.is_file() else installed


def libraries(_here: Installation) -> Iterator[CheckResult]:
    """Compare the libraries that are installed with the lock file."""
    lock = lock_file()
    if not lock.is_file():
        yield unknown("libraries", f"there is no lock file, {lock}")
        return
    pinned = _PINNED.findall(lock.read_text(encoding="utf-8"))
    others = [
        f"{name} {found or 'missing'}, not {version}"
        for name, version in pinned
        if (found := _installed(name)) != version
    ]
    if others:
        more = len(others) - _MOST_NAMED
        said = "; ".join(others[:_MOST_NAMED]) + (f"; {more} more" if more > 0 else "")
        yield warning("libraries", said, "make install")
    else:
        yield ok("libraries", f"all {len(pinned)} are those of the lock file")


def proxies(here: Installation) -> Iterator[CheckResult]:
    """Say what PROXY_HOPS is; how many proxies there are can't be known from here."""
    hops = here.site.get("PROXY_HOPS", "")
    if not hops:
        yield unknown(
            "PROXY_HOPS",
            "is not set in this environment; how many proxies stand in front can't be "
            "told from here",
            "set it to their number; a wrong one shows no page and logs why",
        )
    else:
        yield ok(
            "PROXY_HOPS",
            f"is {hops}; see that the origins in cardvault audit list are visitors'",
        )


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
