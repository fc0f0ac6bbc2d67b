"""The steps of ``cardvault root rotate``: prepare a new root, finalize, give it up.

Each step that names a new root needs its secret half, from the file beside the old root
key or from its shares.  Both new files must have the old root's MAC.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Row, select

from .. import crypto
from ..crypto import OpsKeys
from ..errors import FileRefused, IntegrityFault, WrongRootKey
from ..ops import root_rotation, root_shares
from ..ops.open_vault import OpenVault
from ..ops.root_key import RootKey, read_root_text
from ..ops.rotation.start import require_made_by_root
from ..store.database import connect, reading
from ..store.migrations import HISTORY
from ..store.row_macs import RowSigner
from ..store.schema import PURGED, VAULT
from ..web.vault import Vault
from ..web.web_key import WebKey
from .anchors import give_anchor
from .init import show_shares
from .leavings import clear
from .output import counted
from .vaults import (
    actor,
    new_file_for,
    read_passphrase,
    read_root_key,
    read_settings,
    read_shares,
    vault_with_root_key,
)

ABANDON = "cardvault root rotate --abandon"
FINALIZE = "cardvault root rotate --finalize"
# Shares and threshold.  With two of three, one share can be lost and one stolen.  They
# hold without a terminal, where nobody can be asked.
DEFAULT_SPLIT = 3, 2


def prepare() -> None:
    """Make the new root's files, or use those that a killed run left, and wrap every
    data key to the new root too."""
    settings, vault = read_settings(), vault_with_root_key()
    web_path = new_file_for(settings.web_key)
    with reading(vault.engine) as db:
        # Check this before writing a file, as well as before writing rows.
        require_made_by_root(vault, db, PURGED)
        coming = vault.state(db).next_root_id
    left = _left_web_key(vault, web_path)
    if left is not None or coming is not None:
        new = _secret_of(vault, left.root.id if left else str(coming))
    else:
        new = _make_root(vault)
    secret = new.secret()
    if left is None:
        successor = vault.web_key.successor(
            vault.ops,
            secret.ops,
            root=secret.public,
            sealing_key=vault.web_key.sealing_key,
        )
        successor.write(web_path)
    count = root_rotation.prepare(vault, secret, actor())
    give_anchor(vault, actor())
    click.echo(f"{counted(count, 'data key')} wrapped to root {secret.public.id} too")
    click.echo(f"new web key   {web_path}")
    if settings.root_key is not None:
        click.echo(f"new root key  {new_file_for(settings.root_key)}")
    click.echo(f"next          {FINALIZE}")


def _left_web_key(vault: OpenVault, path: Path) -> WebKey | None:
    """The new web key file that a killed run left, when this vault's root made it
    for this vault's next root."""
    if not path.exists():
        return None
    left = WebKey.read(path)
    left.require_made_by(vault.ops)
    if left.root.id == vault.root_id:
        raise FileRefused(
            f"{path} is of this vault's root already, not of a new one",
            hint="finish or clear away what it is of (cardvault web-key rotate), "
            "then run this again",
        )
    if (left.replaces, left.sealing_key) != (
        vault.web_key.name,
        vault.web_key.sealing_key,
    ):
        raise FileRefused(
            f"{path} was made to replace another web key than {vault.web_key.source}",
            hint=f"give it up with: {ABANDON}",
        )
    return left


def _make_root(vault: OpenVault) -> RootKey:
    """A new root, or the one in the file that a killed run left.  It is on the disk, or
    on the custodians' paper, before a row names it; if the run is killed after that,
    the root is unused."""
    settings, vault_id = read_settings(), vault.web_key.vault_id
    if settings.root_key is None:
        new = RootKey(vault_id, crypto.new_key())
        click.echo("How many custodians get a share of the new root?", err=True)
        count, threshold = _ask_shares()
        show_shares(root_shares.split(new, count, threshold), threshold)
        return new
    path = new_file_for(settings.root_key)
    if path.exists():
        return _read_new_root(vault.ops, path)
    is_sealed = RootKey.is_sealed(read_root_text(settings.root_key))
    new = RootKey(vault_id, crypto.new_key())
    new.write(path, read_passphrase(settings) if is_sealed else None, vault.ops)
    return new


def _ask_shares() -> tuple[int, int]:
    """How many shares and how many of them open the vault, asked on a terminal."""
    if not sys.stdin.isatty():
        return DEFAULT_SPLIT
    shares, threshold = DEFAULT_SPLIT
    counts = click.IntRange(2, root_shares.MAX_SHARES)
    return (
        click.prompt("Shares", type=counts, default=shares, err=True),
        click.prompt("Threshold", type=counts, default=threshold, err=True),
    )


def _secret_of(vault: OpenVault, root_id: str) -> RootKey:
    """The secret half of the new root ``root_id``, read from its file or its shares."""
    settings = read_settings()
    if settings.root_key is None:
        click.echo(f"Now the shares of the new root, {root_id}.", err=True)
        new = root_shares.combine(_new_shares(root_id), vault.web_key.vault_id)
    else:
        path = new_file_for(settings.root_key)
        if not path.exists():
            raise FileRefused(
                f"{path}, the new root {root_id}, is not there",
                hint=f"put it back, or give the new root up with: {ABANDON}",
            )
        new = _read_new_root(vault.ops, path)
    if new.secret().public.id != root_id:
        raise WrongRootKey(
            f"that is not the new root, {root_id}", hint="nothing was changed"
        )
    return new


