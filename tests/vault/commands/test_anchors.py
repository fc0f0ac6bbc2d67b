"""Anchors: given away by themselves, and held against the trail."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyrage
import pytest

from vault.clock import system_clock
from vault.commands import anchors
from vault.ops.anchor import parse_anchors

from .shell import Shell

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[3]
DAY = 24 * 3600
KEEP_THEM = (
    "set AUDIT_ANCHOR_COMMAND, or keep elsewhere what this prints: "
    "cardvault audit anchor"
)
KEEP = {"AUDIT_ANCHOR_COMMAND": "cat >> anchors"}
PURGE = ("purge", "--expired-for", "90", "--clock-is-right")
RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())
EXPORT = ("export", "--recipient", RECIPIENT, "--reason", "x", "--out", "cards.age")
ELSEWHERE = {
    "VAULT_DATABASE_URL": "sqlite:///elsewhere/vault.db",
    "DATABASE_URL": "sqlite:///elsewhere/site.db",
}


@pytest.fixture
def site(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder with a vault of two cards and a site's database."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shell.seal(2)
    with closing(sqlite3.connect("instance/site.db")) as db, db:
        db.execute("CREATE TABLE customer (token TEXT)")
    return shell


def macs(path: str = "instance/vault.db") -> dict[int, str]:
    """The MAC of every entry of the trail, in hex."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT seq, mac FROM audit_entry").fetchall()
    return {seq: mac.hex() for seq, mac in rows}


@pytest.mark.parametrize(
    "words",
    [("rotate",), ("backup", "kept"), EXPORT, PURGE],
    ids=lambda words: words[0],
)
def test_an_act_gives_its_anchor_away(site: Shell, words: tuple[str, ...]) -> None:
    """After it is done; the trail says which entry was covered, and what was given
    is what audit verify takes."""
    ran = site(*words, "--json", **KEEP)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)
    (anchor,) = parse_anchors(Path("anchors").read_text())
    assert anchor.mac == macs()[anchor.entries]
    trail = site.trail()
    assert trail[anchor.entries :] == [
        ("audit.anchored", "success", {"entries": anchor.entries})
    ]
    assert site("audit", "verify", "--anchor", "anchors").code == 0


def test_a_restored_place_gives_its_anchor_away(site: Shell) -> None:
    """The head of what was put in place, so that its being older is on record."""
    site("backup", "kept")
    made = max(macs())
    site.seal()
    ran = site("restore", "kept", "--json", **KEEP, **ELSEWHERE)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["cards"] == 2
    (anchor,) = parse_anchors(Path("anchors").read_text())
    assert (anchor.entries, anchor.mac) == (made, macs("elsewhere/vault.db")[made])
    assert max(macs("elsewhere/vault.db")) == made + 1
    assert site("audit", "verify", "--anchor", "anchors", **ELSEWHERE).code == 0


def test_without_the_setting_nothing_leaves(site: Shell) -> None:
    """No entry, no word."""
    for command in ({}, {"AUDIT_ANCHOR_COMMAND": ""}):
        assert site(*PURGE, **command).err == ""
    assert [event for event, _, _ in site.trail() if "anchor" in event] == []


