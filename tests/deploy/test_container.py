"""The Containerfile: held against its rules, run by its own words from the files that it
copies, and built where something that builds answers."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.places.site import BIN, ROOT, Place
from vault.card.scrub import holds_card_number

FILE = ROOT / "deploy" / "Containerfile"


def steps() -> list[tuple[str, str]]:
    """Every instruction with its words, its lines joined."""
    text = re.sub(r"^#.*\n", "", FILE.read_text(encoding="utf-8"), flags=re.M)
    joined = re.sub(r"\\\n\s*", "", text)
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(name, rest) for name, _, rest in pairs]


def given(name: str) -> list[str]:
    """The words of every instruction of one name."""
    return [rest for found, rest in steps() if found == name]


def copied() -> list[str]:
    """What it takes from the checkout."""
    return [one for words in given("COPY") for one in words.split()[:-1]]


def environment() -> dict[str, str]:
    """What ENV sets."""
    pairs = [word.partition("=") for words in given("ENV") for word in words.split()]
    return {name: value for name, _, value in pairs}


def test_it_begins_with_one_version_and_ends_as_nobody() -> None:
    """A base of a whole version or a digest, a user that is not root and not a name."""
    for base in given("FROM"):
        assert re.search(r":\d+\.\d+\.\d+-[\w-]+$|@sha256:[0-9a-f]{64}$", base), base
    names = [name for name, _ in steps()]
    assert given("USER") == ["65534:65534"]
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])
    assert "ADD" not in names


def test_it_installs_the_lock_by_its_hashes() -> None:
    """And nothing that the lock doesn't name: pip works out nothing by itself."""
    installs = re.findall(r"pip install ([^&]*)", " & ".join(given("RUN")))
    assert len(installs) == 2
    assert all("--no-deps" in words for words in installs)
    assert "--require-hashes -r requirements.txt" in installs[0]
    assert "--no-build-isolation --editable ." in installs[1]


def test_it_takes_what_is_committed_and_no_secret() -> None:
    """Each file by name, all in git; a setting for a key is a path."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *copied()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for one in copied():
        assert any(path == one or path.startswith(f"{one}/") for path in listed), one
    for name, value in environment().items():
        if re.search("KEY|SECRET|PASSWORD|PASSPHRASE", name):
            assert value.startswith("/run/secrets/"), name
    assert not holds_card_number(FILE.read_text(encoding="utf-8"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Keys and databases; the files that the container has are in ``srv``."""
    srv = tmp_path / "srv"
    srv.mkdir()
    for one in copied():
        if (ROOT / one).is_dir():
            leave_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / one, srv / one, ignore=leave_out)
        else:
            shutil.copy(ROOT / one, srv / one)
    return Place(tmp_path, more={"PYTHONPATH": str(srv)}).make()


@contextmanager
def contained(place: Place) -> Iterator[None]:
    """The container's own command in its folder, on this test's port."""
    (words,) = (json.loads(one) for one in given("CMD"))
    assert words[:3] == ["gunicorn", "--bind", "0.0.0.0:8000"]
    words[2] = f"127.0.0.1:{place.port}"
    with (place.folder / "gunicorn.log").open("wb") as log:
        site = subprocess.Popen(
            [str(BIN / words[0]), *words[1:]],
            cwd=place.folder / "srv",
            env=place.environ(),
            stdout=log,
            stderr=log,
        )
        try:
            place.wait(site)
            yield
        finally:
            site.terminate()
            site.wait(120)


def healthy(place: Place) -> bool:
    """Whether the container's own question about its health is answered well."""
    (line,) = given("HEALTHCHECK")
    words = json.loads(line.partition("CMD ")[2])
    words = [word.replace(":8000", f":{place.port}") for word in words]
    done = subprocess.run(
        [str(BIN / words[0]), *words[1:]], capture_output=True, check=False
    )
    return done.returncode == 0


def test_the_files_that_it_copies_run_the_site(place: Place) -> None:
    """Pages with their templates and looks; it is well while it runs, and not after."""
    with contained(place):
        with closing(urllib.request.urlopen(f"{place.url}/login")) as answer:
            page = answer.read().decode()
        (look,) = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', page)[:1]
        with closing(urllib.request.urlopen(place.url + look)) as answer:
            assert answer.status == 200
        assert healthy(place)
    assert not healthy(place)


def builder() -> list[str]:
    """What builds here and has the base image or can fetch it; empty when nothing."""
    for name in ("podman", "docker"):
        fetch = [name, "pull", "--quiet", *given("FROM")]
        if (
            shutil.which(name)
            and subprocess.run(
                fetch, capture_output=True, check=False, timeout=300
            ).returncode
            == 0
        ):
            return [name]
    return []


def test_it_is_built_where_something_builds() -> None:
    """From what is committed; its commands are there, its root may be read-only.  Where
    nothing builds the tests above are all there is, and the runbook says so."""
    words = builder()
    if not words:
        runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        assert "has not been built where this was written" in " ".join(runbook.split())
        return
    typed = f"git archive HEAD | {words[0]} build --file deploy/Containerfile --tag cardsite-test -"
    built = subprocess.run(
        ["sh", "-euc", typed], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    run = f"{words[0]} run --rm --read-only --tmpfs /tmp cardsite-test"
    for line, shown in (("id -u", "65534\n"), ("cardvault --help", "Usage: cardvault")):
        done = subprocess.run(
            [*shlex.split(run), *line.split()],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown in done.stdout
