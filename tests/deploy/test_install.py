"""The installation, run for real on a machine whose files are gone with the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from subprocess import CompletedProcess

import pytest

from tests.places.own_mounts import Machine
from tests.places.postgres_cluster import Cluster
from tests.places.site import PASSWORD, ROOT
from tests.places.web_host import (
    INSTALL,
    RUN,
    SETTINGS,
    a_machine,
    ask,
    commands,
    fill,
    install,
    installed,
    serving,
)

# Everything an installation could have touched, but the time of it.
LOOK = (
    "find /etc /var/lib /var/backups /var/log /usr/local/sbin -printf '%p %m %u %g\\n'"
    "| grep -v -e '-shm ' -e '-wal ' -e '-queue '; "
    "find /etc -type f -exec sha256sum {} +"
)

pytestmark = pytest.mark.rights("root", "mounts")


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A bare machine."""
    with a_machine() as machine:
        yield machine


@dataclass(frozen=True)
class Installation:
    """A machine with the site on it, how it looked when it was bare, and after the dry
    run; and that run, the first, and the second with the settings filled in."""

    machine: Machine
    bare: str
    tried: str
    dry: CompletedProcess[str]
    first: CompletedProcess[str]
    second: CompletedProcess[str]


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """The installation of a site on SQLite."""
    words = ("--root-key", "/mnt/usb/root.key")
    with a_machine() as machine:
        bare = machine.do("sh", "-c", LOOK)
        dry = install(machine, "--dry-run", *words)
        tried = machine.do("sh", "-c", LOOK)
        first = install(machine, *words)
        fill(machine)
        second = install(machine, *words)
        yield Installation(machine, bare, tried, dry, first, second)


@pytest.fixture
def ready(installation: Installation) -> Machine:
    """Its machine, for tests that leave the site as it is."""
    assert installation.second.returncode == 0, installation.second.stderr
    return installation.machine


def test_a_dry_run_says_what_a_run_does_and_changes_nothing(
    installation: Installation,
) -> None:
    """The same commands in the same order, as far as the run gets."""
    dry, first, second = installation.dry, installation.first, installation.second
    assert dry.returncode == 0, dry.stderr
    assert installation.tried == installation.bare
    assert first.returncode == 2
    assert "is not filled in: TRUSTED_HOSTS MAIL_DEFAULT_SENDER" in first.stderr
    assert second.returncode == 0, second.stdout + second.stderr
    assert commands(dry) == commands(first) + commands(second)


def test_the_runbook_has_every_command_that_the_script_types(machine: Machine) -> None:
    """Each once, as it is typed."""
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    block = runbook.partition("The commands that it types")[2].partition("```sh\n")[2]
    dry = machine.run(INSTALL, "--dry-run", "--root-key", "/media/usb/root.key")
    typed = [line for line in commands(dry) if not line.startswith("make ")]
    assert typed == block.partition("\n```")[0].splitlines()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_from_a_bare_machine_to_a_running_site(
    engine: str, request: pytest.FixtureRequest
) -> None:
    """The script, the settings, the first operator; typed again it changes nothing; the
    site answers, its commands work, the account can't replace its keys."""
    with ExitStack() as stack:
        if engine == "postgresql":
            server: Cluster = request.getfixturevalue("server")
            names = {"DATABASE_URL": "in_site", "VAULT_DATABASE_URL": "in_vault"}
            more = {
                setting: stack.enter_context(server.database(name))
                for setting, name in names.items()
            }
            machine: Machine = request.getfixturevalue("machine")
            installed(machine, **more)
        else:
            machine = request.getfixturevalue("ready")
        before = machine.do("sh", "-c", LOOK)
        again = install(machine)
        assert again.stdout == "all is in place; nothing was changed\n"
        assert machine.do("sh", "-c", LOOK) == before
        flask = (RUN, "flask", "--app", "wsgi")
        words = (
            "operators",
            "add",
            "taro",
            "--name",
            "山田",
            "--email",
            "t@example.jp",
        )
        flags = ("--password-stdin", "--no-change")
        assert "added taro" in machine.do(*flask, *words, *flags, given=f"{PASSWORD}\n")
        assert "cards       0" in machine.do(RUN, "cardvault", "status")
        assert "fault" not in machine.run(RUN, "cardvault", "doctor").stdout
        root = {
            "VAULT_ROOT_KEY": "/mnt/usb/root.key",
            "VAULT_ROOT_PASSPHRASE_FILE": "/mnt/usb/passphrase",
        }
        assert "0 cards opened" in machine.do(
            RUN, "--root", "cardvault", "verify", **root
        )
        owners = machine.do("find", "/var/lib/cardsite", "-printf", "%u %g\n")
        assert set(owners.split()) == {"cardsite"}
        with serving(machine) as url:
            assert ask(f"{url}/healthz") == 200


