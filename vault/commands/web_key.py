"""cardvault web-key: the file that the web server seals and signs with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from .. import sealing
from ..keys import WebKey
from ..open_vault import OpenVault
from ..resigning import is_signed_by, resign
from .place import EXAMPLE, actor, beside, open_parts, settings
from .words import counted


@click.group("web-key")
def web_key() -> None:
    """Change the web key file."""


@web_key.command(epilog=EXAMPLE + "cardvault web-key rotate")
def rotate() -> None:
    """Make a new sealing key and every row's MAC anew. Needs the root key.

    The new web key file is written beside the old one. All rows change in one
    transaction: killed at any instant, run it again. Until the site is restarted
    with the new file it answers 503.
    """
    path = settings().web_key
    new_path, vault = beside(path), open_parts()
    left = _left_by_a_killed_run(new_path, vault)
    if left is not None and is_signed_by(vault, left):
        click.echo("every row is signed under the new web key already")
    else:
        # A wrong root key is named here, before anything is written.
        vault.require_ready()
        new = left or _new_key(new_path, vault)
        count = resign(vault, new, actor())
        click.echo(f"{counted(count, 'row')} signed under the new web key")
    click.echo(f"new web key  {new_path}")
    click.echo(f"next         mv {new_path} {path}, then restart the site")


def _left_by_a_killed_run(path: Path, vault: OpenVault) -> WebKey | None:
    if not path.exists():
        return None
    left, own = WebKey.read(path), vault.web_key
    if (left.vault_id, left.root.id) != (own.vault_id, own.root.id):
        raise click.UsageError(f"{path} is of another vault or root; move it first")
    return left


def _new_key(path: Path, vault: OpenVault) -> WebKey:
    new = dataclasses.replace(vault.web_key, sealing_key=sealing.new_key())
    new.write(path)
    return new
