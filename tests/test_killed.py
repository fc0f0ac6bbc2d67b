"""How a test ends a command at a named kill point, and that nothing else can."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.places.site import ROOT, Place
from vault import kill_points

SOURCES = [*ROOT.glob("app/**/*.py"), *ROOT.glob("vault/**/*.py"), *ROOT.glob("*.py")]
STEP = "init-keys-written"


def test_no_environment_ends_a_command(tmp_path: Path) -> None:
    """The variables that once did, and the likes of them, are nobody's."""
    names = ("CARDVAULT_TEST_KILL_AT", "CARDVAULT_KILL_AT", "KILL_AT")
    done = Place(tmp_path).ops("init", "--no-passphrase", **dict.fromkeys(names, STEP))
    assert done.returncode == 0, done.stderr


def test_nothing_of_the_site_listens_or_kills() -> None:
    """What ends a process at a kill point is no part of what is installed; one place
    ends a command that it started itself and that doesn't end."""
    ending = ROOT / "vault" / "commands" / "anchors.py"
    assert "os.killpg(process.pid, signal.SIGKILL)" in ending.read_text("utf-8")
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert text.count("SIGKILL") == (path == ending), path
        assert not re.search(r"\bkill_points\.listen|\bimport .*\blisten\b", text), path
    assert kill_points._listeners == []


def test_a_command_is_killed_at_the_time_that_was_asked_for(tmp_path: Path) -> None:
    """Two key files are synced: at the second time one more is whole."""
    place = Place(tmp_path)
    for step, parts in (("part-synced:1", 1), ("part-synced:2", 2)):
        killed = place.ops("init", "--no-passphrase", kill_at=step)
        assert killed.returncode == -signal.SIGKILL
        left = [path for path in tmp_path.glob("*.key.part") if path.stat().st_size]
        assert len(left) == parts


def test_a_listener_gets_each_kill_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, each time."""
    told: list[str] = []
    monkeypatch.setattr(kill_points, "_listeners", [])
    kill_points.kill_point("one")
    kill_points.listen(told.append)
    kill_points.kill_point("one")
    kill_points.kill_point("two")
    assert told == ["one", "two"]
