"""``cardvault backup`` writes both databases into one file."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import click
from sqlalchemy.engine import make_url

from ..clock import japan_stamp
from ..errors import FileRefused
from ..ops.backup import make as backups
from ..ops.backup.manifest import Manifest
from ..settings import VaultSettings
from ..store.database import connect
from ..store.files import disk_faults, require_free
from ..store.sqlite import sqlite_path
from .anchors import give_anchor
from .uses import warn
from .vaults import EXAMPLE, actor, read_settings, vault_without_root_key

KEYS = "not in it: keep the web key and the root key elsewhere, each on its own"
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command(epilog=EXAMPLE + "cardvault backup /media/usb/site-2026-11-23.backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@JSON
def backup(file: Path, as_json: bool) -> None:
    """Write both databases, as they are at one moment, into the new file FILE.

    The site stays in use. Needs no root key and holds no key. Killed at any
    instant it leaves no FILE; run it again. Exit code 2 when FILE is there.
    """
    settings = read_settings()
    for database in database_files(settings, "pg_dump"):
        if not database.exists():
            raise FileRefused(
                f"{database} is not there",
                hint="set VAULT_DATABASE_URL and DATABASE_URL as the site has them",
            )
    require_free(file)
    vault, site = vault_without_root_key(), connect(settings.site_database_url)
    end_tidily()
    with disk_faults(file):
        manifest = backups.make(vault, site, file, actor(), _warn_unrecorded)
        size = file.stat().st_size
    give_anchor(vault, actor())
    if as_json:
        facts = {"file": str(file), "bytes": size, **manifest.as_object()}
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    click.echo(f"backup  {file}   {size:,} bytes")
    show(manifest)
    click.echo(f"keys    {KEYS}")
    click.echo(f"next    cardvault restore {file} --drill")


def _warn_unrecorded() -> None:
    database, _ = database_files(read_settings(), "pg_dump")
    warn(
        f"the trail has no entry of this backup: the disk of {database} takes no more",
        "note it by hand: who, when, why; then make room there",
    )


def database_files(settings: VaultSettings, tool: str) -> tuple[Path, Path]:
    """The vault's and the site's SQLite files.  When either is on PostgreSQL, raises
    FileRefused with the commands of PostgreSQL to type instead."""
    vault, site = (
        sqlite_path(settings.database_url),
        sqlite_path(settings.site_database_url),
    )
    if vault is None or site is None:
        # The site's comes first; docs/operations.md says why.
        urls = {"site": settings.site_database_url, "vault": settings.database_url}
        typed = [
            _postgres_line(tool, name, url)
            for name, url in urls.items()
            if sqlite_path(url) is None
        ]
        raise FileRefused(
            "this command is for SQLite files, and a database is on PostgreSQL",
            hint=" && ".join(typed) + "  (docs/operations.md has the checks)",
        )
    return vault, site


def _postgres_line(tool: str, name: str, url: str) -> str:
    # libpq knows no driver name, and the password is left to ~/.pgpass.
    shown = make_url(url).set(drivername="postgresql")._replace(password=None)
    address = shown.render_as_string()
    if tool == "pg_dump":
        return f"pg_dump --format=custom --file={name}.pgdump '{address}'"
    return (
        "pg_restore --exit-on-error --single-transaction "
        f"--dbname='{address}' {name}.pgdump"
    )


def show(manifest: Manifest) -> None:
    """Print what a backup holds."""
    at = japan_stamp(manifest.made_at)
    rows = ", ".join(f"{name} {count:,}" for name, count in manifest.site.items())
    click.echo(f"made    {at}; what came later is not in it")
    click.echo(f"cards   {manifest.cards:,} of generation up to {manifest.generation}")
    click.echo(f"rows    {rows}")
    click.echo(f"trail   {manifest.anchor.entries:,} entries")


def end_tidily() -> None:
    """Make SIGTERM end the command as Ctrl-C does, so that unfinished files are
    removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
