"""Nobody reads on, as in ``flask --app wsgi cards list | head -1``: a listing ends
quietly, what does something does it, and the exit code is what it would have been."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.cli import ScriptInfo

from tests.actors.operator_client import Desk
from tests.places.site import BIN, ROOT
from tests.places.vault import EXPIRY, VISA, FakeClock
from vault import Actor, Pan, Vault

HEADING = "customer_name,phone,card_number,exp_month,exp_year"
GOOD = f"A,090-0000-0000,{VISA},1,2030"
BAD = f"B,none,{VISA},1,2030"
HOURS = 2 * 3600


@pytest.fixture
def unread() -> Iterator[int]:
    """The end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture
def typed(
    desk: Desk, unread: int, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Type a command into that pipe; returns its exit code."""

    def typed(*words: str) -> int:
        info = ScriptInfo(create_app=lambda: desk.app)
        stdout = open(os.dup(unread), "w")  # noqa: PTH123, SIM115
        with monkeypatch.context() as now:
            now.setattr(sys, "stdout", stdout)
            with pytest.raises(SystemExit) as ended:
                desk.app.cli.main(list(words), obj=info)
            if sys.stdout is not stdout:
                sys.stdout.close()
        # The stream still holds what nobody read, and its end would try again.
        with open(os.devnull, "w") as nobody:  # noqa: PTH123
            os.dup2(nobody.fileno(), stdout.fileno())
            stdout.close()
        return int(ended.value.code or 0)

    return typed


def seal_alone(desk: Desk, clock: FakeClock) -> None:
    """A card that a crash left two hours ago, older than the newest customer."""
    vault = desk.vault
    earlier = Vault(vault.web_key, vault.engine, FakeClock(clock() - HOURS))
    with vault.engine.begin() as db:
        earlier.tokenize(db, Pan.parse(VISA), EXPIRY, Actor("taro", "192.0.2.1"))


def sheet(folder: Path, *rows: str) -> str:
    """A file to be imported."""
    path = folder / "in.csv"
    path.write_text("\n".join([HEADING, *rows, ""]))
    return str(path)


@pytest.mark.parametrize(
    "listing",
    [
        ("operators", "list"),
        ("sessions", "list"),
        ("cards", "list"),
        ("cards", "list", "--csv"),
        ("cards", "list", "--csv", "--no-bom"),
        ("cards", "reconcile"),
        ("migrate", "--check"),
    ],
    ids=" ".join,
)
def test_a_listing_ends_quietly(
    desk: Desk,
    typed: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    listing: tuple[str, ...],
) -> None:
    """Exit 0, and nothing is said."""
    desk.register()
    assert typed(*listing) == 0
    assert capsys.readouterr().err == ""


def test_what_was_found_is_the_exit_code(
    desk: Desk, clock: FakeClock, typed: Callable[..., int]
) -> None:
    """``cards reconcile`` found something, though nobody read what."""
    desk.register()
    seal_alone(desk, clock)
    assert typed("cards", "reconcile") == 1


def test_reconcile_goes_on_to_its_end(
    desk: Desk, clock: FakeClock, typed: Callable[..., int]
) -> None:
    """Every card that ``--apply`` was to remove is removed."""
    desk.register()
    for _ in range(3):
        seal_alone(desk, clock)
    assert typed("cards", "reconcile", "--apply") == 1
    assert desk.cards() == 1


@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["import", "dry run"])
def test_an_import_goes_on_to_its_end(
    desk: Desk, typed: Callable[..., int], tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """Each good row is in, and the refused one is the exit code."""
    path = sheet(tmp_path, BAD, GOOD, GOOD)
    assert typed("cards", "import", path, *flags) == 1
    assert len(desk.customers()) == (0 if flags else 2)


ADD = ("add", "hanako", "--name", "花", "--email", "hanako@example.co.jp")


@pytest.mark.parametrize(
    "words", [ADD, ("reset-password", "taro")], ids=["add", "reset-password"]
)
def test_a_first_password_that_nobody_read_is_said(
    typed: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    """It is shown once, so another has to be made."""
    assert typed("operators", *words) == 2
    said = capsys.readouterr().err
    assert f"error: nobody read the first password of {words[1]}\n" in said
    assert f"operators reset-password {words[1]}\n" in said


def test_processes_end_so_too(
    desk: Desk, environ: dict[str, str], unread: int, tmp_path: Path
) -> None:
    """Their ends too are quiet: Python writes out what is left of each stream."""
    desk.register()
    commands = {("cards", "list"): 0, ("cards", "import", sheet(tmp_path, BAD)): 1}
    for words, code in commands.items():
        ran = subprocess.run(
            [BIN / "flask", "--app", "wsgi", *words],
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stdout=unread,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (code, b"")
