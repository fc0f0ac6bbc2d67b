"""``cardvault web-key`` changes the file that the web server seals and signs with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import Connection, Engine, select

from .. import crypto
from ..card.scrub import one_line
from ..clock import system_clock
from ..errors import FileRefused
from ..ops.anchor import Anchor
from ..ops.open_vault import OpenVault
from ..ops.rotation.start import require_made_by_root
from ..ops.web_key_recovery import CheckTrail, Recovery, stored_vault_id
from ..ops.web_key_recovery import recover as recover_web_key
from ..ops.web_key_rotation import is_signed_by, sign_all_rows
from ..settings import VaultSettings
from ..store.database import connect, reading
from ..store.key_file import take_owner, take_owner_of_folder
from ..store.revisions import REVISIONS
from ..store.schema import AUDIT_ENTRY, PURGED
from ..store.sqlite import sqlite_path
from ..web.vault import Vault
from ..web.web_key import WebKey
from .anchors import ANCHOR_FILE, give_anchor, read_anchors
from .leavings import clear
from .output import counted
from .vaults import (
    EXAMPLE,
    actor,
    new_file_for,
    open_parts,
    read_root_key,
    read_settings,
)

EXIT_FOUND = 1


@click.group("web-key")
def web_key() -> None:
    """Change the web key file."""


@web_key.command(epilog=EXAMPLE + "cardvault web-key rotate")
def rotate() -> None:
    """Make a new sealing key and sign every row with it. Needs the root key.

    The new web key file is written beside the old one. All rows change in one
    transaction; if it is killed, run it again. Until the site is restarted with the new
    file it answers 503.
    """
    path = read_settings().web_key
    new_path, vault = new_file_for(path), open_parts()
    left = WebKey.read(new_path) if new_path.exists() else None
    if (
        left is not None
        and is_signed_by(vault, left)
        and left.name != vault.web_key.name
    ):
        vault.under(left).require_ready()
        click.echo("every row is signed under the new web key already")
    else:
        # This refuses a wrong root key before anything is written.
        vault.require_ready()
        new = _new_key(new_path, vault) if left is None else _taken_up(left, vault)
        count = sign_all_rows(vault, new, actor())
        give_anchor(Vault(new, vault.engine, vault.clock), actor())
        click.echo(f"{counted(count, 'row')} signed under the new web key")
    clear(vault.engine)
    take_owner(new_path, path)
    click.echo(f"new web key  {new_path}")
    click.echo("the site answers 503 from here, until on each host that has one:")
    click.echo(f"next         mv {new_path} {path}, then restart the site")


@web_key.command(
    epilog=EXAMPLE
    + "VAULT_ROOT_KEY=/media/usb/root.key cardvault web-key recover --anchor anchors"
)
@ANCHOR_FILE
@click.pass_context
def recover(context: click.Context, anchor_file: Path | None) -> None:
    """Make the web key file anew after it was lost. Needs the root key.

    Every row is signed under a new sealing key once the root has proven it: a card is
    opened and held against the trail, the trail is checked from its beginning. A row
    that can't be proven is named and stays as it is. Nothing is ever written over; if it
    is killed, run it again. Backups from before need the lost file.

    Exit code 1: rows are left that could not be proven; 5: what only the root makes was
    not made by it, and nothing was written.
    """
    settings = read_settings()
    crypto.self_test()
    engine = _connect(settings)
    if _is_there(settings.web_key, engine):
        click.echo(f"{settings.web_key} is there and is this vault's; nothing to do")
        return
    with reading(engine) as db:
        vault_id = stored_vault_id(db)
    anchors = read_anchors(anchor_file, vault_id) if anchor_file else []
    root_key = read_root_key(settings, vault_id)
    done = recover_web_key(
        root_key, settings.web_key, engine, system_clock, actor(), _check_of(anchors)
    )
    take_owner_of_folder(settings.web_key)
    give_anchor(Vault(WebKey.read(settings.web_key), engine, system_clock), actor())
    clear(engine)
    if done is not None:
        _show_recovered(done, anchored=bool(anchors))
    click.echo(f"web key  {settings.web_key}")
    click.echo("next     restart the site on each host, then: cardvault verify")
    click.echo("         cardvault backup FILE; those from before need the lost file")
    context.exit(EXIT_FOUND if done is not None and done.left else 0)


def _connect(settings: VaultSettings) -> Engine:
    """The vault's database, which is there and has its tables."""
    database = sqlite_path(settings.database_url)
    if database is not None and not database.is_file():
        # Connecting would make the file, and init would find it in the way.
        raise FileRefused(
            f"{database} is not there",
            hint="check VAULT_DATABASE_URL; a new vault is made with: cardvault init",
        )
    engine = connect(settings.database_url)
    REVISIONS.require_head(engine, "vault")
    return engine


