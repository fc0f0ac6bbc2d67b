"""The cardvault command, as it is typed and as it answers."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import text

from vault import (
    Actor,
    Expiry,
    OpenVault,
    Pan,
    RootKey,
    Token,
    Vault,
    VaultSettings,
    WebKey,
    sealing,
)
from vault.clock import system_clock
from vault.commands import cardvault, main, rotate
from vault.rotation import take_up
from vault.shares import split

PASSPHRASE = "correct horse battery"


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str


class Shell:
    """A folder in which cardvault is typed, with its environment."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in os.environ:
            if name.startswith("VAULT_"):
                monkeypatch.delenv(name)
        monkeypatch.chdir(folder)
        self.root = "instance/root.key"

    def __call__(self, *words: str, given: str = "", **environ: str) -> Ran:
        """Type ``cardvault WORDS`` with the root key at hand."""
        with self._monkeypatch.context() as here:
            here.setenv("VAULT_ROOT_KEY", self.root)
            for name, value in environ.items():
                here.setenv(name, value)
            here.setattr(sys, "argv", ["cardvault", *words])
            here.setattr(sys, "stdin", io.StringIO(given))
            with pytest.raises(SystemExit) as ended:
                main()
        shown = self._capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, shown.out, shown.err)

    def vault(self) -> Vault:
        """The web role of this place."""
        return Vault.open(VaultSettings(), system_clock)

    def seal(self, count: int = 1) -> list[Token]:
        """Seal cards as the site does."""
        vault, pan, by = self.vault(), Pan.parse("4810000000020000"), Actor("t", "x")
        with vault.engine.begin() as db:
            made = [vault.tokenize(db, pan, Expiry(2030, 1), by) for _ in range(count)]
        vault.engine.dispose()
        return made

    def edit(self, statement: str) -> None:
        """Write to the database behind the vault's back."""
        engine = self.vault().engine
        with engine.begin() as db:
            db.execute(text(statement))
        engine.dispose()


@pytest.fixture
def empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A folder with nothing in it; passphrases cost little."""
    cost = {"iterations": 1, "lanes": 1, "memory_kib": 64}
    monkeypatch.setattr(sealing, "PASSPHRASE_COST", cost)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def shell(empty: Shell) -> Shell:
    """A folder with a vault, its root key without a passphrase."""
    assert empty("init", "--no-passphrase").code == 0
    return empty


def all_commands(
    group: click.Group, words: str = "cardvault"
) -> list[tuple[str, click.Command]]:
    """Every verb with the words it is typed as."""
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += all_commands(command, f"{words} {name}")
        else:
            found.append((f"{words} {name}", command))
    return found


@pytest.mark.parametrize(("words", "command"), all_commands(cardvault))
def test_every_verb_has_help_with_an_example(
    words: str, command: click.Command
) -> None:
    """A sentence of help, and an example that names the verb."""
    assert command.help
    assert command.epilog is not None
    assert "Example:" in command.epilog
    assert words in command.epilog


def test_nothing_typed_shows_where_things_stand(shell: Shell) -> None:
    """cardvault alone is status."""
    assert shell().out == shell("status").out
    assert "next        cardvault verify" in shell().out


def test_nothing_there_says_how_to_begin(empty: Shell) -> None:
    """Without a place the error names the file and the hint the command."""
    ran = empty()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "cardvault: error: instance/web.key is not there\n"
        "cardvault: hint: a new place is made with: cardvault init\n"
    )


def test_init_overwrites_nothing(shell: Shell) -> None:
    """Keys or a database in the way: exit 2, and every byte as it was."""
    files = {p: p.read_bytes() for p in shell.folder.rglob("*.key")}
    for gone in ((), ("web.key",), ("web.key", "root.key")):
        for name in gone:
            (shell.folder / "instance" / name).rename(shell.folder / name)
        ran = shell("init", "--no-passphrase")
        assert ran.code == 2
        assert "in the way" in ran.err
        for name in gone:
            (shell.folder / name).rename(shell.folder / "instance" / name)
    assert files == {p: p.read_bytes() for p in shell.folder.rglob("*.key")}


def test_init_seals_the_root_key_by_default(empty: Shell) -> None:
    """The passphrase comes from its file; a wrong or missing one is exit 5."""
    secret = empty.folder / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    given = {"VAULT_ROOT_PASSPHRASE_FILE": str(secret)}
    assert empty("init", **given).code == 0
    assert empty("verify", **given).code == 0
    assert empty("verify").code == 5
    secret.write_text("another passphrase")
    ran = empty("verify", **given)
    assert ran.code == 5
    assert "does not open the root key instance/root.key" in ran.err


def test_init_asks_for_a_passphrase_where_it_can(empty: Shell) -> None:
    """Without a terminal or a file it refuses, and leaves nothing behind."""
    ran = empty("init")
    assert ran.code == 2
    assert "VAULT_ROOT_PASSPHRASE_FILE" in ran.err
    short = empty.folder / "short"
    short.write_text("short")
    short.chmod(0o600)
    assert empty("init", VAULT_ROOT_PASSPHRASE_FILE=str(short)).code == 2
    assert not list((empty.folder / "instance").glob("*.key"))


def test_a_vault_by_shares(empty: Shell) -> None:
    """init prints them once; any k open the vault, fewer or foreign ones don't."""
    ran = empty("init", "--shares", "3", "--threshold", "2")
    shares = ran.out.splitlines()[:3]
    assert not (empty.folder / "instance" / "root.key").exists()
    empty.root = ""
    for pair in ((0, 1), (1, 2), (2, 0)):
        given = "\n".join(shares[i] for i in pair) + "\n\n"
        assert empty("verify", given=given).code == 0
        assert empty("root", "check-shares", given=given).code == 0
    words = shares[1].split()
    for given, said in (
        (shares[0], "1 of 2 shares were given"),
        (f"{shares[0]}\n{shares[0]}", "share 2 is share 1 again"),
        (f"{shares[0]}\n{' '.join(words[:-1])}", "share 2 is damaged"),
        (f"{shares[0]}\n{' '.join([*words[:-1], words[0]])}", "share 2 is damaged"),
        (f"{shares[0]}\n{_foreign_share()}", "share 2 is of another root than share 1"),
    ):
        before = _files(empty)
        ran = empty("rotate", given=given)
        assert ran.code == 5
        assert said in ran.err
        assert words[3] not in ran.err
        assert _files(empty) == before


