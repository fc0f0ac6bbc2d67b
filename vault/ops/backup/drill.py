"""Tries a backup: restores it to a scratch folder and opens every card there."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ...clock import Clock
from ...errors import WrongRootKey
from ...store.database import connect, reading
from ...store.migrations import HISTORY
from ...web.web_key import WebKey
from ..anchor import Anchor
from ..open_vault import OpenVault
from ..root_key import RootKey
from ..verify import Finding, verify
from .manifest import SITE, VAULT
from .restore import Backup, restore


@dataclass(frozen=True)
class Drill:
    """The result of a drill; ``seconds`` is its whole time, as much as restoring for
    good and verifying would take."""

    findings: tuple[Finding, ...]
    seconds: float


def drill(
    backup: Backup,
    web_key: WebKey,
    root_key: RootKey,
    clock: Clock,
    anchor: Anchor | None = None,
) -> Drill:
    """Restore into a scratch folder (under TMPDIR), open every card there and
    remove it.  Raises WrongRootKey, and what ``restore`` raises."""
    began = time.monotonic()
    if root_key.secret().public.id not in backup.manifest.roots:
        raise WrongRootKey(
            f"the root key does not open {backup.path}, "
            f"which is for root {backup.manifest.roots[0]}",
            hint="nothing was restored; check VAULT_ROOT_KEY",
        )
    backup.manifest.require_root(web_key, backup.path)
    with TemporaryDirectory(prefix="cardvault-drill-") as scratch:
        vault_place, site_place = Path(scratch, VAULT), Path(scratch, SITE)
        restore(backup, vault_place, site_place, anchor)
        findings = [
            *_check_pages(site_place),
            *_check_pages(vault_place),
            *_verify(web_key, root_key, vault_place, clock),
        ]
    return Drill(tuple(findings), time.monotonic() - began)


def _check_pages(path: Path) -> Iterator[Finding]:
    with closing(sqlite3.connect(path)) as db:
        answer = db.execute("PRAGMA quick_check").fetchone()[0]
    if answer != "ok":
        yield Finding(path.name, f"SQLite finds it damaged: {answer}")


def _verify(
    web_key: WebKey, root_key: RootKey, path: Path, clock: Clock
) -> list[Finding]:
    engine = connect(f"sqlite:///{path}")
    try:
        # An older backup has older tables.  Tables of newer code raise SchemaError.
        HISTORY.upgrade(engine)
        vault = OpenVault(web_key, root_key, engine, clock)
        with reading(engine) as db:
            return list(verify(vault, db))
    finally:
        engine.dispose()
