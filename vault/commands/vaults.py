"""Reads what every verb begins with: the settings, the vault, the root key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .. import crypto
from ..account import account_name
from ..clock import system_clock
from ..errors import FileRefused, IntegrityFault, NotMadeByRoot, WrongVault
from ..ops import root_shares
from ..ops.open_vault import OpenVault
from ..ops.root_key import (
    MIN_PASSPHRASE,
    RootKey,
    read_passphrase_file,
    read_root_text,
)
from ..settings import VaultSettings
from ..store.database import connect
from ..trail import Actor
from ..web.vault import Vault
from ..web.web_key import WebKey


class HintedUsage(click.UsageError):
    """A usage error with a hint of its own instead of the verb's help."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


EXAMPLE = "\b\nExample:\n  "


def read_settings(environ: Mapping[str, str] = os.environ) -> VaultSettings:
    """The vault's settings in the environment."""
    return VaultSettings.from_environ(environ)


def actor() -> Actor:
    """The account that runs the command."""
    return Actor(account_name(), "command")


def vault_without_root_key(*, read_only: bool = False) -> Vault:
    """The vault without its root key, its database checked."""
    settings = read_settings()
    crypto.self_test()
    engine = connect(settings.database_url, read_only=read_only)
    vault = Vault(WebKey.read(settings.web_key), engine, system_clock)
    _require_ready(vault)
    return vault


def vault_with_root_key_if_there(*, read_only: bool = False) -> Vault:
    """The vault with its root key if that can be read, and else without.

    It is for commands that need no root key and do more with it: they check the root's
    MACs and write them.  A root key file on a medium that is not mounted counts as
    missing; a wrong root key is an error.
    """
    settings = read_settings()
    at_hand = (
        settings.root_key.exists() if settings.root_key else settings.root_key_command
    )
    return (
        vault_with_root_key(read_only=read_only)
        if at_hand
        else vault_without_root_key(read_only=read_only)
    )


def vault_with_root_key(*, read_only: bool = False) -> OpenVault:
    """The vault with its root key, its database checked."""
    vault = open_parts(read_only=read_only)
    _require_ready(vault)
    return vault


def _require_ready(vault: Vault) -> None:
    """Raise what ``Vault.require_ready`` does, or, when the vault already uses the new
    web key file beside this one, say that instead.  With the root key the file must be
    made by the root; else NotMadeByRoot names it."""
    try:
        vault.require_ready()
    except NotMadeByRoot:
        raise
    except (IntegrityFault, FileRefused, WrongVault):
        require_in_place(vault)
        raise


def require_in_place(vault: Vault) -> None:
    """Raise FileRefused when the vault already uses the new web key file beside the one
    in use, under which every row would seem to be edited."""
    path = read_settings().web_key
    if not vault.is_well() and _fits(vault, new_file_for(path)):
        raise FileRefused(
            f"the vault already uses the new web key file, {new_file_for(path)}",
            hint=f"mv {new_file_for(path)} {path}, then restart the site",
        )


def _fits(vault: Vault, path: Path) -> bool:
    try:
        newer = WebKey.read(path)
    except FileRefused:
        return False
    fits = Vault(newer, vault.engine, vault.clock).is_well()
    if fits and isinstance(vault, OpenVault):
        newer.require_made_by(vault.ops)
    return fits


def new_file_for(path: Path) -> Path:
    """Where the file that is to replace ``path`` is written."""
    return path.with_name(path.name + ".new")


def open_parts(*, read_only: bool = False) -> OpenVault:
    """The vault with its root key; its database is not checked."""
    settings = read_settings()
    crypto.self_test()
    web_key = WebKey.read(settings.web_key)
    root_key = read_root_key(settings, web_key.vault_id)
    engine = connect(settings.database_url, read_only=read_only)
    return OpenVault(web_key, root_key, engine, system_clock)


def read_root_key(settings: VaultSettings, vault_id: str) -> RootKey:
    """The root key from its file, a command's output, or shares on standard input, one
    a line; an empty line ends."""
    if settings.root_key is not None:
        source: Any = settings.root_key
        text = read_root_text(settings.root_key)
    elif settings.root_key_command:
        source = "VAULT_ROOT_KEY_COMMAND"
        text = _output(settings.root_key_command)
    else:
        return root_shares.combine(read_shares(), vault_id)
    passphrase = read_passphrase(settings) if RootKey.is_sealed(text) else None
    return RootKey.parse(text, source, passphrase)


def read_shares() -> list[str]:
    """Shares from standard input; on a terminal each is asked for and not shown.

    Raises UsageError, which says that the root key is missing, when there are none.
    """
    given: list[str] = []
    while line := _next_share(len(given) + 1):
        given.append(line)
    if not given:
        raise click.UsageError(
            "no root key: set VAULT_ROOT_KEY (a file) or VAULT_ROOT_KEY_COMMAND, "
            "or give its shares on standard input"
        )
    return given


def _next_share(number: int) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip().removeprefix("\ufeff").strip()
    typed: str = click.prompt(
        f"Share {number} (empty to end)",
        default="",
        show_default=False,
        hide_input=True,
        err=True,
    )
    return typed.strip()


def new_passphrase(settings: VaultSettings) -> str:
    """A passphrase for a root key file, from its file or typed twice.

    Raises UsageError when it is too short.
    """
    if settings.root_passphrase_file is not None:
        passphrase = read_passphrase_file(settings.root_passphrase_file)
    elif sys.stdin.isatty():
        passphrase = click.prompt(
            "New root key passphrase",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
    else:
        raise click.UsageError(
            "no passphrase: set VAULT_ROOT_PASSPHRASE_FILE, run this on a terminal, "
            "or give --no-passphrase"
        )
    if len(passphrase) < MIN_PASSPHRASE:
        raise click.UsageError(
            f"the passphrase has under {MIN_PASSPHRASE} characters; give a longer one"
        )
    return passphrase


def read_passphrase(settings: VaultSettings) -> str | None:
    """The passphrase from its file, or typed on a terminal, or None."""
    path = settings.root_passphrase_file
    if path is not None:
        return read_passphrase_file(path)
    if sys.stdin.isatty():
        prompted: str = click.prompt("Root key passphrase", hide_input=True, err=True)
        return prompted
    return None


def _output(command: str) -> str:
    # VAULT_ROOT_KEY_COMMAND is a shell command.
    done = subprocess.run(  # nosec B602
        command, shell=True, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise FileRefused(
            f"VAULT_ROOT_KEY_COMMAND ended with exit code {done.returncode}",
            hint="run it by hand and see what it says",
        )
    return done.stdout.removeprefix("\ufeff")
