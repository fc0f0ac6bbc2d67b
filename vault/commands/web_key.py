"""``cardvault web-key`` changes the file that the web server seals and signs with."""

from __future__ import annotations

from pathlib import Path

import click

from .. import crypto
from ..errors import FileRefused
from ..ops.open_vault import OpenVault
from ..ops.rotation.start import require_made_by_root
from ..ops.web_key_rotation import is_signed_by, sign_all_rows
from ..store.database import reading
from ..store.schema import PURGED
from ..web.vault import Vault
from ..web.web_key import WebKey
from .anchors import give_anchor
from .leavings import clear
from .output import counted
from .vaults import EXAMPLE, actor, new_file_for, open_parts, read_settings


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
    click.echo(f"new web key  {new_path}")
    click.echo(f"next         mv {new_path} {path}, then restart the site")


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
