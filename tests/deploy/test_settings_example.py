"""The example of the settings: read alike by systemd and a shell, refused unfilled."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from config import Config
from tests.actors.reader import settings_in_code
from tests.places.site import ROOT

EXAMPLE = ROOT / "deploy" / "settings.example"
TEXT = EXAMPLE.read_text(encoding="utf-8")
# systemd's own reader of such files, for the environment of a user's session.
READER = Path("/usr/lib/systemd/user-environment-generators")
READER /= "30-systemd-environment-d-generator"
# Read by the units of deploy/ and by PostgreSQL's library.
OTHERS = {"FAILURE_MAIL", "PURGE_MAIL", "PURGE_DAYS", "BACKUP_KEEP_DAYS", "PGPASSFILE"}


def uncommented() -> str:
    """The example with every setting that it shows."""
    return re.sub(r'^#([A-Z_]+=")', r"\1", TEXT, flags=re.M)


def by_shell(path: Path) -> dict[str, str]:
    """What ``. FILE`` sets."""
    script = 'set -a; . "$1"; env -0'
    done = subprocess.run(
        ["env", "-i", "/bin/sh", "-euc", script, "sh", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs if name not in ("PWD", "_")}


def by_systemd(path: Path) -> dict[str, str]:
    """What systemd reads."""
    environ = {"XDG_CONFIG_HOME": str(path.parents[1]), "HOME": str(path.parent)}
    done = subprocess.run(
        [str(READER)], env=environ, capture_output=True, text=True, check=True
    )
    found = re.findall(r'^([A-Z_]+)="?(.*?)"?$', done.stdout, re.M)
    return {name: value for name, value in found if f"{name}=" in TEXT}


@pytest.mark.skipif(
    not READER.exists() and "CI" not in os.environ, reason="systemd is not installed"
)
def test_systemd_and_a_shell_read_the_same(tmp_path: Path) -> None:
    """Every line that is there, with its comment sign taken away too."""
    (tmp_path / "environment.d").mkdir()
    path = tmp_path / "environment.d" / "settings.conf"
    path.write_text(uncommented(), encoding="utf-8")
    read = by_shell(path)
    assert len(read) > 15
    assert read["COPYRIGHT"].startswith("Copyright ©")
    assert by_systemd(path) == read


def test_the_site_refuses_an_example_that_is_not_filled_in(tmp_path: Path) -> None:
    """It names each setting of its environment that still has the example's words."""
    path = tmp_path / "settings"
    path.write_text(TEXT, encoding="utf-8")
    faults = Config.read({**by_shell(path), "SECRET_KEY": "s" * 32})[1]
    unfilled = [fault.split()[0] for fault in faults if "is not filled in" in fault]
    assert unfilled == [
        "FAILURE_MAIL",
        "MAIL_DEFAULT_SENDER",
        "PURGE_MAIL",
        "TRUSTED_HOSTS",
    ]
    assert {fault.split()[0] for fault in faults} == set(unfilled)


def test_the_example_filled_in_is_taken(tmp_path: Path) -> None:
    """With nothing but the marked values changed."""
    path = tmp_path / "settings"
    filled = re.sub(r'"FILL_IN, like ([^"]+)"', r'"\1"', TEXT)
    assert filled.count("example.jp") >= 4
    path.write_text(filled, encoding="utf-8")
    config, faults = Config.read({**by_shell(path), "SECRET_KEY": "s" * 32})
    assert faults == []
    assert config.trusted_hosts == ("cards.example.jp",)


def test_every_setting_of_the_example_exists() -> None:
    """And none of them is a secret."""
    named = set(re.findall(r'^#?([A-Z_]+)="', TEXT, re.M))
    assert named - OTHERS <= settings_in_code()
    assert not {"SECRET_KEY", "SECRET_KEY_FALLBACKS"} & named
