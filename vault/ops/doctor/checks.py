"""Lists the checks that need nothing but the settings, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterator

from . import databases, files, history, machine
from .result import Check, CheckResult, Installation, look

CHECKS: dict[str, Check] = {
    "web key": files.web_key,
    "database": databases.answer,
    "vault": history.belongs,
    "clock": history.clock,
    "anchor": history.anchors,
    "backup": history.backups,
    "verify": history.proofs,
    "file modes": files.modes,
    "file owners": files.owners,
    "site account": files.site_account,
    "root key": files.root_key,
    "passphrase": files.passphrase,
    "disk room": databases.disk_room,
    "PostgreSQL connection": databases.connection,
    "PostgreSQL role": databases.powers,
    "PostgreSQL slots": databases.slots,
    "core files": machine.core_files,
    "swap": machine.swap,
    "clock source": machine.clock_source,
    "PROXY_HOPS": machine.proxies,
    "python": machine.python,
    "libraries": machine.libraries,
}
"""The checks, by the name that a result has about one that could not be made."""


def everything(here: Installation) -> Iterator[CheckResult]:
    """Make every check; one that fails ends none of the others."""
    for name, check in CHECKS.items():
        yield from look(name, check, here)
