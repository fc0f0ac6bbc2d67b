"""cardvault init, and where the root key comes from."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from vault import errors
from vault.ops import create

from .shell import PASSPHRASE, Shell, foreign_share


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
    assert list(empty.folder.iterdir()) == [short]


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
        (f"{shares[0]}\n{foreign_share()}", "share 2 is of another root than share 1"),
    ):
        before = empty.but_the_trail()
        ran = empty("rotate", given=given)
        assert ran.code == 5
        assert said in ran.err
        assert words[3] not in ran.err
        assert empty.but_the_trail() == before
        event, outcome, detail = empty.trail()[-1]
        assert (event, outcome, said in detail["why"]) == (
            "root.refused",
            "failure",
            True,
        )
        given_words = set(given.split()) & set(json.dumps(empty.trail()).split())
        assert given_words == set()


@pytest.mark.parametrize(
    "numbers", [("1", "1"), ("2", "3"), ("17", "2"), ("3", "1"), ("0", "0"), ("0", "2")]
)
def test_impossible_shares_are_refused(empty: Shell, numbers: tuple[str, str]) -> None:
    """SLIP-39 goes from 2 of 2 to 16 of 16; nothing is made otherwise."""
    shares, threshold = numbers
    ran = empty("init", "--shares", shares, "--threshold", threshold)
    assert ran.code == 2
    assert not list(empty.folder.iterdir())


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
    """Every verb that needs it: exit 5, and nothing changes but the trail, which has
    an entry of each that is no dry run."""
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
        before = shell.but_the_trail()
        for words in (
            ("rotate",),
            ("rotate", "--dry-run"),
            ("verify",),
            ("audit", "verify"),
            ("root", "rotate"),
            ("root", "split", "--shares", "3", "--threshold", "2"),
            ("web-key", "rotate"),
            ("duplicates",),
        ):
            length = len(shell.trail())
            ran = shell(*words, VAULT_ROOT_KEY=str(other / "root.key"))
            assert ran.code == 5, words
            assert "nothing was written" in ran.err
            new = [
                (event, told["command"]) for event, _, told in shell.trail()[length:]
            ]
            refused = [] if "--dry-run" in words else [("root.refused", words[0])]
            assert new == refused, words
        assert shell.but_the_trail() == before
        assert json.loads(key)["seed"] not in json.dumps(shell.trail())


def test_loose_key_files_are_refused_by_name(shell: Shell) -> None:
    """Exit 2 and the chmod to type."""
    for name in ("web.key", "root.key"):
        path = shell.folder / "instance" / name
        path.chmod(0o644)
        ran = shell("verify")
        assert (ran.code, f"chmod 600 instance/{name}" in ran.err) == (2, True)
        path.chmod(0o600)


REFUSED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "no terminal": ((), "", "VAULT_ROOT_PASSPHRASE_FILE"),
    "half a split": (("--shares", "3"), "", "--threshold"),
    "threshold": (("--shares", "2", "--threshold", "3"), "", "threshold"),
    "root key": (("--no-passphrase",), "usb/root.key", "root.key is in the way"),
    "web key": (("--no-passphrase",), "etc/cards/web.key", "web.key is in the way"),
    "vault": (("--no-passphrase",), "data/cards/vault.db", "vault.db is in the way"),
    "old log": (("--no-passphrase",), "data/cards/vault.db-wal", "-wal is in the way"),
    "no medium": (("--no-passphrase",), "-usb", "usb is not there"),
    "no folder": (("--no-passphrase",), "etc", "etc"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_init_that_is_refused_leaves_nothing(empty: Shell, case: str) -> None:
    """Exit 2 says why; no key, no database, no folder, no part is there that was not,
    each in a folder of its own."""
    words, laid, said = REFUSED[case]
    if laid != "-usb":
        (empty.folder / "usb").mkdir()
    if not laid.startswith("-") and laid:
        (empty.folder / laid).parent.mkdir(parents=True, exist_ok=True)
        (empty.folder / laid).write_text("here first")
    before = tree(empty.folder)
    ran = empty("init", *words, **APART)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert tree(empty.folder) == before


APART = {
    "VAULT_ROOT_KEY": "usb/root.key",
    "VAULT_WEB_KEY": "etc/cards/web.key",
    "VAULT_DATABASE_URL": "sqlite:///data/cards/vault.db",
}


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below one, with what the files hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_the_folders_of_web_key_and_database_are_made(empty: Shell) -> None:
    """The root key's never is, unless it is one of theirs, as by default."""
    (empty.folder / "usb").mkdir()
    assert empty("init", "--no-passphrase", **APART).code == 0
    assert [p.name for p in (empty.folder / "usb").iterdir()] == ["root.key"]
    for folder in ("etc", "etc/cards", "data", "data/cards"):
        assert stat.S_IMODE((empty.folder / folder).stat().st_mode) == 0o700
    empty.root = ""
    assert empty("init", "--no-passphrase").code == 0
    assert names(empty.folder / "instance") == {"root.key", "web.key", "vault.db"}


@pytest.mark.parametrize("at", range(1, 14))
def test_an_init_whose_disk_fails_leaves_nothing(
    empty: Shell, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Whichever sync it is that fails, of a file or of a folder: exit 2 names a
    file, nothing is left, and the same command makes the vault."""
    (empty.folder / "usb").mkdir()
    real, left = os.fsync, at

    def fsync(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    before = tree(empty.folder)
    with monkeypatch.context() as here:
        here.setattr(os, "fsync", fsync)
        ran = empty("init", "--no-passphrase", **APART)
    if left > 0:
        assert ran.code == 0
        assert at > 8
        return
    assert ran.code == 2
    assert "input/output error" in ran.err
    assert tree(empty.folder) == before
    assert empty("init", "--no-passphrase", **APART).code == 0


def test_shares_of_a_vault_that_came_to_nothing_are_named_so(
    empty: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were shown before the disk failed: whoever holds them is told."""

    def found(*_: object) -> None:
        raise errors.FileRefused("the disk failed")

    with monkeypatch.context() as here:
        here.setattr(create, "create_vault", found)
        ran = empty("init", "--shares", "3", "--threshold", "2")
    assert ran.code == 2
    assert len(ran.out.splitlines()) == 3
    said = "no vault was made; shares shown above open nothing"
    assert said in ran.err
    assert not list(empty.folder.iterdir())
    (empty.folder / "instance/web.key.part").mkdir(parents=True)
    ran = empty("init", "--shares", "3", "--threshold", "2")
    assert (ran.code, ran.out, said in ran.err) == (2, "", False)


def names(folder: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in folder.iterdir()}


def test_a_root_key_on_the_databases_disk_is_said(empty: Shell) -> None:
    """The medium may not be mounted; nothing is said of the default, for trying out."""
    (empty.folder / "usb").mkdir()
    ran = empty("init", "--no-passphrase", VAULT_ROOT_KEY="usb/root.key")
    assert (ran.code, "is its medium mounted?" in ran.err) == (0, True)
    shutil.rmtree("instance")
    ran = empty("init", "--no-passphrase", VAULT_ROOT_KEY="")
    assert (ran.code, ran.err) == (0, "")
