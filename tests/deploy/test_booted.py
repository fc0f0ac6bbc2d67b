"""The units under a real systemd, which is the first process of a machine of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.places.own_mounts import Machine
from tests.places.rights import SPACES
from tests.places.site import ROOT, START_SECONDS
from tests.places.web_host import a_machine, installed

# Of systemd's own units the targets alone: nothing may touch the kernel's settings, the
# devices or the clock, which are not the machine's own.
TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sysinit", "time-sync")
BOOT = """
mount --make-rshared /
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mkdir /mnt/units
cp /etc/systemd/system/cardsite* /mnt/units
for target in default $1; do
    printf '[Unit]\\nDescription=%s\\n' "$target" >"/mnt/units/$target.target"
done
for unit in cardsite cardsite-backup cardsite-failed@ cardsite-purge cardsite-purge-notice; do
    mkdir -p "/mnt/units/$unit.service.d"
    printf '[Service]\\nStandardOutput=append:/mnt/said\\nStandardError=append:/mnt/said\\n%s\\n%s\\n' \\
        "Environment=PATH=/srv/cardsite/.venv/bin:/usr/local/sbin:/usr/bin:/bin" "$2" >"/mnt/units/$unit.service.d/test.conf"
done
cat >/usr/local/sbin/sendmail <<'END'
#!/bin/sh
{ id -un; cat; } >>/mnt/mail
END
chmod 755 /usr/local/sbin/sendmail
touch /mnt/mail && chmod 666 /mnt/mail
ip link set lo up
exec env -i container=lxc SYSTEMD_UNIT_PATH=/mnt/units SYSTEMD_LOG_TARGET=null \\
    PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system --unit=default.target
"""
# Two systemds in one control group would end each other's processes.
GROUP = """
mkdir /mnt/cgroup
mount -t cgroup2 cgroup2 /mnt/cgroup
mkdir "/mnt/cgroup/$1"
echo $$ >"/mnt/cgroup/$1/cgroup.procs"
shift
exec "$@"
"""
UNGROUP = 'find "/mnt/cgroup/$1" -depth -type d -exec rmdir {} +'
ASK = """
import sys, urllib.request
host = {"Host": "cards.example.jp"}
asked = urllib.request.Request("http://127.0.0.1:8000/healthz", headers=host)
print(urllib.request.urlopen(asked, timeout=120).status)
"""

pytestmark = pytest.mark.rights("boot")


class Booted:
    """A machine whose first process is systemd."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._group = machine, f"cardsite-{uuid4().hex}"
        group = ("sh", "-euc", GROUP, "sh", self._group)
        words = (*group, "unshare", *SPACES, "--mount-proc", "sh", "-euc", BOOT, "sh")
        # What the units are not to see is hidden from them; a Python in root's home, or
        # the checkout that is tested in /tmp, they need.
        hidden = {"/root/": "ProtectHome=no", "/tmp/": "PrivateTmp=no"}
        needed = (sys.base_prefix, sys.prefix, str(ROOT))
        shown = "\n".join(
            line
            for folder, line in hidden.items()
            if any(path.startswith(folder) for path in needed)
        )
        self._outside = subprocess.Popen(
            machine.words(*words, " ".join(TARGETS), shown), stderr=subprocess.DEVNULL
        )
        self._wait()

    def _first(self) -> str:
        """The number of its first process, "" when there is none yet."""
        pid = self._outside.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self._first() or self.run(
            "systemctl", "is-system-running"
        ).stdout not in (
            "running\n",
            "degraded\n",
        ):
            assert self._outside.poll() is None, "systemd ended"
            assert time.monotonic() < until, "systemd doesn't answer"
            time.sleep(0.1)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        spaces = ("--mount", "--pid", "--net", "--uts", "--ipc")
        path = "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            ["nsenter", "--target", self._first(), *spaces, "env", "-i", path, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def do(self, *words: str) -> str:
        """The same for a command that ends well; what it prints."""
        done = self.run(*words)
        said = "" if done.returncode == 0 else self.run("cat", "/mnt/said").stdout
        assert done.returncode == 0, f"{words}\n{done.stderr}\n{said}"
        return done.stdout

    def answers(self) -> bool:
        """Whether the site comes to answer that it is well."""
        until = time.monotonic() + START_SECONDS
        while self.run(sys.executable, "-c", ASK).stdout != "200\n":
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def workers(self, main: str) -> set[str]:
        """The numbers of the site's worker processes."""
        return set(self.do("cat", f"/proc/{main}/task/{main}/children").split())

    def end(self) -> None:
        """Kill its first process, and with it all others."""
        if self._first():
            os.kill(int(self._first()), 9)
        self._outside.wait(120)
        self._machine.do("sh", "-euc", UNGROUP, "sh", self._group)


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    """The installed site's machine, with its site running."""
    with a_machine() as machine:
        installed(machine)
        booted = Booted(machine)
        try:
            booted.do("systemctl", "start", "cardsite")
            yield booted
        finally:
            booted.end()