def _check_of(anchors: Sequence[Anchor]) -> CheckTrail:
    """A function that compares the trail with each anchor; it raises IntegrityFault."""

    def check(db: Connection) -> None:
        for anchor in anchors:
            query = select(AUDIT_ENTRY.c.mac).where(AUDIT_ENTRY.c.seq == anchor.entries)
            anchor.check(db.execute(query).scalar())

    return check


def _is_there(path: Path, engine: Engine) -> bool:
    """Say whether the web key file is there and the vault's; raises FileRefused when
    another file is in its place, or the one to use is beside it."""
    if os.path.lexists(path):
        if Vault(WebKey.read(path), engine, system_clock).is_well():
            return True
        raise FileRefused(
            f"{path} is there, and the vault's rows are not under it",
            hint="is it another vault's, or an older one? move it away, then run this "
            "again",
        )
    beside = new_file_for(path)
    if beside.exists() and Vault(WebKey.read(beside), engine, system_clock).is_well():
        raise FileRefused(
            f"the sealing key is not lost: the vault's rows are under {beside}",
            hint=f"mv {beside} {path}, then restart the site",
        )
    return False


def _show_recovered(done: Recovery, *, anchored: bool) -> None:
    for subject, problem in done.left.items():
        click.echo(one_line(f"{subject}  {problem}; not signed"))
    click.echo(f"{counted(done.rows, 'row')} signed under a new sealing key")
    click.echo(
        f"proven   {counted(done.entries, 'entry')} of the trail, from its start"
    )
    click.echo(f"proven   {counted(done.cards, 'card')} opened and held against it")
    if done.by_row_alone:
        said = f"the expiry of {counted(done.by_row_alone, 'card')} that came by a file"
        click.echo(f"unproven {said}: flask --app wsgi cards reconcile compares them")
    if not anchored:
        click.echo("unproven that no entry is missing at the trail's end: no --anchor")
    click.echo("unproven what was done with the lost web key by whoever may have it")


def _taken_up(left: WebKey, vault: OpenVault) -> WebKey:
    """The new web key that a killed run left; raises NotMadeByRoot when this root
    didn't make it, FileRefused when it doesn't replace this web key."""
    left.require_made_by(vault.ops)
    own, path = vault.web_key, left.source
    if left.root.encoded != own.root.encoded:
        raise FileRefused(
            f"{path} belongs to a root rotation that is under way",
            hint="finish it with: cardvault root rotate --finalize, or give it up "
            "with: cardvault root rotate --abandon",
        )
    if left.sealing_key == own.sealing_key or left.replaces != own.name:
        raise FileRefused(
            f"{path} was not made to replace {own.source}: it is a copy of it, or of "
            "an older one",
            hint="move it away and run: cardvault web-key rotate",
        )
    return left


def _new_key(path: Path, vault: OpenVault) -> WebKey:
    own = vault.web_key
    with reading(vault.engine) as db:
        # Check this before writing a file, as well as before writing rows.
        require_made_by_root(vault, db, PURGED)
        coming = vault.state(db).next_root_id
    if coming is not None:
        raise FileRefused(
            f"root {coming} is prepared, and its web key file would need another",
            hint="finish it with: cardvault root rotate --finalize, or give it up "
            "with: cardvault root rotate --abandon",
        )
    new = own.successor(vault.ops, root=own.root, sealing_key=crypto.new_key())
    new.write(path)
    return new