def _foreign_share() -> str:
    return split(RootKey("another", b"f" * 32), 2, 2)[0]


def _files(shell: Shell) -> dict[str, bytes]:
    folder = shell.folder / "instance"
    kept = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".db-shm"}
    return {name: data for name, data in kept.items() if data}


@pytest.mark.parametrize("numbers", [("1", "1"), ("2", "3"), ("17", "2"), ("3", "1")])
def test_impossible_shares_are_refused(empty: Shell, numbers: tuple[str, str]) -> None:
    """SLIP-39 goes from 2 of 2 to 16 of 16; nothing is made otherwise."""
    shares, threshold = numbers
    ran = empty("init", "--shares", shares, "--threshold", threshold)
    assert ran.code == 2
    assert not list(empty.folder.rglob("*.key"))


def test_half_a_split_is_refused(empty: Shell) -> None:
    """--shares and --threshold go together, and not with --no-passphrase."""
    assert empty("init", "--shares", "3").code == 2
    assert (
        empty("init", "--shares", "3", "--threshold", "2", "--no-passphrase").code == 2
    )


def test_a_missing_root_key_is_exit_2(shell: Shell) -> None:
    """Nothing given at all is usage, and says the three ways."""
    shell.root = ""
    ran = shell("verify")
    assert ran.code == 2
    assert "VAULT_ROOT_KEY_COMMAND" in ran.err


def test_the_root_key_may_come_from_a_command(shell: Shell) -> None:
    """What it prints is what the file holds; its failure is named."""
    shell.root = ""
    assert shell("verify", VAULT_ROOT_KEY_COMMAND="cat instance/root.key").code == 0
    ran = shell("verify", VAULT_ROOT_KEY_COMMAND="exit 3")
    assert (ran.code, "exit code 3" in ran.err) == (2, True)
    assert shell("verify", VAULT_ROOT_KEY_COMMAND="echo nonsense").code == 2


