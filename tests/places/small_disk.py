"""Disks that a test can fill, or make read-only."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

IMAGE_BYTES = 32 * 1024**2
EXT4 = ("mkfs.ext4", "-q", "-F")


def mounted(folder: Path, *words: str) -> bool:
    """Mount on ``folder``; False when this account may not."""
    done = subprocess.run(["mount", *words, folder], capture_output=True, check=False)
    return done.returncode == 0


def ways() -> list[str]:
    """Every way to have it; where nothing can be mounted, the first alone."""
    with tempfile.TemporaryDirectory() as folder:
        if not mounted(Path(folder), "-t", "tmpfs", "none"):
            return ["no byte"]
        subprocess.run(["umount", folder], check=True)
    return ["no byte", "no space", "read-only"]


@contextmanager
def disk(way: str, folder: Path) -> Iterator[Path]:
    """A place for the site: a folder, a small disk of memory, or one of a file."""
    if way == "no byte":
        yield folder
        return
    disk = folder / "disk"
    disk.mkdir()
    if way == "no space":
        assert mounted(disk, "-t", "tmpfs", "-o", "size=4m", "none")
    else:
        mount_image(folder)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def mount_image(folder: Path) -> None:
    """Mount a file with a file system of its own, made when there is none."""
    image = folder / "image"
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        subprocess.run([*EXT4, image], check=True)
    assert mounted(folder / "disk", "-o", "loop", str(image))


def fill(path: Path) -> None:
    """Write until there is no space left."""
    with pytest.raises(OSError, match="No space left"):
        shutil.copyfile("/dev/zero", path)
