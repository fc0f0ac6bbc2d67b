"""Finds what a command left that was killed or is not finished yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileRefused
from ..ops.census import Census
from ..ops.root_key import RootKey, read_root_text
from ..settings import VaultSettings
from ..web.vault import Vault
from ..web.web_key import WebKey
from .vaults import new_file_for

ROTATE, FINALIZE = "cardvault root rotate", "cardvault root rotate --finalize"
ABANDON = "cardvault root rotate --abandon"


@dataclass(frozen=True)
class HalfDone:
    """What was left, as one line, and the command that continues from there."""

    what: str
    next: str


def half_done(settings: VaultSettings, vault: Vault, census: Census) -> list[HalfDone]:
    """Everything that is half done; the one to continue first comes first.  What the
    files say is not checked here; the command checks whether the root made them."""
    if census.next_root_id:
        return list(_prepared(settings, vault, census.next_root_id))
    return list(_cut_off(settings, vault))


def _prepared(settings: VaultSettings, vault: Vault, coming: str) -> Iterator[HalfDone]:
    web_new = new_file_for(settings.web_key)
    root_new = new_file_for(settings.root_key) if settings.root_key else None
    if root_new is not None and not root_new.exists():
        yield HalfDone(
            f"root {coming} is prepared, but {root_new} is not there: "
            f"put it back and run {FINALIZE}, or give the new root up",
            ABANDON,
        )
    elif not web_new.exists() and vault.web_key.root.id != coming:
        yield HalfDone(f"root {coming} is prepared, but {web_new} is not there", ROTATE)
    else:
        yield HalfDone(
            f"root {coming} is prepared and not finalized (to give it up: {ABANDON})",
            FINALIZE,
        )


def _cut_off(settings: VaultSettings, vault: Vault) -> Iterator[HalfDone]:
    web_new = new_file_for(settings.web_key)
    if web_new.exists():
        yield _web_key_left(web_new, vault)
    if settings.root_key is not None and new_file_for(settings.root_key).exists():
        yield _root_key_left(new_file_for(settings.root_key), settings.root_key, vault)


def _root_key_left(path: Path, root_key: Path, vault: Vault) -> HalfDone:
    try:
        named = RootKey.root_named(read_root_text(path), path)
    except FileRefused as error:
        return HalfDone(f"{error}; move it away", "cardvault status")
    if named == vault.web_key.root.id and _is_of(root_key, named):
        # Don't suggest moving it over the root key: what the file says is unchecked.
        return HalfDone(
            f"{path} names the root that {root_key} is already; move it away",
            "cardvault status",
        )
    if named == vault.web_key.root.id:
        return HalfDone(
            f"{path} is the vault's root by now; file the old root with the backups "
            "that only it opens",
            f"mv {path} {root_key}",
        )
    return HalfDone(
        f"{path} was left by a root rotation that was cut off "
        f"(to give it up: {ABANDON})",
        ROTATE,
    )


def _is_of(path: Path, root_id: str) -> bool:
    try:
        return RootKey.root_named(read_root_text(path), path) == root_id
    except FileRefused:
        return False


def _web_key_left(path: Path, vault: Vault) -> HalfDone:
    try:
        left = WebKey.read(path)
    except FileRefused as error:
        return HalfDone(f"{error}; move it away", "cardvault status")
    if left.root.encoded != vault.web_key.root.encoded:
        return HalfDone(
            f"{path} was left by a root rotation that was cut off "
            f"(to give it up: {ABANDON})",
            ROTATE,
        )
    if left.name == vault.web_key.name:
        return HalfDone(f"{path} is a copy of the web key in use", f"rm {path}")
    return HalfDone(
        f"{path} was left by a web key rotation that was cut off",
        "cardvault web-key rotate",
    )