def test_a_wrong_root_key_writes_nothing(shell: Shell) -> None:
    """Every verb that needs it: exit 5, and not a byte of any file changes."""
    shell.seal()
    other = shell.folder / "other"
    other.mkdir()
    strange = {
        "VAULT_ROOT_KEY": f"{other}/root.key",
        "VAULT_WEB_KEY": f"{other}/web.key",
        "VAULT_DATABASE_URL": f"sqlite:///{other}/vault.db",
    }
    assert shell("init", "--no-passphrase", **strange).code == 0
    foreign = (other / "root.key").read_text()
    same_id = json.loads((shell.folder / shell.root).read_text())["vault_id"]
    for key in (foreign, foreign.replace(json.loads(foreign)["vault_id"], same_id)):
        (other / "root.key").write_text(key)
        before = _files(shell)
        for words in (
            ("rotate",),
            ("rotate", "--dry-run"),
            ("verify",),
            ("audit", "verify"),
            ("root", "rotate"),
            ("root", "split", "--shares", "3", "--threshold", "2"),
            ("web-key", "rotate"),
        ):
            ran = shell(*words, VAULT_ROOT_KEY=str(other / "root.key"))
            assert ran.code == 5, words
            assert "nothing was written" in ran.err
        assert _files(shell) == before


def test_loose_key_files_are_refused_by_name(shell: Shell) -> None:
    """Exit 2 and the chmod to type."""
    for name in ("web.key", "root.key"):
        path = shell.folder / "instance" / name
        path.chmod(0o644)
        ran = shell("verify")
        assert (ran.code, f"chmod 600 instance/{name}" in ran.err) == (2, True)
        path.chmod(0o600)


def test_verify_names_each_bad_token(shell: Shell) -> None:
    """Exit 1, a line each, and the JSON says the same."""
    good, bad = shell.seal(2)
    assert shell("verify").out.startswith("2 cards opened")
    shell.edit(f"UPDATE card SET last4 = '9999' WHERE token = '{bad}'")
    ran = shell("verify")
    assert ran.code == 1
    assert ran.out.startswith(f"{bad}  is not as it was written (MAC)\n1 found")
    told = json.loads(shell("verify", "--json").out)
    assert [found["subject"] for found in told["findings"]] == [bad]
    assert good not in ran.out


def test_a_dry_run_leaves_every_byte(shell: Shell) -> None:
    """It says what would happen, twice the same."""
    shell.seal(3)
    before = _files(shell)
    ran = shell("rotate", "--dry-run")
    assert (ran.code, _files(shell)) == (0, before)
    assert ran.out.startswith("would re-encrypt 3 cards to generation 2\n")
    told = json.loads(shell("rotate", "--dry-run", "--json").out)
    assert (told["cards"], told["generation"], told["resumes"]) == (3, 2, None)


def test_rotate_reports_what_it_did(shell: Shell) -> None:
    """One line for a person, one object for a machine, a page for an assessor."""
    shell.seal(3)
    ran = shell("rotate", "--reason", "yearly", "--max-rate", "1000")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out == (
        "rotation 1: 3 cards re-encrypted to generation 2, 0 newer, 3 read back, "
        "1 keys destroyed\nnext       cardvault report rotation 1\n"
    )
    told = json.loads(shell("rotate", "--json").out)
    assert (told["id"], told["census_before"], told["left"]) == (2, {"2": 3}, 0)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "en",
            [
                "Record of key rotation",
                "Reason: yearly",
                "1 -> 2",
                "no card of an older",
            ],
        ),
        (
            "ja",
            [
                "鍵ローテーション実施記録",
                "実施理由: yearly",
                "第1世代 3件",
                "残っていません",
            ],
        ),
    ],
)
def test_the_record_is_one_printable_page(
    shell: Shell, lang: str, words: list[str]
) -> None:
    """Who, why, when, from which generation to which, counts, how, and a place to
    sign; the latest or the one that was asked for."""
    shell.seal(3)
    shell("rotate", "--reason", "yearly")
    page = shell("report", "rotation", "1", "--lang", lang).out
    assert page == shell("report", "rotation", "--lang", lang).out
    assert not [word for word in words if word not in page]
    assert len(page.splitlines()) < 60
    assert json.loads(shell("report", "rotation", "--json").out)["reencrypted"] == 3


