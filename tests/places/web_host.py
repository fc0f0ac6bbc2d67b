"""A machine with the checkout on it, as ``deploy/install.sh`` finds and leaves it."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.places.own_mounts import Machine
from tests.places.site import ROOT, START_SECONDS, free_port

INSTALL = "/srv/cardsite/deploy/install.sh"
RUN = "/usr/local/sbin/cardsite-run"
SETTINGS = "/etc/cardsite/settings"


@contextmanager
def a_machine() -> Iterator[Machine]:
    """A bare machine with the checkout in /srv/cardsite and a medium for the root key."""
    machine = Machine(ROOT)
    try:
        machine.do("mkdir", "-m", "700", "/mnt/usb")
        machine.do(
            "sh", "-c", "umask 077; echo 'a long passphrase' >/mnt/usb/passphrase"
        )
        yield machine
    finally:
        machine.end()


def fill(machine: Machine, **settings: str) -> None:
    """Fill in the settings file as a person would."""
    given = {
        "TRUSTED_HOSTS": "cards.example.jp",
        "MAIL_DEFAULT_SENDER": "no-reply@example.jp",
        "FAILURE_MAIL": "ops@example.jp",
        "PURGE_MAIL": "ops@example.jp",
        **settings,
    }
    for name, value in given.items():
        typed = value.replace("&", r"\&")
        line = f's|^#*{name}=.*|{name}="{typed}"|'
        machine.do("sed", "-i", line, SETTINGS)


def install(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    """Type the script, with the passphrase of the root key in a file."""
    return machine.run(
        INSTALL, *words, VAULT_ROOT_PASSPHRASE_FILE="/mnt/usb/passphrase"
    )


def commands(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The commands that it printed."""
    return re.findall(r"^\+ (.*)$", done.stdout, re.M)


def installed(machine: Machine, **settings: str) -> None:
    """Install to the end."""
    assert install(machine).returncode == 2
    fill(machine, **settings)
    done = install(machine, "--root-key", "/mnt/usb/root.key")
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def serving(machine: Machine) -> Iterator[str]:
    """The site as its unit runs it; its address."""
    port = free_port()
    words = (RUN, "gunicorn", "--chdir", "/srv/cardsite", "--workers", "1")
    bound = ("--bind", f"127.0.0.1:{port}", "wsgi:app")
    site = subprocess.Popen(machine.words(*words, *bound))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        site.terminate()
        site.wait(START_SECONDS)


def ask(url: str) -> int:
    """What the site answers to a proxy's question, once it is up."""
    asked = urllib.request.Request(url, headers={"Host": "cards.example.jp"})
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
