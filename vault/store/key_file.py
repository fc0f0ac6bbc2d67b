"""Reads and writes key files: one JSON object each, private to its owner.

A file is made with mode 0600, whole or not at all, and never overwritten.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import crypto
from ..crypto import OpsKeys
from ..errors import FileRefused
from .files import NewFile

MOUNTS = Path("/proc/self/mountinfo")
MEMORY = {"ramfs", "tmpfs"}


def write_private(path: Path, text: str) -> None:
    """Make the file ``path`` with mode 0600, durably, whole or not at all, and only if
    nothing is there.  Its folder is never made: it may be a medium not yet mounted.

    Raises FileRefused naming the path.
    """
    try:
        with NewFile(path) as part:
            part.file.write(text.encode())
            part.sync()
            part.publish()
    except OSError as error:
        why, hint = str(error.strerror).lower(), ""
        if error.errno == errno.ENOENT:
            why = f"the folder {path.parent} is not there"
            hint = f"mount it, or make it: mkdir -m 700 {path.parent}"
        raise FileRefused(f"{path} can't be written: {why}", hint=hint) from None


def take_owner(path: Path, old: Path) -> None:
    """Give the new key file the owner, group and mode of the one it is to replace, so
    that who reads the old one can read it.  Only root may give a file away; another
    account's files are its own anyhow.  Raises FileRefused when the system refuses."""
    found = old.stat()
    _give(path, found, stat.S_IMODE(found.st_mode))


def take_owner_of_folder(path: Path) -> None:
    """Give a key file, which replaces none, to the owner of its folder."""
    _give(path, path.parent.stat(), None)


def _give(path: Path, like: os.stat_result, mode: int | None) -> None:
    try:
        # Whoever owns the folder could put a link here, to have root give them what it
        # leads to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            _give_open(path, descriptor, like, mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        # FAT has neither owners nor modes.
        if error.errno not in (errno.EPERM, errno.ENOTSUP):
            raise FileRefused(f"{path} can't be given away: {error.strerror}") from None


def _give_open(
    path: Path, descriptor: int, like: os.stat_result, mode: int | None
) -> None:
    own = os.fstat(descriptor)
    if not stat.S_ISREG(own.st_mode) or own.st_nlink != 1:
        raise FileRefused(f"{path} is no plain file", hint="find out who put it there")
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid) and not os.geteuid():
        os.fchown(descriptor, like.st_uid, like.st_gid)
    if mode is not None and stat.S_IMODE(own.st_mode) != mode:
        os.fchmod(descriptor, mode)


def read_private(path: Path, missing: str) -> str:
    """A key file's text; raises FileRefused when it is missing (with the hint
    ``missing``), readable by others or no text.  A BOM, as Windows editors write one, is
    no part of it."""
    try:
        open_to_others = stat.S_IMODE(path.stat().st_mode) & 0o077
        if open_to_others and not is_handed_in(path):
            raise FileRefused(f"{path} can be read by others", hint=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileRefused(f"{path} is not there", hint=missing) from None
    except OSError as error:
        raise FileRefused(
            f"{path} can't be read: {str(error.strerror).lower()}",
            hint="it belongs to another account: run this as that one, or chown it",
        ) from None
    except UnicodeDecodeError:
        raise damaged(path) from None


def is_handed_in(path: Path) -> bool:
    """Whether the file is a secret that systemd or an orchestrator mounted for this
    process: root's, written by nobody else, on a read-only mount of memory.

    Such a mount is seen by the service or the container alone, and the mode that it
    shows (0440, 0444) is not the service's to choose.  A file on a disk, or in memory
    that may be written to, is none.
    """
    found = path.stat()
    if found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022:
        return False
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and _in_memory(found.st_dev)


def _in_memory(device: int) -> bool:
    """Whether a mounted device is memory; False where the system doesn't say."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    name = f"{os.major(device)}:{os.minor(device)}"
    return any(
        words[2] == name and words[words.index("-") + 1] in MEMORY for words in mounts
    )


def parse_fields(source: Path | str, text: str, form: str) -> dict[str, Any]:
    """What a key file of the format ``form`` holds; raises FileRefused naming
    ``source`` when ``text`` is damaged or of another format or suite."""
    try:
        fields = json.loads(text)
    except ValueError:
        raise damaged(source) from None
    if not isinstance(fields, dict):
        raise damaged(source)
    found = fields.get("format")
    if found == "cardvault web key 1":
        raise FileRefused(
            f"{source} was made by an earlier version, whose vaults are not taken over",
            hint="move it, its root key and its database away and make a new vault "
            "with: cardvault init",
        )
    if found != form:
        raise FileRefused(f"{source} is not a {form[:-2]}")
    if fields.get("suite") != crypto.SUITE:
        raise FileRefused(f"{source} is for another suite than {crypto.SUITE}")
    return fields


def damaged(source: Path | str) -> FileRefused:
    """The error for a key file that can't be read as one."""
    return FileRefused(f"{source} is damaged", hint="put back a copy of it")


def file_mac(ops: OpsKeys, fields: Mapping[str, Any]) -> str:
    """The MAC of a key file in hex, over everything in it but the MACs themselves."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return ops.mac.sign(b"cardvault key file " + text.encode()).hex()


def is_mac(found: object, right: str) -> bool:
    """Say whether what a file holds is the MAC ``right``, in constant time."""
    return crypto.same(str(found).encode("ascii", "replace"), right.encode("ascii"))


def to_json(fields: Mapping[str, Any]) -> str:
    """A key file's fields as its text."""
    return json.dumps(fields, indent=2) + "\n"


def to_base64(data: bytes) -> str:
    """Bytes as a key file holds them."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