def test_a_record_that_is_not_there(shell: Shell) -> None:
    """Exit 2 says which."""
    assert "no card was ever rotated" in shell("report", "rotation").err
    assert shell("report", "rotation", "7").code == 2


def test_quarantine_from_end_to_end(shell: Shell) -> None:
    """A bad row: rotate exits 4, status and the list say what to do, drop gives
    it up with a reason, and the next rotation frees the old keys."""
    good, bad = shell.seal(2)
    assert "no card is quarantined" in shell("quarantine", "list").err
    shell.edit(f"UPDATE card SET mac = x'00' WHERE token = '{bad}'")
    ran = shell("rotate")
    assert ran.code == 4
    assert "cardvault quarantine list" in ran.err
    assert "next        cardvault quarantine list" in shell("status").out
    assert bad in shell("quarantine", "list").out
    assert "隔離" in shell("report", "rotation").out
    assert shell("quarantine", "drop", good, "--reason", "x").code == 1
    assert shell("quarantine", "drop", bad).code == 2
    assert shell("quarantine", "drop", bad, "--reason", "no backup has it").code == 0
    assert "no backup has it" in shell("audit", "list", "--token", bad).out
    told = json.loads(shell("rotate", "--json").out)
    assert (told["quarantined"], told["keys_destroyed"]) == (0, 2)
    assert shell("verify").code == 0


def test_an_unfinished_rotation_is_in_status(shell: Shell) -> None:
    """Who is at it, or nobody, and the command that goes on; exit 6 for a second."""
    shell.seal(2)
    vault = _ops(shell)
    rotation = take_up(vault, Actor("ops", "command"), "")
    assert "process" in shell("status").out
    ran = shell("rotate")
    assert (ran.code, "is being run by" in ran.err) == (6, True)
    rotation.release()
    assert "nobody is at it" in shell("status").out
    assert "next        cardvault rotate" in shell("status").out
    assert "go on with rotation 1" in shell("rotate", "--dry-run").out
    assert shell("rotate").code == 0


def _ops(shell: Shell) -> Any:
    web_key = WebKey.read(shell.folder / "instance" / "web.key")
    root_text = (shell.folder / shell.root).read_text()
    root_key = RootKey.parse(root_text, "root.key", None)
    return OpenVault(web_key, root_key, shell.vault().engine, system_clock)


