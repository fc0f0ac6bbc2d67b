"""What is released: the wheel and the source archive, and the version they bear."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.release import (
    bill_of_materials,
    build,
    differences,
    entries,
    export,
    refusals,
    sums,
    version_of,
)
from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.places.installed import NAME, Installed, register_a_card
from tests.places.site import ROOT

EPOCH = 1_795_000_000
VERSION = version_of(ROOT)


def files() -> list[str]:
    """What the repository holds, and what is about to be added to it."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def lay(tree: Path) -> Path:
    """A copy of the repository's files."""
    for name in files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    return tree


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and source archive of the files as they are."""
    folder = tmp_path_factory.mktemp("built")
    build(lay(folder / "tree"), folder / "dist", EPOCH)
    return folder / "dist"


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel in it.  The other packages are
    those of the tests' own environment, so that nothing is fetched; a folder named in a
    .pth has its own .pth files left alone, and with them the way to the repository."""
    venv = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True
    )
    (wheel,) = built.glob("*.whl")
    words = ["--python", str(venv), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", *words, str(wheel)], check=True)
    (_packages(venv) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin" / "python"


def _packages(venv: Path) -> Path:
    return next(venv.glob("lib/python*/site-packages"))


@pytest.fixture
def elsewhere(python: Path, tmp_path: Path, mails: tuple[Mails, int]) -> Installed:
    """An empty place for it."""
    return Installed(tmp_path, mail_port=mails[1], python=python)


def test_a_card_is_registered_from_the_wheel(
    elsewhere: Installed, mails: tuple[Mails, int]
) -> None:
    """By both commands and gunicorn, with its own settings, away from the repository."""
    listed = register_a_card(elsewhere, mails[0])
    assert NAME in listed
    assert CARD["card_number_1"] not in listed
    verified = elsewhere.ops("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    said = elsewhere.run("cardvault", "--version").stdout
    assert said == f"cardvault {VERSION}\n"
    where = (
        "import app, vault, wsgi; print(app.__file__, vault.__file__, wsgi.__file__)"
    )
    loaded = subprocess.run(
        [str(elsewhere.python), "-c", where],
        env=elsewhere.environ(),
        cwd=elsewhere.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    venv = str(elsewhere.python.parent.parent)
    assert [path for path in loaded.stdout.split() if not path.startswith(venv)] == []


@contextmanager
def without_migrations(place: Installed, package: str) -> Iterator[None]:
    """The installation without the revisions of one database."""
    there = _packages(place.python.parent.parent) / package / "migrations" / "versions"
    there.rename(there.with_name("away"))
    try:
        yield
    finally:
        there.with_name("away").rename(there)


def test_the_bill_of_materials_is_of_the_lock(
    elsewhere: Installed, built: Path
) -> None:
    """Each part of the lock, with its hashes; the wheel brings the lock with it."""
    made = bill_of_materials(str(elsewhere.python), VERSION, str(EPOCH), built)
    assert made == bill_of_materials(str(elsewhere.python), VERSION, str(EPOCH), built)
    components = json.loads(made)["components"]
    assert {one["name"] for one in components} == pinned("requirements.txt")
    assert [one["name"] for one in components if not one.get("hashes")] == []


def test_an_installation_without_migrations_is_refused(elsewhere: Installed) -> None:
    """``init`` and ``migrate`` say so and make nothing, instead of taking a database
    without tables for one that needs nothing."""
    with without_migrations(elsewhere, "vault/store"):
        done = elsewhere.ops("init", "--no-passphrase")
        assert done.returncode == 2
        assert "there is no migration in" in done.stderr
        assert "install it again" in done.stderr
        assert list(elsewhere.folder.iterdir()) == []
    assert elsewhere.ops("init", "--no-passphrase").returncode == 0
    for package in ("app", "vault/store"):
        with without_migrations(elsewhere, package):
            done = elsewhere.run("flask", "--app", "wsgi", "migrate")
        assert done.returncode == 2
        assert "there is no migration in" in done.stderr
        assert package in done.stderr


def test_the_wheel_holds_all_that_runs(built: Path) -> None:
    """Code, pages, static files, word list and migrations, and nothing of the tests."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if ".dist-info/" not in name}
    data = f"cardvault_site-{VERSION}.data/data/share/cardsite"
    wanted = {f"{data}/{name}" for name in ("gunicorn.conf.py", "requirements.txt")}
    wanted |= {"config.py", "wsgi.py"}
    for name in files():
        top, _, rest = name.partition("/")
        if top in ("app", "vault"):
            wanted.add(name)
        elif top == "templates":
            wanted.add(f"app/templates/{rest}")
    assert inside == wanted


def test_the_source_archive_holds_the_repository(built: Path) -> None:
    """Every file, with its mode, so that both commands of the Makefile work in it."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        members = {
            member.name.partition("/")[2]: member
            for member in opened.getmembers()
            if member.isfile()
        }
    made = {name for name in members if ".egg-info/" in name} | {"PKG-INFO"}
    assert set(members) - made == set(files())
    assert members["deploy/install.sh"].mode == 0o755
    assert members["setup.cfg"].mode == 0o644
    assert {member.mtime for member in members.values()} == {EPOCH}


def test_two_builds_of_the_same_files_are_the_same(built: Path, tmp_path: Path) -> None:
    """To the last byte, from files with other times and modes, in another folder, with
    another umask and time zone."""
    tree = lay(tmp_path / "another" / "tree")
    for path in tree.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(path.stat().st_mode & 0o700)
    before = os.umask(0o077)
    try:
        build(tree, tmp_path / "dist", EPOCH)
    finally:
        os.umask(before)
    assert len(list(built.iterdir())) == 2
    assert differences(built, tmp_path / "dist") == []
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    archive.write_bytes(archive.read_bytes() + b"\0")
    assert differences(built, tmp_path / "dist") == [archive.name]
    assert sums(built).count("\n") == 2


def pinned(name: str) -> set[str]:
    """What a lock pins."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {canonicalize_name(pin) for pin in re.findall(r"^([\w.-]+)==", text, re.M)}


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """What an installed package needs, and what that needs, itself left out."""
    found: set[str] = set()
    for line in metadata.requires(name) or []:
        wanted = Requirement(line)
        marker = wanted.marker
        chosen = [{"extra": extra} for extra in extras or {""}]
        if marker is None or any(marker.evaluate(extra) for extra in chosen):
            found.add(canonicalize_name(wanted.name))
            found |= needed(wanted.name, frozenset(wanted.extras))
    return found


def test_a_site_is_installed_with_what_it_needs_alone() -> None:
    """requirements.txt pins what the code and PostgreSQL need, to the last package, and
    no mail catcher; what the demo needs is ``make serve``'s to fetch."""
    site = needed("cardvault-site", frozenset({"postgres"}))
    assert pinned("requirements.txt") == site
    demo = needed("cardvault-site", frozenset({"postgres", "demo"}))
    assert pinned("requirements-demo.txt") == demo
    assert "aiosmtpd" in demo - site
    dry = ["make", "--dry-run", "--always-make"]
    for target, fetched in (
        ("install", {"requirements.txt"}),
        ("serve", {"requirements.txt", "requirements-demo.txt"}),
    ):
        words = [*dry, target]
        done = subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert set(re.findall(r"hashes -r (\S+)", done.stdout)) == fetched


def git(folder: Path, *words: str) -> None:
    """Run git as somebody."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.jp")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def test_what_is_no_release_is_refused(tmp_path: Path) -> None:
    """A tree with a change that no commit has, a version without its entry in the
    changelog or without its tag on this very commit."""
    (tmp_path / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\n## [0.9.0] - 2026-01-02\n"
    )
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a: begin")
    assert [fault.split()[:5] for fault in refusals(tmp_path, "1.0.0")] == [
        ["CHANGELOG.md", "has", "no", "entry", "of"],
        ["the", "commit", "has", "not", "the"],
    ]
    git(tmp_path, "tag", "v0.9.0")
    assert refusals(tmp_path, "0.9.0") == []
    (tmp_path / "new").write_text("")
    (refused,) = refusals(tmp_path, "0.9.0")
    assert refused.startswith("new is not committed")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a: go on")
    (refused,) = refusals(tmp_path, "0.9.0")
    assert "v0.9.0" in refused


def test_what_is_built_is_the_commit(tmp_path: Path) -> None:
    """And not what lies beside it; its time is the commit's."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "kept").write_text("as committed")
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "a: begin", "--date", "2026-01-02T03:04:05Z")
    (root / "kept").write_text("changed")
    (root / "new").write_text("")
    epoch = export(root, tmp_path / "tree")
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["kept"]
    assert (tmp_path / "tree" / "kept").read_text() == "as committed"
    words = ["git", "log", "-1", "--format=%ct"]
    said = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    assert epoch == int(said.stdout)


def test_the_changelog_has_this_version() -> None:
    """Or, until it is released, has what will be in it as its newest entry; no version
    is without its date."""
    dates = entries((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    released = {version: date for version, date in dates.items() if date}
    assert set(dates) - set(released) <= {"Unreleased"}
    assert VERSION in released or next(iter(dates)) == "Unreleased"