def _new_shares(root_id: str) -> list[str]:
    try:
        return read_shares()
    except click.UsageError:
        raise FileRefused(
            f"the shares of the new root {root_id} are needed, to see that it opens",
            hint=f"give them one a line; when they are lost: {ABANDON}",
        ) from None


def _read_new_root(ops: OpsKeys, path: Path) -> RootKey:
    text = read_root_text(path)
    if RootKey.root_named(text, path) == ops.root_id:
        raise FileRefused(
            f"{path} is this vault's root already, not a new one",
            hint=f"put it in place first: mv {path} {read_settings().root_key}",
        )
    RootKey.require_made_by(text, ops, path)
    passphrase = read_passphrase(read_settings()) if RootKey.is_sealed(text) else None
    return RootKey.parse(text, path, passphrase)


def finalize() -> None:
    """Make the prepared root the only one, and print where its files go."""
    settings = read_settings()
    web_path = new_file_for(settings.web_key)
    newest = WebKey.read(web_path if web_path.exists() else settings.web_key)
    state, at_hand = _state(newest), None
    if state.next_root_id is None and state.root_id == newest.root.id:
        click.echo(f"root {state.root_id} is the only root; nothing is left to do")
    elif state.next_root_id is None:
        raise FileRefused(
            f"root {newest.root.id} is not prepared: the run that began it was cut off",
            hint="go on with: cardvault root rotate",
        )
    else:
        at_hand = _finalize(newest, state.next_root_id)
        click.echo(f"root {newest.root.id} is the only root now")
    clear(connect(settings.database_url))
    _say_next(newest, at_hand)


def _finalize(newest: WebKey, coming: str) -> RootKey:
    """Make the prepared root ``coming`` the only one; returns the old root key, which
    was read for it."""
    vault = vault_with_root_key()
    newest.require_made_by(vault.ops)
    if newest.root.id != coming:
        raise FileRefused(
            f"{newest.source} is of root {newest.root.id}, and {coming} is prepared",
            hint="go on with: cardvault root rotate",
        )
    new = _secret_of(vault, coming).secret()
    if new.public.encoded != newest.root.encoded:
        raise WrongRootKey(
            f"that is not the new root, {coming}", hint="nothing was changed"
        )
    root_rotation.finalize(vault, new, actor())
    give_anchor(Vault(newest, vault.engine, vault.clock), actor())
    return vault.root_key


def _state(newest: WebKey) -> Row[Any]:
    """The vault's own row, checked with the web key alone, because the root key at hand
    may be the old one or the new one."""
    engine = connect(read_settings().database_url)
    HISTORY.require_head(engine, "vault")
    with reading(engine) as db:
        row = db.execute(select(VAULT)).first()
    engine.dispose()
    if row is None:
        raise IntegrityFault("vault row", "is missing")
    signer = RowSigner(newest.vault_id, newest.sealing_key)
    signer.check(VAULT, row, "vault row")
    return row


def _say_next(web_key: WebKey, known: RootKey | None) -> None:
    """Print where the new files go that are still there.

    Each must be made by the root at hand (``known``, or read now) and be of the root
    that ``web_key`` names; otherwise following the advice could overwrite the only good
    key with a file that somebody else put there.  Raises NotMadeByRoot.
    """
    settings = read_settings()
    files = [
        new_file_for(path) for path in (settings.web_key, settings.root_key) if path
    ]
    if not any(path.exists() for path in files):
        return
    at_hand = (known or read_root_key(settings, web_key.vault_id)).secret()
    if files[0].exists():
        web_key.require_made_by(at_hand.ops)
        click.echo(f"next  mv {files[0]} {settings.web_key}, then restart the site")
    if at_hand.public.id == web_key.root.id or not files[-1].exists():
        return
    if settings.root_key is not None:
        new = _read_new_root(at_hand.ops, files[-1])
        if new.secret().public.id == web_key.root.id:
            click.echo(f"      mv {files[-1]} {settings.root_key} once the old")
            click.echo("      root is filed with the backups that only it opens")


def abandon() -> None:
    """Give the new root up and remove its files, even if it was not prepared fully."""
    settings, vault = read_settings(), vault_with_root_key()
    files = _new_files(vault)
    root_id = root_rotation.abandon(vault, actor(), next(iter(files.values()), None))
    if root_id is None:
        raise click.UsageError("no new root is being prepared; nothing was changed")
    for path in files:
        path.unlink(missing_ok=True)
    give_anchor(vault, actor())
    click.echo(f"root {root_id} is given up; root {vault.root_id} stays the vault's")
    for path in files:
        click.echo(f"removed  {path}")
    if settings.root_key is None:
        click.echo("its shares, where there are any, open nothing")
    click.echo("next     cardvault root rotate, when a new root is wanted")


def _new_files(vault: OpenVault) -> dict[Path, str]:
    """The new root's files by path, each with the root it names; raises NotMadeByRoot
    for one that this vault's root did not make."""
    settings = read_settings()
    files: dict[Path, str] = {}
    web_path = new_file_for(settings.web_key)
    if web_path.exists():
        left = WebKey.read(web_path)
        left.require_made_by(vault.ops)
        # A file for a new sealing key under the same root belongs to web-key rotate.
        if left.root.id != vault.root_id:
            files[web_path] = left.root.id
    if settings.root_key is not None and new_file_for(settings.root_key).exists():
        path = new_file_for(settings.root_key)
        files[path] = _read_new_root(vault.ops, path).secret().public.id
    return files