def test_the_account_reads_its_keys_and_can_not_replace_them(ready: Machine) -> None:
    """It is the account, without powers; its keys are its own mount, which nobody else
    sees and it can't write to; the settings file it can't read at all."""
    assert ready.do(RUN, "id", "-un") == "cardsite\n"
    powers = ready.do(RUN, "grep", "^Cap", "/proc/self/status")
    assert set(re.findall(r"Cap(?:Inh|Prm|Eff|Bnd):\t(\w+)", powers)) == {"0" * 16}
    assert "sealing_key" in ready.do(RUN, "sh", "-c", 'cat "$VAULT_WEB_KEY"')
    for line in (
        'echo x >"$VAULT_WEB_KEY"',
        'mv "$VAULT_WEB_KEY" "$VAULT_WEB_KEY.old"',
        "cat /etc/cardsite/web.key",
        "cat /etc/cardsite/secret.key",
        "cat /etc/cardsite/settings",
        "touch /etc/cardsite/x",
        "touch /srv/cardsite/x",
    ):
        assert ready.run(RUN, "sh", "-c", line).returncode != 0, line
    assert ready.do("ls", "/run/cardsite-keys") == ""
    refused = ready.run(RUN, "cardvault", "web-key", "rotate", VAULT_ROOT_KEY="/x")
    assert refused.returncode == 2
    assert "hint: cardsite-run --root cardvault web-key rotate" in refused.stderr


def test_a_key_of_the_callers_environment_is_not_handed_on(ready: Machine) -> None:
    """What runs as the site has the settings' environment and no other."""
    shown = ready.do(RUN, "env", PYTHONPATH="/tmp", SECRET_KEY="x", SUDO_USER="hanako")
    named = set(re.findall(r"^(\w+)=", shown, re.M))
    assert {"SUDO_USER", "TRUSTED_HOSTS", "SECRET_KEY_FILE", "PROXY_HOPS"} <= named
    assert not {"PYTHONPATH", "SECRET_KEY"} & named


def test_a_mail_server_elsewhere_is_asked_for_by_address(machine: Machine) -> None:
    """The units reach this machine alone, so the script stops until it is told whom
    they may reach, and then lets all three through."""
    assert install(machine).returncode == 2
    fill(machine, MAIL_SERVER="mail.example.jp")
    key = ("--root-key", "/mnt/usb/root.key")
    stopped = install(machine, *key)
    assert stopped.returncode == 2
    assert "MAIL_SERVER is another machine" in stopped.stderr
    done = install(machine, "--allow", "192.0.2.25", "--allow", "192.0.2.53")
    assert done.returncode == 0, done.stderr
    for unit in ("cardsite", "cardsite-backup", "cardsite-purge"):
        drop_in = f"/etc/systemd/system/{unit}.service.d/network.conf"
        shown = machine.do("cat", drop_in)
        assert shown == "[Service]\nIPAddressAllow=192.0.2.25 192.0.2.53\n"
    assert install(machine).stdout == "all is in place; nothing was changed\n"


@pytest.mark.parametrize(
    "line",
    [
        "SITE_NAME=two words",
        "SITE_NAME=$(touch /tmp/x)",
        'SITE_NAME="$HOME"',
        'SITE_NAME="a`id`"',
        'SITE_NAME="a" ; id',
        "id",
        'export SITE_NAME="a"',
    ],
)
def test_a_line_that_a_shell_reads_otherwise_is_refused(
    ready: Machine, line: str
) -> None:
    """By its number, before any of the file is read as a shell's."""
    ready.do("cp", "-a", SETTINGS, f"{SETTINGS}.kept")
    try:
        number = len(ready.do("cat", SETTINGS).splitlines()) + 1
        ready.do("sh", "-c", f'echo "$1" >>{SETTINGS}', "sh", line)
        refused = ready.run(RUN, "true")
    finally:
        ready.do("mv", f"{SETTINGS}.kept", SETTINGS)
    assert refused.returncode == 2
    assert f"line {number} of {SETTINGS} is not" in refused.stderr
    assert ready.run(RUN, "true").returncode == 0
