"""Writes a folder that is there whole or not at all: made beside, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import FileRefused
from ...kill_points import kill_point
from ...store.files import part_of, sync_folder
from ..pan_scan.numbers import holds_number

SUMS = "SHA256SUMS"
# A hash may by chance hold the digits of a number.
_HASH = re.compile(r"\b[0-9a-f]{64}\b")


class NewFolder:
    """A new folder, filled as ``path``.part with mode 0700 and renamed to ``path``.

    ``path`` is missing or an empty folder.  ``known`` are ids that are no card numbers,
    whatever their digits.  Leaving it without ``publish`` removes what was written; a
    folder that a killed run left is in the way of the next.  Raises FileRefused when
    something is in the way or a text holds a card number, OSError when the disk refuses.
    """

    def __init__(self, path: Path, known: Collection[str] = ()) -> None:
        self.path = path
        self.part = part_of(path)
        self._known = sorted(filter(None, known), key=len, reverse=True)
        self._sums: dict[str, str] = {}
        require_room(path)

    def __enter__(self) -> NewFolder:
        self.part.mkdir(mode=0o700)
        return self

    def __exit__(self, *_: object) -> None:
        if self.part.exists():
            shutil.rmtree(self.part)

    @property
    def names(self) -> list[str]:
        """The names of the files that were written, in their order."""
        return list(self._sums)

    def write(self, name: str, text: str) -> None:
        """Write a text as the file ``name``; raises FileRefused when it holds what may
        be a card number."""
        looked_at = _HASH.sub("", text)
        for one in self._known:
            looked_at = looked_at.replace(one, "")
        if holds_number(looked_at):
            raise FileRefused(
                f"{name} would hold what may be a card number",
                hint="look for it: in a name, a reason or a setting; nothing was written",
            )
        self.write_bytes(name, text.encode("utf-8", "backslashreplace"))

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` as JSON."""
        self.write(name, json.dumps(value, ensure_ascii=False, indent=1) + "\n")

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write bytes that were looked through already as the file ``name``."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.part / name, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._sums[name] = hashlib.sha256(data).hexdigest()
        kill_point("evidence-file-written")

    def publish(self) -> None:
        """Write the list of hashes, as ``sha256sum --check`` reads it, and give the
        folder its name."""
        sums = [f"{digest}  {name}\n" for name, digest in sorted(self._sums.items())]
        self.write_bytes(SUMS, "".join(sums).encode())
        sync_folder(self.part)
        # rename() takes the place of an empty folder and refuses one with anything in
        # it, so what came there meanwhile is safe.
        self.part.rename(self.path)
        with suppress(OSError):
            sync_folder(self.path.parent)


def require_room(path: Path) -> None:
    """Raise FileRefused unless ``path`` is missing or an empty folder, and nothing
    stands where it is made."""
    if os.path.lexists(path) and not _is_empty_folder(path):
        raise FileRefused(
            f"{path} is in the way",
            hint="nothing is ever written over: name a new or an empty folder",
        )
    part = part_of(path)
    if os.path.lexists(part):
        raise FileRefused(
            f"{part} is in the way: a run that was killed left it, or one is at work",
            hint=f"when none is at work: rm -r {part}",
        )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