def test_a_stop_asked_for_ends_at_a_batch(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 with what is done and how to go on."""
    shell.seal(3)
    entered = rotate._Stop.__enter__

    def at_once(self: rotate._Stop) -> rotate._Stop:
        entered(self)
        self._note(2, None)
        return self

    with monkeypatch.context() as here:
        here.setattr(rotate._Stop, "__enter__", at_once)
        ran = shell("rotate", "--batch", "1", "--json")
    assert ran.code == 3
    assert "1 cards are re-encrypted" in ran.err
    assert json.loads(ran.out)["left"] == 2
    assert shell("rotate").code == 0


def test_the_root_can_be_changed(shell: Shell) -> None:
    """Both roots work until --finalize, the old web key seals on until then, and
    afterwards only the new ones do; --finalize may be given twice."""
    shell.seal(2)
    ran = shell("root", "rotate")
    assert ran.code == 0
    assert "next          cardvault root rotate --finalize" in ran.out
    assert shell("root", "rotate").code == 0
    shell.seal()
    new = {
        "VAULT_WEB_KEY": "instance/web.key.new",
        "VAULT_ROOT_KEY": "instance/root.key.new",
    }
    assert shell("verify").code == 0
    assert "is prepared and not finalized" in shell("status").out
    assert shell("root", "rotate", "--finalize").code == 0
    assert shell("root", "rotate", "--finalize").code == 0
    assert shell("verify", **new).code == 0
    old = shell("status")
    assert (old.code, "restart the site" in old.err) == (2, True)
    assert shell("verify", VAULT_WEB_KEY="instance/web.key.new").code == 5


def test_a_sealed_root_changes_under_its_passphrase(empty: Shell) -> None:
    """The new root file is sealed too."""
    secret = empty.folder / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    given = {"VAULT_ROOT_PASSPHRASE_FILE": str(secret)}
    empty("init", **given)
    assert empty("root", "rotate", **given).code == 0
    assert '"sealed"' in (empty.folder / "instance/root.key.new").read_text()
    assert empty("root", "rotate", "--finalize", **given).code == 0


def test_a_root_by_shares_changes_to_new_shares(empty: Shell) -> None:
    """The new shares are printed once, and --finalize wants enough of them back."""
    shares = empty("init", "--shares", "2", "--threshold", "2").out.splitlines()[:2]
    empty.root = ""
    old = "\n".join(shares) + "\n\n"
    ran = empty("root", "rotate", given=old)
    assert ran.code == 0
    fresh = ran.out.splitlines()[:3]
    assert empty("root", "rotate", "--finalize", given=old + old).code == 5
    assert (
        empty("root", "rotate", "--finalize", given=old + fresh[0] + "\n\n").code == 5
    )
    given = old + "\n".join(fresh[:2]) + "\n\n"
    assert empty("root", "rotate", "--finalize", given=given).code == 0
    new = "\n".join(fresh[1:]) + "\n\n"
    assert empty("verify", given=new, VAULT_WEB_KEY="instance/web.key.new").code == 0


def test_a_root_split_into_shares_stays_as_it_is(shell: Shell) -> None:
    """split prints shares that check-shares takes; another vault's it doesn't."""
    ran = shell("root", "split", "--shares", "3", "--threshold", "2")
    shares = ran.out.splitlines()
    given = "\n".join(shares)
    assert "3 shares open root" in shell("root", "check-shares", given=given).out
    foreign = "\n".join([_foreign_share()])
    assert shell("root", "check-shares", given=foreign).code == 5
    assert shell("root", "check-shares").code == 2
    assert shell("root", "split", "--shares", "1", "--threshold", "1").code == 2
    assert shell("verify").code == 0


def test_the_passphrase_can_be_changed(shell: Shell) -> None:
    """The file is replaced whole; a short one is refused and changes nothing."""
    before = (shell.folder / shell.root).read_text()
    assert shell("root", "passphrase", given="short\n").code == 2
    assert (shell.folder / shell.root).read_text() == before
    assert shell("root", "passphrase", given=PASSPHRASE + "\n").code == 0
    assert shell("verify").code == 5
    secret = shell.folder / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    assert shell("verify", VAULT_ROOT_PASSPHRASE_FILE=str(secret)).code == 0
    assert shell("root", "passphrase", VAULT_ROOT_KEY="").code == 2


def test_the_web_key_can_be_changed(shell: Shell) -> None:
    """Every row is signed anew; the old file is refused, running it again says
    it is done."""
    shell.seal(3)
    shell("rotate")
    assert shell("web-key", "rotate").code == 0
    new = {"VAULT_WEB_KEY": "instance/web.key.new"}
    assert shell("verify", **new).code == 0
    assert shell("audit", "verify", **new).code == 0
    assert shell("verify").code == 1
    assert "already" in shell("web-key", "rotate").out


def test_a_new_web_key_hides_no_edit(shell: Shell) -> None:
    """An edited row stops it before anything is signed anew."""
    token = shell.seal()[0]
    shell.edit("UPDATE card SET expiry = 204012")
    ran = shell("web-key", "rotate")
    assert (ran.code, token in ran.err) == (1, True)
    other = shell.folder / "instance" / "web.key.new"
    other.unlink()
    shell(
        "init",
        "--no-passphrase",
        VAULT_WEB_KEY=str(other),
        VAULT_ROOT_KEY="r",
        VAULT_DATABASE_URL="sqlite:///o.db",
    )
    assert "another vault or root" in shell("web-key", "rotate").err


def test_an_anchor_finds_an_older_database(shell: Shell) -> None:
    """What audit anchor printed is held against the trail later."""
    shell.seal()
    with (
        closing(sqlite3.connect("instance/vault.db")) as now,
        closing(sqlite3.connect("older.db")) as older,
    ):
        now.backup(older)
    shell.seal()
    (shell.folder / "anchor").write_text(shell("audit", "anchor").out)
    verify = ("audit", "verify", "--anchor", "anchor")
    assert shell(*verify).code == 0
    shell.edit("UPDATE audit_entry SET mac = x'00' WHERE seq = 2")
    assert "audit entry 2 " in shell(*verify).out
    ran = shell(*verify, VAULT_DATABASE_URL="sqlite:///older.db")
    assert (ran.code, "an older database" in ran.out) == (1, True)


@pytest.mark.parametrize(
    "kept", ["", "[]", "{}", '{"entries": 1, "mac": "x", "vault": "y"}']
)
def test_what_is_no_anchor_is_refused(shell: Shell, kept: str) -> None:
    """Exit 2 names the file."""
    (shell.folder / "anchor").write_text(kept)
    ran = shell("audit", "verify", "--anchor", "anchor")
    assert (ran.code, "anchor is" in ran.err) == (2, True)


def test_another_trail_at_the_anchored_place_is_found(shell: Shell) -> None:
    """The same length, but not the same entries."""
    anchor = json.loads(shell("audit", "anchor").out)
    (shell.folder / "anchor").write_text(json.dumps({**anchor, "mac": "00"}))
    ran = shell("audit", "verify", "--anchor", "anchor")
    assert (ran.code, "another one than was anchored" in ran.out) == (1, True)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE audit_entry SET actor = 'x' WHERE seq = 2", "audit entry 2"),
        ("UPDATE audit_entry SET detail = '{}' WHERE seq = 3", "audit entry 3"),
        ("DELETE FROM audit_entry WHERE seq = 1", "audit entry 1"),
        ("DELETE FROM audit_entry WHERE seq = 3", "audit entry 3"),
        (
            "DELETE FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)",
            "audit entry",
        ),
        ("UPDATE audit_entry SET seq = 99 WHERE seq = 2", "audit entry 2"),
        ("UPDATE audit_head SET seq = 2", "audit entry"),
        ("DELETE FROM audit_head", "audit head"),
        ("UPDATE audit_head SET sealed_chain_key = x'00'", "audit head"),
    ],
)
def test_every_edit_of_the_trail_is_found(
    shell: Shell, statement: str, place: str
) -> None:
    """Edited, cut at either end or inside, moved: the first bad place is named."""
    shell.seal(2)
    shell.edit(statement)
    ran = shell("audit", "verify")
    assert ran.code == 1
    assert ran.out.startswith(place)
    assert place in shell("verify").out


def test_the_trail_is_listed_a_line_an_entry(shell: Shell) -> None:
    """Number, time, who, from where, what, how it ended; its viewing is noted."""
    token = shell.seal()[0]
    lines = shell("audit", "list").out.splitlines()
    assert re.match(r"1\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t", lines[0])
    assert "audit.viewed" in lines[-1]
    of_card = shell("audit", "list", "--token", token).out.splitlines()
    assert [line.split("\t")[4] for line in of_card] == [
        "card.registered",
        "audit.viewed",
    ]


def test_doctor_says_what_weakens_this_machine(shell: Shell) -> None:
    """The root key beside the web key, a loose database, a file left over."""
    (shell.folder / "instance/vault.db").chmod(0o644)
    (shell.folder / "instance/web.key.new").write_text("")
    ran = shell("doctor")
    assert ran.code == 1
    for words in ("lies on this machine", "chmod 600", "waits to be put in place"):
        assert words in ran.out


def test_usage_errors_point_at_the_help(shell: Shell) -> None:
    """Exit 2, one line of what and one of what to do."""
    ran = shell("rotat")
    assert ran.code == 2
    assert ran.err.endswith("cardvault: hint: cardvault --help\n")
    assert shell("rotate", "--batch", "0").code == 2
    assert shell("rotate", "--help").code == 0


def test_a_database_that_does_not_answer_is_exit_3(shell: Shell) -> None:
    """No trace: what is wrong and what to check."""
    ran = shell("status", VAULT_DATABASE_URL="postgresql+psycopg://127.0.0.1:1/none")
    assert ran.code == 3
    assert "does not answer" in ran.err
    assert "Traceback" not in ran.err


def test_a_database_without_its_tables_says_migrate(shell: Shell) -> None:
    """Another path: the schema is missing, and the next command is named."""
    ran = shell("status", VAULT_DATABASE_URL="sqlite:///instance/other.db")
    assert (ran.code, "flask --app wsgi migrate" in ran.err) == (2, True)


def test_interrupting_a_prompt_is_exit_3(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C anywhere ends without a trace."""

    def interrupt(*_: object, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr("vault.commands.place.read_root_key", interrupt)
    assert shell("verify").code == 3
