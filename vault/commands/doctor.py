"""``cardvault doctor`` looks for what weakens the vault on this machine."""

from __future__ import annotations

import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import click
from sqlalchemy import text

from .. import crypto
from ..clock import DAY_SECONDS
from ..ops.anchor import newest_given
from ..ops.census import take_census
from ..settings import VaultSettings
from ..store.database import reading, sqlite_path
from ..web.vault import Vault
from .anchors import age
from .half_done import half_done
from .output import harmless
from .vaults import EXAMPLE, read_settings, vault_without_root_key

LOW_DISK_BYTES = 500 * 1024 * 1024
# The daily backup sends an anchor where AUDIT_ANCHOR_COMMAND is set.
OLD_ANCHOR_DAYS = 8


@click.command(epilog=EXAMPLE + "cardvault doctor")
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check this machine's files, database and limits. Needs no root key.

    Exit code 1 when something weakens the vault; each line says what to do.
    """
    crypto.self_test()
    click.echo("ok       the ciphers give their known answers")
    settings, vault = read_settings(), vault_without_root_key()
    click.echo("ok       the web key and the database belong together")
    found = [
        *_files(settings),
        *_left(settings, vault),
        *_database(settings, vault),
        *_anchors(vault),
        *_machine(),
    ]
    for line in found:
        click.echo(f"warning  {harmless(line)}")
    context.exit(1 if found else 0)


def _files(settings: VaultSettings) -> Iterator[str]:
    database = sqlite_path(settings.database_url)
    if database is not None and stat.S_IMODE(database.stat().st_mode) & 0o077:
        yield f"{database} can be read by others; chmod 600 {database}"
    root_key = settings.root_key or settings.web_key.with_name("root.key")
    if root_key.exists():
        yield f"the root key {root_key} lies on this machine; take it off a web server"


def _left(settings: VaultSettings, vault: Vault) -> Iterator[str]:
    with reading(vault.engine) as db:
        census = take_census(vault, db)
    for one in half_done(settings, vault, census):
        yield f"{one.what}; next: {one.next}"
    yield from census.unmarked


def _database(settings: VaultSettings, vault: Vault) -> Iterator[str]:
    path = sqlite_path(settings.database_url)
    if path is None:
        return
    with reading(vault.engine) as db:
        answer = db.execute(text("PRAGMA quick_check")).scalar()
    if answer != "ok":
        yield f"SQLite finds {path} damaged: {answer}; restore a backup"
    free = shutil.disk_usage(path.parent).free
    if free < LOW_DISK_BYTES:
        yield f"{free // 1024 // 1024} MB are left on the disk of {path}; make room"


def _anchors(vault: Vault) -> Iterator[str]:
    """Warn where AUDIT_ANCHOR_COMMAND used to send anchors and no longer does.  Where
    they are kept by hand the trail has no entry about them, and there is no warning."""
    with reading(vault.engine) as db:
        given = newest_given(db)
    if given.failed_since:
        yield (
            "the last anchor could not be given away; see what "
            "AUDIT_ANCHOR_COMMAND says"
        )
    now = vault.clock()
    if given.at is not None and now - given.at > OLD_ANCHOR_DAYS * DAY_SECONDS:
        yield f"the newest anchor is old (given away {age(given.at, now)}); run a backup"


def _machine() -> Iterator[str]:
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        yield "core files are on; a core file may hold a key: ulimit -c 0"
    swaps = Path("/proc/swaps")
    if swaps.exists() and len(swaps.read_text().splitlines()) > 1:
        yield "swap is on; memory with a live data key may reach the disk: encrypt it"