def test_the_site_runs_shut_off_as_it_is_and_takes_new_code(booted: Booted) -> None:
    """As its account, with keys that systemd handed over, and after a reload with
    other worker processes."""
    assert booted.answers()
    handed = booted.do("find", "/run/credentials/cardsite.service", "-type", "f")
    names = {Path(line).name for line in handed.splitlines()}
    assert names == {"secret.key", "web.key"}
    main = booted.do(
        "systemctl", "show", "-p", "MainPID", "--value", "cardsite"
    ).strip()
    assert booted.do("stat", "-c", "%U", f"/proc/{main}") == "cardsite\n"
    workers = booted.workers(main)
    booted.do("systemctl", "reload", "cardsite")
    until = time.monotonic() + START_SECONDS
    while workers & booted.workers(main):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert booted.answers()


def test_the_nightly_backup_leaves_an_anchor_and_a_backup(booted: Booted) -> None:
    """While the site runs, for its account alone."""
    booted.do("systemctl", "start", "cardsite-backup")
    kept = booted.do(
        "find", "/var/backups/cardsite", "-type", "f", "-printf", "%f %m %u\n"
    )
    endings = re.findall(r"^cardsite-[\dT-]+\.(\w+) 600 cardsite$", kept, re.M)
    assert sorted(endings) == ["anchor", "backup"]


def test_a_purge_without_its_notice_fails_and_is_mailed(booted: Booted) -> None:
    """By the unit's own name; with the notice of a week before it ends well."""
    failed = booted.run("systemctl", "start", "cardsite-purge")
    assert failed.returncode != 0
    until = time.monotonic() + START_SECONDS
    while "cardsite-purge.service failed" not in booted.do("cat", "/mnt/mail"):
        assert time.monotonic() < until
        time.sleep(0.1)
    mail = booted.do("cat", "/mnt/mail")
    assert mail.startswith("mail\nTo: ops@example.jp\n")
    assert "journalctl -u cardsite-purge.service\n" in mail
    booted.do("systemctl", "start", "cardsite-purge-notice")
    assert "cards to be purged in a week" in booted.do("cat", "/mnt/mail")
    notice = "/var/lib/cardsite/purge.notice"
    booted.do("touch", "--date", "7 days ago", notice)
    booted.do("systemctl", "start", "cardsite-purge")
    assert booted.run("test", "-e", notice).returncode == 1


def test_the_way_back_ends_with_a_site_that_answers(booted: Booted) -> None:
    """The site stopped, a backup, its databases away, the backup put back by root: the
    files are the account's, and the site answers."""
    booted.do("systemctl", "stop", "cardsite")
    booted.do("systemctl", "start", "cardsite-backup")
    names = booted.do("find", "/var/backups/cardsite", "-name", "*.backup").split()
    backup = max(names)
    booted.do("mkdir", "/mnt/away")
    booted.do("sh", "-c", "mv /var/lib/cardsite/*.db* /mnt/away")
    anchor = backup.replace(".backup", ".anchor")
    words = ("cardvault", "restore", backup, "--anchor", anchor)
    booted.do("cardsite-run", "--root", *words)
    owners = booted.do("find", "/var/lib/cardsite", "-name", "*.db", "-printf", "%u\n")
    assert owners == "cardsite\n" * 2
    booted.do("systemctl", "start", "cardsite")
    assert booted.answers()