@pytest.mark.parametrize(
    "words",
    [("rotate", "--dry-run"), (*PURGE, "--dry-run"), ("restore", "kept", "--drill")],
)
def test_what_changes_nothing_gives_no_anchor(
    site: Shell, words: tuple[str, ...]
) -> None:
    """A dry run and a drill are no acts."""
    site("backup", "kept")
    assert site(*words, **KEEP).code == 0
    assert not Path("anchors").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 3", "ended with exit code 3"),
        ("no-such-command-anywhere", "ended with exit code 127: no such command"),
        ("kill -9 $$", "was ended by signal 9"),
        ("sleep 600", "did not end within 0.2 seconds"),
    ],
)
def test_a_failing_command_is_a_warning_and_an_entry(
    site: Shell, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    """The act is done: its code and its stdout are as ever."""
    monkeypatch.setattr(anchors, "ANCHOR_SECONDS", 0.2)
    ran = site(*PURGE, AUDIT_ANCHOR_COMMAND=command)
    assert (ran.code, ran.out) == (0, "purged 0 cards\n")
    entries = len(site.trail()) - 1
    assert (
        f"cardvault: warning: the anchor of entry {entries} was not given away: "
        f"AUDIT_ANCHOR_COMMAND {said}\n"
    ) in ran.err
    assert 'cardvault audit anchor | sh -c "$AUDIT_ANCHOR_COMMAND"' in ran.err
    failed = {"entries": entries, "why": said}
    assert site.trail()[-1] == ("audit.anchor_failed", "failure", failed)


def test_a_command_that_reads_nothing_may_succeed(site: Shell) -> None:
    """A closed pipe is no failure of its own."""
    assert site(*PURGE, AUDIT_ANCHOR_COMMAND="true").err == ""
    assert site.trail()[-1][0] == "audit.anchored"


def test_a_command_that_hangs_ends_with_its_children(
    site: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ssh is left behind that waits for ever."""
    os.mkfifo("told")
    reader = os.open("told", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(anchors, "ANCHOR_SECONDS", 2)
    site(*PURGE, AUDIT_ANCHOR_COMMAND="sleep 600 3>told & echo $! >told; wait")
    child = int(os.read(reader, 100))
    os.close(reader)
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(child)
        assert select.select([descriptor], [], [], 30)[0], "the child lives on"
        os.close(descriptor)


def test_what_cannot_be_written_in_the_trail_is_no_failure(site: Shell) -> None:
    """The anchor left; that the trail lacks its entry is said."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'no more'); END"
    when = "WHEN NEW.event LIKE 'audit.anchor%'"
    site.edit(f"CREATE TRIGGER no BEFORE INSERT ON audit_entry {when} {refuse}")
    ran = site(*PURGE, **KEEP)
    assert (ran.code, ran.out) == (0, "purged 0 cards\n")
    assert "warning: the trail has no entry about the anchor: no more" in ran.err
    assert len(parse_anchors(Path("anchors").read_text())) == 1


def real(site: Shell, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Type cardvault as a process of its own, whose output is all there is."""
    return subprocess.run(
        [BIN / "cardvault", *words],
        cwd=site.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        # A shell that was started in the background hands Ctrl-C on as ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_what_the_command_prints_is_not_ours(site: Shell) -> None:
    """stdout stays one object; what it says on stderr is shown."""
    noisy = "cat; echo noise; echo why >&2; exit 1"
    ran = real(site, *PURGE, "--json", AUDIT_ANCHOR_COMMAND=noisy)
    assert (ran.returncode, json.loads(ran.stdout)["finished"]) == (0, True)
    assert ran.stderr.startswith("why\n")


def test_a_ctrl_c_meant_for_the_command_ends_the_command(site: Shell) -> None:
    """The act is done, and its code says so."""
    # It has read everything: whoever runs it waits for its end by then.
    interrupts = "cat > /dev/null; kill -INT $PPID; sleep 600"
    ran = real(site, *PURGE, AUDIT_ANCHOR_COMMAND=interrupts)
    assert (ran.returncode, ran.stdout) == (0, "purged 0 cards\n")
    assert "AUDIT_ANCHOR_COMMAND was interrupted" in ran.stderr
    assert site.trail()[-1][2]["why"] == "was interrupted"


class LeftTaken:
    """Popen's own lock, when Ctrl-C comes just after the first who took it did."""

    def __init__(self) -> None:
        self._lock, self._first = threading.Lock(), True

    def acquire(self, blocking: bool = True) -> bool:
        """Take it; who would wait for it would wait for ever."""
        taken = self._lock.acquire(blocking=False)
        assert taken or not blocking, "nobody lets go of it"
        if self._first:
            self._first = False
            raise KeyboardInterrupt
        return taken

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_ctrl_c_that_leaves_popens_lock_taken_ends_the_command(
    site: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it comes once in some thousand times."""

    class Popen(subprocess.Popen[str]):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            self._waitpid_lock = LeftTaken()

    monkeypatch.setattr(subprocess, "Popen", Popen)
    ran = site(*PURGE, AUDIT_ANCHOR_COMMAND="cat > /dev/null; sleep 600")
    assert (ran.code, ran.out) == (0, "purged 0 cards\n")
    assert "AUDIT_ANCHOR_COMMAND was interrupted" in ran.err


def test_the_command_gets_no_secret_of_ours(site: Shell) -> None:
    """Not where the root key is, nor what opens it, nor the site's own."""
    secrets = {
        "VAULT_ROOT_KEY": "instance/root.key",
        "VAULT_ROOT_PASSPHRASE_FILE": "secret-1",
        "VAULT_ROOT_KEY_COMMAND": "echo secret-2",
        "SECRET_KEY": "secret-3",
        "SECRET_KEY_FALLBACKS": "secret-4",
        "MAIL_PASSWORD_FILE": "secret-5",
        "PGPASSWORD": "secret-6",
        "KMS_PASSPHRASE": "secret-7",
    }
    site(*PURGE, AUDIT_ANCHOR_COMMAND="env > seen", BUCKET="kept", **secrets)
    seen = Path("seen").read_text()
    assert ("secret-" in seen, "root.key" in seen, "vault.db" in seen) == (False,) * 3
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert names & secrets.keys() == set()
    assert {"BUCKET", "PATH"} <= names


def test_anchors_may_be_added_to_one_file(site: Shell) -> None:
    """audit anchor > FILE and >> FILE, as a shell does it, on Windows too."""
    with Path("anchors").open("w") as file:
        for _ in range(2):
            site.seal()
            file.write(real(site, "audit", "anchor").stdout)
    text = Path("anchors").read_text()
    assert text.count("\n") == 2
    Path("anchors").write_text("\ufeff" + text.replace("\n", "\r\n"), "utf-8")
    ran = site("audit", "verify", "--anchor", "anchors")
    assert (ran.code, "anchor  2 anchors held, the newest of 20" in ran.err) == (
        0,
        True,
    )


def test_another_vaults_anchors_are_left_out(site: Shell) -> None:
    """A log may be of several; one without this vault's is the wrong file."""
    own = site("audit", "anchor").out
    other = json.dumps({**json.loads(own), "vault": "an\x1b[2Kother", "entries": 99})
    Path("anchors").write_text(f"{other}\n{own}")
    assert site("audit", "verify", "--anchor", "anchors").code == 0
    Path("anchors").write_text(other)
    ran = site("audit", "verify", "--anchor", "anchors")
    assert (ran.code, "is of vault an\ufffd[2Kother" in ran.err) == (2, True)


def put_an_older_one_back(site: Shell) -> None:
    """Anchor a trail, put its older database back and use it until its trail is
    longer, with an anchor of its own; both anchors are in one file."""
    older = sqlite3.connect("older.db")
    with closing(sqlite3.connect("instance/vault.db")) as now, closing(older):
        now.backup(older)
    site.seal()
    first = site("audit", "anchor").out
    for suffix in ("", "-wal", "-shm"):
        Path(f"instance/vault.db{suffix}").unlink(missing_ok=True)
    shutil.copy("older.db", "instance/vault.db")
    site.seal(3)
    Path("anchors").write_text(first + site("audit", "anchor").out)
    Path("first").write_text(first)


def test_a_later_anchor_hides_no_earlier_one(site: Shell) -> None:
    """An older database, put back and used, holds against the newest anchor; it is
    the one from before that finds it."""
    put_an_older_one_back(site)
    (place,) = parse_anchors(Path("first").read_text())
    ran = site("audit", "verify", "--anchor", "anchors")
    said = f"audit entry {place.entries}  is another one than was anchored\n"
    assert (ran.code, ran.out) == (1, said)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_rotate_holds_the_trail_against_an_anchor_first(
    site: Shell, more: tuple[str, ...]
) -> None:
    """Exit 1 names the place, and nothing is written, not even in the trail."""
    put_an_older_one_back(site)
    before, trail = site.but_the_trail(), site.trail()
    ran = site("rotate", "--anchor", "anchors", *more)
    assert (ran.code, ran.out) == (1, "")
    assert "is another one than was anchored" in ran.err
    assert "under: When an anchor does not hold" in ran.err
    assert (site.but_the_trail(), site.trail()) == (before, trail)


def test_rotate_with_an_anchor_checks_the_whole_trail(site: Shell) -> None:
    """An entry before the anchored one was edited: its own MAC would still hold."""
    Path("anchor").write_text(site("audit", "anchor").out)
    site.edit("UPDATE audit_entry SET actor = 'x' WHERE seq = 2")
    ran = site("rotate", "--anchor", "anchor")
    assert (ran.code, "audit entry 2: is not as it was written" in ran.err) == (1, True)
    assert "rotation.begun" not in [event for event, _, _ in site.trail()]


def test_rotate_goes_on_when_its_anchor_holds(site: Shell) -> None:
    """And says that it did, beside the result."""
    Path("anchor").write_text(site("audit", "anchor").out)
    ran = site("rotate", "--anchor", "anchor", "--json")
    assert (ran.code, json.loads(ran.out)["left"]) == (0, 0)
    assert ran.err.startswith("anchor  1 anchor held, the newest of 20")


@pytest.mark.parametrize("words", [("rotate",), ("audit", "verify")])
def test_a_wrong_anchor_file_is_exit_2_before_the_root_key_is_asked_for(
    site: Shell, words: tuple[str, ...]
) -> None:
    """Nobody types shares for it."""
    Path("anchor").write_text("nonsense")
    before = site.trail()
    ran = site(*words, "--anchor", "anchor", VAULT_ROOT_KEY="nowhere")
    assert ran.code == 2
    assert "anchor is not what cardvault audit anchor prints" in ran.err
    assert site.trail() == before


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many days later it is: the list's one number, which a test may change."""
    days = [0]
    for command in ("vaults", "doctor"):
        monkeypatch.setattr(
            f"vault.commands.{command}.system_clock",
            lambda: system_clock() + days[0] * DAY,
        )
    return days


def test_verifying_the_trail_says_how_old_the_newest_anchor_is(
    site: Shell, later: list[int]
) -> None:
    """And warns when none was ever given away, and without one to hold against."""
    ran = site("audit", "verify")
    assert (ran.code, ran.out.endswith("every one as written\n")) == (0, True)
    assert ran.err.splitlines() == [
        "cardvault: warning: no anchor was ever given away",
        f"cardvault: hint: {KEEP_THEM}",
        "cardvault: warning: only an anchor can show that an older database was put back",
        "cardvault: hint: cardvault audit verify --anchor FILE",
    ]
    site(*PURGE, **KEEP)
    later[0] = 3
    ran = site("audit", "verify", "--anchor", "anchors")
    assert ran.err.count("+09:00, 3 days old\n") == 2
    assert ran.err.splitlines()[1].startswith("anchor  given away 20")
    assert "warning" not in ran.err
    assert "anchor  given away 20" in site("rotate").err


def test_a_failed_anchor_is_told_until_one_leaves(
    site: Shell, later: list[int]
) -> None:
    """By status, doctor and audit verify; doctor also tells of an old one."""
    assert "anchor      none was ever given away\n" in site("status").out
    site(*PURGE, **KEEP)
    at = parse_anchors(Path("anchors").read_text())[-1].at
    told = json.loads(site("status", "--json").out)["anchor"]
    assert (told["failed_since"], 0 <= told["at"] - at < 600) == (False, True)
    later[0] = 1
    assert "+09:00, 1 day old\n" in site("status").out
    assert "warning  anchor" not in site("doctor").out
    later[0] = 9
    assert "the newest anchor is old (given away 20" in site("doctor").out
    site(*PURGE, AUDIT_ANCHOR_COMMAND="exit 1")
    assert "+09:00, 9 days old; the last one could not be\n" in site("status").out
    assert "the last anchor could not be given away" in site("doctor").out
    assert "the last anchor could not be given away" in site("audit", "verify").err
    site(*PURGE, **KEEP)
    assert "warning  anchor" not in site("doctor").out
    assert "+09:00, 0 days old\n" in site("status").out


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("DELETE FROM audit_entry", "audit entry 1: is missing"),
        ("UPDATE audit_entry SET mac = 'x'", "is not as it was written"),
        ("UPDATE audit_entry SET at = 'x'", "is not as it was written"),
    ],
)
def test_a_trail_without_a_head_has_no_anchor(
    shell: Shell, edit: str, said: str
) -> None:
    """It is said, and nothing is printed that could not be held against it."""
    shell.edit(edit)
    ran = shell("audit", "anchor")
    assert (ran.code, ran.out, said in ran.err) == (1, "", True)
