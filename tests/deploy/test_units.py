"""The systemd units, read by systemd's own tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places.site import ROOT

DEPLOY = ROOT / "deploy"
ANALYZE = shutil.which("systemd-analyze")
UNITS = sorted(path.name for path in DEPLOY.glob("*.service"))
TIMERS = sorted(path.name for path in DEPLOY.glob("*.timer"))
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# They mail by the system's sendmail, which may need a group of its own.
MAILING = {"cardsite-failed@.service", "cardsite-purge-notice.service"}

analyzed = pytest.mark.skipif(
    ANALYZE is None and "CI" not in os.environ, reason="systemd is not installed"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with the units, their programs' paths those of this checkout."""
    for name in (*UNITS, *TIMERS):
        text = (DEPLOY / name).read_text(encoding="utf-8")
        text = text.replace("/srv/cardsite/", f"{ROOT}/")
        (tmp_path / name.replace("@.", "@x.")).write_text(text, encoding="utf-8")
        if "@." in name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def analyze(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    return subprocess.run(
        [str(ANALYZE), *words],
        cwd=folder,
        env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def lines(unit: str, name: str) -> list[str]:
    """The values of one setting of a unit, in their order."""
    text = (DEPLOY / unit).read_text(encoding="utf-8")
    return re.findall(rf"^{name}=(.*)$", text, re.M)


@analyzed
@pytest.mark.parametrize("name", [*UNITS, *TIMERS])
def test_systemd_finds_nothing_wrong_with_a_unit(units: Path, name: str) -> None:
    """No unknown setting, no missing program, no broken line."""
    done = analyze("verify", f"./{name.replace('@.', '@x.')}", folder=units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@analyzed
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_as_shut_off_as_the_runbook_says(units: Path, name: str) -> None:
    """What `systemd-analyze security` says of it is no worse than the figure there."""
    stated = re.search(rf"^\| `{re.escape(name)}` \|.*\| ([\d.]+) \|$", RUNBOOK, re.M)
    assert stated, f"the runbook has no figure for {name}"
    name = name.replace("@.", "@x.")
    done = analyze("security", "--offline=true", f"./{name}", folder=units)
    found = re.search(r"Overall exposure level for .*: ([\d.]+) ", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= float(stated[1])


@pytest.mark.parametrize("name", sorted(set(UNITS) - MAILING))
def test_a_unit_reaches_this_machine_alone(name: str) -> None:
    """Nothing else may be asked by it until a drop-in says so."""
    assert lines(name, "IPAddressDeny") == ["any"]
    assert lines(name, "IPAddressAllow") == ["localhost"]


@pytest.mark.parametrize("name", UNITS)
def test_key_files_are_handed_over_and_not_owned(name: str) -> None:
    """Every setting that names a key file names a credential of the unit."""
    pairs = [word for line in lines(name, "Environment") for word in line.split()]
    handed = {
        line.partition(":")[0]
        for kind in ("LoadCredential", "LoadCredentialEncrypted")
        for line in lines(name, kind)
    }
    keys = [
        pair.split("=")
        for pair in pairs
        if re.match(r"\w+_(KEY|KEY_FILE|PASSPHRASE_FILE)=", pair)
    ]
    assert {value for _, value in keys} == {f"%d/{one}" for one in handed}


def test_the_root_key_is_with_one_unit_which_no_web_host_runs() -> None:
    """It refuses a host that has the site's unit, and its key is sealed on the disk."""
    having = [name for name in UNITS if "root.key" in (DEPLOY / name).read_text()]
    assert having == ["ops-verify.service"]
    assert lines(having[0], "LoadCredentialEncrypted") == [
        "root.key:/etc/cardvault/root.key.cred",
        "root.passphrase:/etc/cardvault/root.passphrase.cred",
    ]
    assert lines(having[0], "AssertPathExists") == [
        "/etc/cardvault/root.key.cred",
        "/etc/cardvault/root.passphrase.cred",
        "!/etc/systemd/system/cardsite.service",
    ]


@pytest.mark.parametrize("name", TIMERS)
def test_whoever_waits_for_a_timers_work_hears_of_its_failure(name: str) -> None:
    """Each timer's unit mails when it fails, and waits for the right time."""
    unit = name.replace(".timer", ".service")
    assert lines(unit, "OnFailure") == ["cardsite-failed@%n.service"]
    assert "time-sync.target" in lines(unit, "After")[0].split()
    assert lines(name, "WantedBy") == ["timers.target"]


def test_the_site_can_be_told_to_take_new_code() -> None:
    """HUP is gunicorn's word for it."""
    assert lines("cardsite.service", "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert lines("cardsite.service", "Environment")[-1] == "PROXY_HOPS=1"
    assert "time-sync.target" in lines("cardsite.service", "After")[0].split()
