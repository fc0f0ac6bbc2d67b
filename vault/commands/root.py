"""cardvault root: change, split and check the root key."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from .. import roots, sealing, shares
from ..clock import system_clock
from ..database import connect, reading
from ..errors import KeyFileError, WrongRootKey
from ..keys import RootKey, WebKey, read_root_text, write_private
from ..open_vault import OpenVault
from ..sealing import RootPublic
from ..vault import Vault
from .init import show_shares
from .place import (
    EXAMPLE,
    actor,
    beside,
    new_passphrase,
    open_vault,
    read_passphrase,
    read_root_key,
    read_shares,
    settings,
)
from .words import counted


@click.group()
def root() -> None:
    """Change, split and check the root key."""


@root.command(
    epilog=EXAMPLE
    + "cardvault root rotate, and later: cardvault root rotate --finalize"
)
@click.option("--finalize", is_flag=True, help="Make the new root the only one.")
def rotate(finalize: bool) -> None:
    """Make a new root key and rewrap every data key to it; no card changes.

    The new key files are written beside the old ones. Until --finalize every
    data key is wrapped to both roots. A backup taken before --finalize opens
    with the old root alone: keep the old root as long as such a backup.
    """
    if finalize:
        _finalize()
    else:
        _prepare()


def _prepare() -> None:
    place = settings()
    vault = open_vault()
    web_path = beside(place.web_key)
    if not web_path.exists():
        _write_new_keys(vault, web_path)
    new = WebKey.read(web_path)
    count = roots.prepare(vault, new.root, actor())
    click.echo(f"{counted(count, 'data key')} wrapped to root {new.root.id} too")
    click.echo(f"new web key   {web_path}")
    if place.root_key is not None:
        click.echo(f"new root key  {beside(place.root_key)}")
    click.echo("next          cardvault root rotate --finalize")


def _write_new_keys(vault: OpenVault, web_path: Path) -> None:
    """The new root first, durably or on the custodians' paper, then the web key
    that names it: a run killed between leaves a root nobody uses."""
    place, vault_id = settings(), vault.web_key.vault_id
    if place.root_key is None:
        new_root = RootKey(vault_id, sealing.new_key())
        click.echo("How many custodians get a share of the new root?", err=True)
        count, threshold = _ask_shares()
        show_shares(shares.split(new_root, count, threshold), threshold)
    else:
        new_root = _new_root_file(place.root_key, vault_id)
    new = dataclasses.replace(vault.web_key, root=new_root.secret().public)
    new.write(web_path)


def _ask_shares() -> tuple[int, int]:
    """From the environment of a drill, or typed: the old split is not known."""
    if not sys.stdin.isatty():
        return 3, 2
    return (
        click.prompt("Shares", type=click.IntRange(2, 16), default=3, err=True),
        click.prompt("Threshold", type=click.IntRange(2, 16), default=2, err=True),
    )


def _new_root_file(path: Path, vault_id: str) -> RootKey:
    old = read_root_text(path)
    passphrase = read_passphrase(settings()) if RootKey.is_sealed(old) else None
    new_path = beside(path)
    if new_path.exists():
        return RootKey.parse(read_root_text(new_path), new_path, passphrase)
    new_root = RootKey(vault_id, sealing.new_key())
    new_root.write(new_path, passphrase)
    return new_root


def _finalize() -> None:
    place = settings()
    web_path = beside(place.web_key)
    engine = connect(place.database_url)
    newest = WebKey.read(web_path if web_path.exists() else place.web_key)
    if _is_over(Vault(newest, engine, system_clock)):
        click.echo(f"root {newest.root.id} is the only root; nothing is left to do")
        return
    vault = open_vault()
    if vault.root_id != newest.root.id:
        _prove(vault, newest, _new_root(newest.root))
    roots.finalize(vault, newest.root, actor())
    click.echo(f"root {newest.root.id} is the only root now")
    click.echo(f"next  mv {web_path} {place.web_key}, then restart the site")
    if place.root_key is not None:
        click.echo(f"      mv {beside(place.root_key)} {place.root_key} once the old")
        click.echo("      root is filed with the backups that only it opens")


def _is_over(vault: Vault) -> bool:
    with reading(vault.engine) as db:
        state = vault.state(db)
    return state.root_id == vault.web_key.root.id and state.next_root_id is None


def _new_root(public: RootPublic) -> RootKey:
    """The new root key, from beside the old file or from its shares."""
    place = settings()
    vault_id = WebKey.read(place.web_key).vault_id
    if place.root_key is None:
        click.echo("Now the shares of the new root.", err=True)
        new_root = shares.combine(read_shares(), vault_id)
    else:
        path = beside(place.root_key)
        text = read_root_text(path)
        passphrase = read_passphrase(place) if RootKey.is_sealed(text) else None
        new_root = RootKey.parse(text, path, passphrase)
    if new_root.secret().public.encoded != public.encoded:
        raise WrongRootKey(
            f"that is not the new root, {public.id}", hint="nothing was changed"
        )
    return new_root


def _prove(vault: OpenVault, newest: WebKey, new_root: RootKey) -> None:
    """Raise unless the new root, as it will be kept, opens the trail's first key."""
    opened = OpenVault(newest, new_root, vault.engine, system_clock)
    with reading(vault.engine) as db:
        if not sealing.same(opened.genesis(db), vault.genesis(db)):
            raise WrongRootKey("the new root opens something else; nothing was changed")


