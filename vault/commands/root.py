"""``cardvault root`` changes, splits and checks the root key."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from ..errors import FileRefused, WrongRootKey
from ..ops import root_shares
from ..ops.root_key import MIN_PASSPHRASE, RootKey, read_root_text
from ..store.files import require_free, sync_folder
from ..store.key_file import take_owner, write_private
from ..web.web_key import WebKey
from . import new_root
from .init import show_shares
from .uses import note_use_here
from .vaults import (
    EXAMPLE,
    actor,
    new_passphrase,
    read_root_key,
    read_settings,
    read_shares,
    vault_with_root_key,
)


@click.group()
def root() -> None:
    """Change, split and check the root key."""


@root.command(
    epilog=EXAMPLE
    + "cardvault root rotate, and later: cardvault root rotate --finalize"
)
@click.option("--finalize", is_flag=True, help="Make the new root the only one.")
@click.option("--abandon", is_flag=True, help="Give the new root up again.")
def rotate(finalize: bool, abandon: bool) -> None:
    """Make a new root key and rewrap every data key to it; no card changes.

    The new key files are written beside the old ones. Until --finalize every data key
    is wrapped to both roots and the old one stays the vault's. --abandon gives the new
    root up, for example when its shares were lost. A backup made before --finalize
    opens with the old root alone: keep the old root as long as such a backup.

    From --finalize on the site answers 503, until on each of its hosts the new web key
    file is in the place of the old one and the site is restarted.
    """
    if finalize and abandon:
        raise click.UsageError("give --finalize or --abandon, not both")
    if finalize:
        new_root.finalize()
    elif abandon:
        new_root.abandon()
    else:
        new_root.prepare()


@root.command(epilog=EXAMPLE + "cardvault root split --shares 5 --threshold 3")
@click.option("--shares", "count", type=int, required=True, help="How many to print.")
@click.option("--threshold", type=int, required=True, help="How many open the vault.")
def split(count: int, threshold: int) -> None:
    """Print the root key as shares, once. The key itself stays as it is."""
    vault = vault_with_root_key()
    lines = root_shares.split(vault.root_key, count, threshold)
    with vault.engine.begin() as db:
        detail = {"shares": count, "threshold": threshold}
        vault.record(
            db, "root.split", actor(), subject=f"root {vault.root_id}", detail=detail
        )
    show_shares(lines, threshold)


@root.command(
    "check-shares", epilog=EXAMPLE + "cardvault root check-shares < shares.txt"
)
def check_shares() -> None:
    """Say whether shares still open this vault; writes nothing to disk.

    Give as many shares as the threshold, or more, one a line; an empty line ends.
    Every share is tried.
    """
    web_key = WebKey.read(read_settings().web_key)
    given = read_shares()
    _require_this_vaults(root_shares.combine(given, web_key.vault_id), web_key)
    note_use_here(web_key.root.id, "root check-shares")
    click.echo(f"{len(given)} shares open root {web_key.root.id}, each one tried")


@root.command(epilog=EXAMPLE + "cardvault root join --out /media/usb/root.key")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The new root key file; nothing is ever written over.",
)
def join(out: Path) -> None:
    """Make a sealed root key file of shares, for example when its passphrase is lost.

    Give as many shares as the threshold, or more, one a line; an empty line ends. The
    file's passphrase is asked for, or read from VAULT_ROOT_PASSPHRASE_FILE. The shares
    open the vault as before.
    """
    settings = read_settings()
    web_key = WebKey.read(settings.web_key)
    require_free(out)
    if settings.root_passphrase_file is None and not sys.stdin.isatty():
        raise click.UsageError(
            "no passphrase for the new file: set VAULT_ROOT_PASSPHRASE_FILE, or run "
            "this on a terminal"
        )
    passphrase = new_passphrase(settings)
    root_key = root_shares.combine(read_shares(), web_key.vault_id)
    _require_this_vaults(root_key, web_key)
    note_use_here(web_key.root.id, "root join")
    root_key.write(out, passphrase)
    RootKey.parse(read_root_text(out), out, passphrase)
    click.echo(f"root key  {out}   root {web_key.root.id}, under the passphrase")
    click.echo(f"next      VAULT_ROOT_KEY={out} cardvault verify")


def _require_this_vaults(root_key: RootKey, web_key: WebKey) -> None:
    """Raise WrongRootKey unless the root that shares gave is the web key's."""
    public = root_key.secret().public
    if public.encoded != web_key.root.encoded:
        raise WrongRootKey(
            f"these shares are of root {public.id}, not of this vault's",
            hint=f"this vault's root is {web_key.root.id}",
        )


@root.command(
    epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault root passphrase"
)
def passphrase() -> None:
    """Seal the root key file under another passphrase.

    The new file is written beside and renamed over the old one. The old
    passphrase is asked for, or read from VAULT_ROOT_PASSPHRASE_FILE; the new one
    is asked for, or read from standard input.
    """
    settings = read_settings()
    if settings.root_key is None:
        raise click.UsageError("set VAULT_ROOT_KEY to the root key file")
    web_key = WebKey.read(settings.web_key)
    root_key = read_root_key(settings, web_key.vault_id)
    if root_key.secret().public.encoded != web_key.root.encoded:
        raise WrongRootKey(f"{settings.root_key} is not the root key of this vault")
    note_use_here(web_key.root.id, "root passphrase")
    piped = dataclasses.replace(settings, root_passphrase_file=None)
    new = new_passphrase(piped) if sys.stdin.isatty() else _piped_passphrase()
    # Another name than a new root's file has, so that one is not taken for the other.
    written = settings.root_key.with_name(settings.root_key.name + ".resealed")
    try:
        written.unlink(missing_ok=True)
        write_private(written, root_key.text(new))
        take_owner(written, settings.root_key)
        written.replace(settings.root_key)
        sync_folder(settings.root_key.parent)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise FileRefused(
            f"{settings.root_key} can't be replaced: {error.strerror}"
        ) from None
    click.echo(f"{settings.root_key} is sealed under the new passphrase")


def _piped_passphrase() -> str:
    given = sys.stdin.readline().rstrip("\r\n").removeprefix("\ufeff")
    if len(given) < MIN_PASSPHRASE:
        raise click.UsageError(
            f"the passphrase has under {MIN_PASSPHRASE} characters; give a longer one"
        )
    return given
