"""A disk that is full, or takes no more writing, under the running site."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.actors.mail import Mails
from tests.actors.witness import Witness
from tests.places.site import Place, processes
from tests.places.small_disk import disk, fill, mount_image, mounted, ways

pytestmark = pytest.mark.faults

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@contextmanager
def refusing(way: str, place: Place, master: int) -> Iterator[None]:
    """Nothing can be written until the end; a disk gone read-only stays so."""
    if way == "read-only":
        # What the kernel does by itself when the disk fails under it.
        assert mounted(place.folder, "-o", "remount,abort")
        yield
    elif way == "no space":
        fill(place.folder / "filled")
        yield
        (place.folder / "filled").unlink()
    else:
        limit_files(master, (0, resource.RLIM_INFINITY))
        yield
        limit_files(master, UNLIMITED)


def limit_files(master: int, limits: tuple[int, int]) -> None:
    """How far every process of the site may write into a file."""
    for process in processes(master):
        resource.prlimit(process, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("way", ways())
def test_a_disk_that_takes_nothing_is_503_and_passes(
    tmp_path: Path,
    mails: tuple[Mails, int],
    open_at: Callable[[Path], Place],
    way: str,
) -> None:
    """Nothing is half-written, and the next request is taken (REL-04); a disk gone
    read-only has to be mounted anew, as that needs the site stopped."""
    with disk(way, tmp_path) as folder, ExitStack() as served:
        place = open_at(folder)
        # Only the copy: what the site writes has to be durable by itself.
        subprocess.run(["sync", "-f", folder], check=True)
        site = served.enter_context(place.serving())
        witness = Witness(place, mails[0])
        with refusing(way, place, site.pid):
            witness.is_told()
            witness.sees_health(503)
        if way == "read-only":
            served.close()
            subprocess.run(["umount", folder], check=True)
            mount_image(tmp_path)
            served.enter_context(place.serving())
        witness.goes_on()


@pytest.mark.rights("disks")
def test_a_full_disk_is_backed_up_to_another(
    tmp_path: Path, open_at: Callable[[Path], Place]
) -> None:
    """The entry can't be written, which is said; the backup is whole, and a command
    that has to write names the disk."""
    with disk("no space", tmp_path) as folder:
        place, kept = open_at(folder), tmp_path / "kept.backup"
        fill(folder / "filled")
        done = place.run("cardvault", "backup", str(kept))
        assert done.returncode == 0, done.stderr
        assert "the trail has no entry of this backup" in done.stderr
        asked = place.run("cardvault", "audit", "list")
        assert "make room on the disk of" in asked.stderr
        drill = place.ops("restore", str(kept), "--drill", TMPDIR=str(tmp_path))
        assert drill.returncode == 0, drill.stderr
