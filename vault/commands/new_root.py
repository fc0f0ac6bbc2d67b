"""The steps of ``cardvault root rotate``: prepare a new root, finalize, give it up.

Each step that names a new root needs its secret half, from the file beside the old root
key or from its shares.  Both new files must have the old root's MAC.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
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
from ..settings import VaultSettings
from ..store.database import connect, reading
from ..store.key_file import take_owner
from ..store.revisions import REVISIONS
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


@dataclass(frozen=True)
class RootChange:
    """The files of a change of the root: the key files in use and the new ones beside
    them.  ``old_root`` and ``new_root`` are None where the root is held as shares."""

    settings: VaultSettings
    old_web: Path
    new_web: Path
    old_root: Path | None
    new_root: Path | None

    @classmethod
    def read(cls) -> RootChange:
        """The files that the settings name."""
        settings = read_settings()
        web, root = settings.web_key, settings.root_key
        new_root = new_file_for(root) if root else None
        return cls(settings, web, new_file_for(web), root, new_root)


def prepare() -> None:
    """Make the new root's files, or use those that a killed run left, and wrap every
    data key to the new root too."""
    change, vault = RootChange.read(), vault_with_root_key()
    with reading(vault.engine) as db:
        # Check this before writing a file, as well as before writing rows.
        require_made_by_root(vault, db, PURGED)
        coming = vault.state(db).next_root_id
    left = _left_web_key(vault, change.new_web)
    if left is not None or coming is not None:
        new = _secret_of(vault, change, left.root.id if left else str(coming))
    else:
        new = _make_root(vault, change)
    secret = new.secret()
    if left is None:
        successor = vault.web_key.successor(
            vault.ops,
            secret.ops,
            root=secret.public,
            sealing_key=vault.web_key.sealing_key,
        )
        successor.write(change.new_web)
    take_owner(change.new_web, change.old_web)
    if change.old_root is not None and change.new_root is not None:
        take_owner(change.new_root, change.old_root)
    count = root_rotation.prepare(vault, secret, actor())
    give_anchor(vault, actor())
    click.echo(f"{counted(count, 'data key')} wrapped to root {secret.public.id} too")
    click.echo(f"new web key   {change.new_web}")
    if change.new_root is not None:
        click.echo(f"new root key  {change.new_root}")
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


def _make_root(vault: OpenVault, change: RootChange) -> RootKey:
    """A new root, or the one in the file that a killed run left.  It is on the disk, or
    on the custodians' paper, before a row names it; if the run is killed after that,
    the root is unused."""
    new = RootKey(vault.web_key.vault_id, crypto.new_key())
    if change.old_root is None or change.new_root is None:
        click.echo("How many custodians get a share of the new root?", err=True)
        count, threshold = _ask_shares()
        show_shares(root_shares.split(new, count, threshold), threshold)
        return new
    if change.new_root.exists():
        return _read_new_root(vault.ops, change, change.new_root)
    is_sealed = RootKey.is_sealed(read_root_text(change.old_root))
    passphrase = read_passphrase(change.settings) if is_sealed else None
    new.write(change.new_root, passphrase, vault.ops)
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


def _secret_of(vault: OpenVault, change: RootChange, root_id: str) -> RootKey:
    """The secret half of the new root ``root_id``, read from its file or its shares."""
    if change.new_root is None:
        click.echo(f"Now the shares of the new root, {root_id}.", err=True)
        new = root_shares.combine(_new_shares(root_id), vault.web_key.vault_id)
    elif change.new_root.exists():
        new = _read_new_root(vault.ops, change, change.new_root)
    else:
        raise FileRefused(
            f"{change.new_root}, the new root {root_id}, is not there",
            hint=f"put it back, or give the new root up with: {ABANDON}",
        )
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


def _read_new_root(ops: OpsKeys, change: RootChange, path: Path) -> RootKey:
    """The new root key in its file ``path``.  Raises FileRefused for the old root's, and
    NotMadeByRoot unless the root of ``ops`` made the file."""
    text = read_root_text(path)
    if RootKey.root_named(text, path) == ops.root_id:
        raise FileRefused(
            f"{path} is this vault's root already, not a new one",
            hint=f"put it in place first: mv {path} {change.old_root}",
        )
    RootKey.require_made_by(text, ops, path)
    is_sealed = RootKey.is_sealed(text)
    passphrase = read_passphrase(change.settings) if is_sealed else None
    return RootKey.parse(text, path, passphrase)


def finalize() -> None:
    """Make the prepared root the only one, and print where its files go."""
    change = RootChange.read()
    newest = WebKey.read(change.new_web if change.new_web.exists() else change.old_web)
    state, at_hand = _state(newest, change), None
    if state.next_root_id is None and state.root_id == newest.root.id:
        click.echo(f"root {state.root_id} is the only root; nothing is left to do")
    elif state.next_root_id is None:
        raise FileRefused(
            f"root {newest.root.id} is not prepared: the run that began it was cut off",
            hint="go on with: cardvault root rotate",
        )
    else:
        at_hand = _finalize(newest, change, state.next_root_id)
        click.echo(f"root {newest.root.id} is the only root now")
    clear(connect(change.settings.database_url))
    _print_next(newest, change, at_hand)


def _finalize(newest: WebKey, change: RootChange, coming: str) -> RootKey:
    """Make the prepared root ``coming`` the only one; returns the old root key, which
    was read for it."""
    vault = vault_with_root_key()
    newest.require_made_by(vault.ops)
    if newest.root.id != coming:
        raise FileRefused(
            f"{newest.source} is of root {newest.root.id}, and {coming} is prepared",
            hint="go on with: cardvault root rotate",
        )
    new = _secret_of(vault, change, coming).secret()
    if new.public.encoded != newest.root.encoded:
        raise WrongRootKey(
            f"that is not the new root, {coming}", hint="nothing was changed"
        )
    root_rotation.finalize(vault, new, actor())
    give_anchor(Vault(newest, vault.engine, vault.clock), actor())
    return vault.root_key


def _state(newest: WebKey, change: RootChange) -> Row[Any]:
    """The vault's own row, checked with the web key alone, because the root key at hand
    may be the old one or the new one."""
    engine = connect(change.settings.database_url)
    REVISIONS.require_head(engine, "vault")
    with reading(engine) as db:
        row = db.execute(select(VAULT)).first()
    engine.dispose()
    if row is None:
        raise IntegrityFault("vault row", "is missing")
    signer = RowSigner(newest.vault_id, newest.sealing_key)
    signer.check(VAULT, row, "vault row")
    return row


def _print_next(web_key: WebKey, change: RootChange, known: RootKey | None) -> None:
    """Print where the new files go that are still there.

    Each must be made by the root at hand (``known``, or read now) and be of the root
    that ``web_key`` names; otherwise following the advice could overwrite the only good
    key with a file that somebody else put there.  Raises NotMadeByRoot.
    """
    web_waits = change.new_web.exists()
    waiting = change.new_root if change.new_root and change.new_root.exists() else None
    if not web_waits and waiting is None:
        return
    at_hand = (known or read_root_key(change.settings, web_key.vault_id)).secret()
    if web_waits:
        web_key.require_made_by(at_hand.ops)
        move = f"mv {change.new_web} {change.old_web}"
        click.echo("the site answers 503 from here, until on each host that has one:")
        click.echo(f"next  {move}, then restart the site")
    if waiting is not None and at_hand.public.id != web_key.root.id:
        new = _read_new_root(at_hand.ops, change, waiting)
        if new.secret().public.id == web_key.root.id:
            click.echo(f"      mv {waiting} {change.old_root} once the old")
            click.echo("      root is filed with the backups that only it opens")


def abandon() -> None:
    """Give the new root up and remove its files, even if it was not prepared fully."""
    change, vault = RootChange.read(), vault_with_root_key()
    files = _new_files(vault, change)
    root_id = root_rotation.abandon(vault, actor(), next(iter(files.values()), None))
    if root_id is None:
        raise click.UsageError("no new root is being prepared; nothing was changed")
    for path in files:
        path.unlink(missing_ok=True)
    give_anchor(vault, actor())
    click.echo(f"root {root_id} is given up; root {vault.root_id} stays the vault's")
    for path in files:
        click.echo(f"removed  {path}")
    if change.old_root is None:
        click.echo("its shares, where there are any, open nothing")
    click.echo("next     cardvault root rotate, when a new root is wanted")


def _new_files(vault: OpenVault, change: RootChange) -> dict[Path, str]:
    """The new root's files by path, each with the root it names; raises NotMadeByRoot
    for one that this vault's root did not make."""
    files: dict[Path, str] = {}
    if change.new_web.exists():
        left = WebKey.read(change.new_web)
        left.require_made_by(vault.ops)
        # A file for a new sealing key under the same root belongs to web-key rotate.
        if left.root.id != vault.root_id:
            files[change.new_web] = left.root.id
    if change.new_root is not None and change.new_root.exists():
        new = _read_new_root(vault.ops, change, change.new_root)
        files[change.new_root] = new.secret().public.id
    return files