@root.command(epilog=EXAMPLE + "cardvault root split --shares 5 --threshold 3")
@click.option("--shares", "count", type=int, required=True, help="How many to print.")
@click.option("--threshold", type=int, required=True, help="How many open the vault.")
def split(count: int, threshold: int) -> None:
    """Print the root key as shares, once. The key itself stays as it is."""
    place = settings()
    vault = open_vault()
    root_key = read_root_key(place, vault.web_key.vault_id)
    lines = shares.split(root_key, count, threshold)
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

    Give any number from the threshold up, one a line, an empty line ends.
    """
    web_key = WebKey.read(settings().web_key)
    given = read_shares()
    root_key = shares.combine(given, web_key.vault_id)
    if root_key.secret().public.id != web_key.root.id:
        raise WrongRootKey(
            "these shares are of another root than this vault's",
            hint=f"this vault's root is {web_key.root.id}",
        )
    click.echo(f"{len(given)} shares open root {web_key.root.id}")


@root.command(
    epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault root passphrase"
)
def passphrase() -> None:
    """Seal the root key file under another passphrase.

    The new file is written beside and renamed over the old one. The old
    passphrase is asked for, or read from VAULT_ROOT_PASSPHRASE_FILE; the new one
    is asked for, or read from standard input.
    """
    place = settings()
    if place.root_key is None:
        raise click.UsageError("set VAULT_ROOT_KEY to the root key file")
    web_key = WebKey.read(place.web_key)
    root_key = read_root_key(place, web_key.vault_id)
    if root_key.secret().public.id != web_key.root.id:
        raise WrongRootKey(f"{place.root_key} is not the root key of this vault")
    piped = dataclasses.replace(place, root_passphrase_file=None)
    new = new_passphrase(piped) if sys.stdin.isatty() else _piped_passphrase()
    written = beside(place.root_key)
    write_private(written, root_key.text(new))
    try:
        written.replace(place.root_key)
    except OSError as error:
        written.unlink()
        raise KeyFileError(
            f"{place.root_key} can't be replaced: {error.strerror}"
        ) from None
    click.echo(f"{place.root_key} is sealed under the new passphrase")


def _piped_passphrase() -> str:
    given = sys.stdin.readline().rstrip("\r\n")
    if len(given) < 12:
        raise click.UsageError(
            "the passphrase has under 12 characters; give a longer one"
        )
    return given
