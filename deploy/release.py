"""``make release``: builds the wheel and the source archive of the commit, and tries them.

Both are built twice, in two folders, and must come out the same to the last byte, so that
whoever has the tag can build them anew and compare.  The wheel is then installed into an
environment of its own from the lock, and a card is registered there.  What is released
lies in dist/ with its SHA-256 sums.
"""

from __future__ import annotations

import configparser
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = "dist"
GIT = shutil.which("git") or "git"
# What builds is the setuptools of the lock: nothing is fetched.
BUILD = (
    "import sys; from setuptools import build_meta as b; out = sys.argv[1]; "
    "b.build_wheel(out); b.build_sdist(out)"
)
# Said by the environment that the wheel was installed into; pip is none of its parts.
PARTS = """
import json, sys, uuid
from vault.ops.doctor.machine import lock_file
from vault.ops.evidence.parts import installed, sbom
version, at, wheel = sys.argv[1:]
parts = [part for part in installed(lock_file()) if part.locked]
serial = uuid.uuid5(uuid.NAMESPACE_URL, wheel)
print(json.dumps(sbom(parts, version, int(at), serial), indent=1, ensure_ascii=False))
"""
ENTRY = re.compile(r"^## \[([^]\n]+)\](?: - (\d{4}-\d\d-\d\d))?$", re.M)


def main() -> int:
    """Make the release; returns the process's exit code."""
    version = version_of(ROOT)
    faults = refusals(ROOT, version)
    if faults:
        sys.stderr.writelines(f"error: {fault}\n" for fault in faults)
        return 2
    out = ROOT / OUT
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = [_built(Path(scratch, place)) for place in ("one", "two")]
        differing = differences(*made)
        if differing:
            print(f"error: two builds differ: {', '.join(differing)}", file=sys.stderr)
            return 1
        python = _tried(made[0], Path(scratch, "elsewhere"))
        shutil.copytree(made[0], out)
        epoch = _git(ROOT, "log", "-1", "--format=%ct").strip()
        bill = bill_of_materials(python, version, epoch, made[0])
        (out / f"cardvault_site-{version}.cdx.json").write_text(bill, "utf-8")
    (out / "SHA256SUMS").write_text(sums(out), encoding="ascii")
    print(f"version {version} is in {out}:\n{sums(out)}", end="")
    return 0


def version_of(root: Path) -> str:
    """The version that setup.cfg names."""
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg", encoding="utf-8")
    return setup["metadata"]["version"]


def entries(changelog: str) -> dict[str, str]:
    """The date of each version of a changelog, newest first; "" where it has none."""
    return dict(ENTRY.findall(changelog))


def refusals(root: Path, version: str) -> list[str]:
    """Why the commit that is checked out in ``root`` is none to release as
    ``version``; each with the next step."""
    faults = []
    changed = _git(root, "status", "--porcelain").splitlines()
    if changed:
        faults.append(f"{changed[0][3:]} is not committed; commit it or take it away")
    if not entries((root / "CHANGELOG.md").read_text(encoding="utf-8")).get(version):
        faults.append(
            f"CHANGELOG.md has no entry of {version}; write: ## [{version}] - YYYY-MM-DD"
        )
    if f"v{version}" not in _git(root, "tag", "--points-at", "HEAD").split():
        faults.append(
            f"the commit has not the tag v{version}; set it: git tag v{version}"
        )
    return faults


def export(root: Path, tree: Path) -> int:
    """Lay what the commit of ``root`` holds into ``tree``; returns when it was
    committed, in seconds since 1970 UTC."""
    packed = subprocess.run(
        [GIT, "archive", "--format=tar", "HEAD"],
        cwd=root,
        stdout=subprocess.PIPE,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(tree, filter="data")
    return int(_git(root, "log", "-1", "--format=%ct"))


def build(tree: Path, out: Path, epoch: int) -> None:
    """Build wheel and source archive of ``tree`` into ``out``, everything in them made
    at ``epoch``.  Leaves what it needed for it in ``tree``."""
    for path in tree.rglob("*"):
        # The account that builds may have another umask.
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    out.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-c", BUILD, str(out)],
        cwd=tree,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
        check=True,
        umask=0o022,
    )
    for archive in out.glob("*.tar.gz"):
        _even(archive, epoch)


def differences(one: Path, two: Path) -> list[str]:
    """The names of the files that two folders don't both have with the same bytes."""
    names = sorted({path.name for folder in (one, two) for path in folder.iterdir()})
    return [name for name in names if _digest(one / name) != _digest(two / name)]


def sums(folder: Path) -> str:
    """A line for each file, as ``sha256sum --check`` reads them."""
    return "".join(
        f"{_digest(path)}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    )


def bill_of_materials(python: str, version: str, epoch: str, built: Path) -> str:
    """What the environment of ``python`` has of the lock, as CycloneDX; the same for
    the same wheel."""
    (wheel,) = built.glob("*.whl")
    done = subprocess.run(
        [python, "-c", PARTS, version, epoch, _digest(wheel)],
        cwd=built,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _built(place: Path) -> Path:
    epoch = export(ROOT, place / "tree")
    build(place / "tree", place / OUT, epoch)
    return place / OUT


def _even(archive: Path, epoch: int) -> None:
    """Pack a source archive anew without what differs from one build to the next: the
    order, the times, and who built it."""
    out = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.pax_headers = epoch, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    archive.write_bytes(gzip.compress(out.getvalue(), mtime=epoch))


def _tried(built: Path, folder: Path) -> str:
    """Install the wheel from the lock into ``folder`` and register a card there;
    returns the Python that has it."""
    (wheel,) = built.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps"]
    lock = ["--require-hashes", "-r", str(ROOT / "requirements.txt")]
    subprocess.run([*pip, *lock], check=True)
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    smoke = [sys.executable, "-m", "tests.places.installed", python, str(folder)]
    subprocess.run(smoke, cwd=ROOT, check=True)
    return python


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        [GIT, *words],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
