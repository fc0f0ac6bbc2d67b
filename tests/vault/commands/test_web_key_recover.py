"""cardvault web-key recover: the root signs what it can prove, and nothing else."""

from __future__ import annotations

import os
import sqlite3
import tarfile
from pathlib import Path

import pytest

from vault import Actor, Expiry, Pan
from vault.ops import RootKey
from vault.ops.purge import Purge
from vault.ops.root_shares import split
from vault.store.files import part_of

from .shell import Ran, Shell

WEB_KEY, LOST = Path("instance/web.key"), Path("lost.key")
BY = Actor("t", "x")
# Of no use to anybody: what somebody without the web key can put into a MAC's column.
MAC = "zeroblob(32)"


@pytest.fixture
def full(shell: Shell) -> Shell:
    """A vault with a rotation behind it, cards of both sides' keys, one that came by a
    file, one whose expiry was changed, and one that was purged."""
    tokens = shell.seal(3)
    vault, pan = shell.vault(), Pan.parse("4810000000020000")
    with vault.engine.begin() as db:
        vault.tokenize_many(db, [(pan, Expiry(2031, 2))], BY, "customers.csv")
        vault.tokenize(db, pan, Expiry(2020, 1), BY)
        vault.set_expiry(db, tokens[0], Expiry(2033, 3), BY)
    for _ in Purge(vault, 90).run(BY):
        pass
    vault.engine.dispose()
    assert shell("rotate").code == 0
    shell.seal()
    return shell


def lose(shell: Shell) -> None:
    """Move the web key file away, as a dead disk does."""
    shell.files()
    WEB_KEY.replace(LOST)


def recover(shell: Shell, *words: str, **more: str) -> Ran:
    """Lose the web key and make it anew."""
    lose(shell)
    return shell("web-key", "recover", *words, **more)


def test_everything_is_as_before_under_a_new_key(full: Shell) -> None:
    """Every row verifies, the site seals on, the old file is refused, and the trail
    says that the past can't be vouched for."""
    ran = recover(full)
    assert (ran.code, ran.err) == (0, "")
    assert "5 cards opened and held against it" in ran.out
    assert "unproven the expiry of 1 card that came by a file" in ran.out
    assert WEB_KEY.stat().st_mode & 0o777 == 0o600
    assert not part_of(WEB_KEY).exists()
    assert full("verify").code == 0
    assert full("audit", "verify").code == 0
    full.seal()
    assert full("rotate").code == 0
    assert full("verify").code == 0
    assert full("status", VAULT_WEB_KEY=str(LOST)).code == 1
    events = [event for event, _, _ in full.trail()]
    assert events.count("web_key.recovered") == 1
    again = full("web-key", "recover")
    assert (again.code, "nothing to do" in again.out) == (0, True)


# What somebody without the web key changed in a row of a web process's, and what is
# said of it.
FORGED = {
    "expiry": (
        "UPDATE card SET expiry = 209912 WHERE id = 1",
        "the trail says 03/2033",
    ),
    "last4": ("UPDATE card SET last4 = '9999' WHERE id = 2", "another number"),
    "prefix": ("UPDATE card SET prefix = '55' WHERE id = 2", "another number"),
    "length": ("UPDATE card SET length = 15 WHERE id = 2", "another number"),
    "kind": ("UPDATE card SET brand = x'00ff' WHERE id = 2", "as it was written"),
    "rev": ("UPDATE card SET rev = rev + 1 WHERE id = 2", "the trail at rev"),
    "envelope": (
        (
            "UPDATE card SET envelope = (SELECT envelope FROM card WHERE id = 3)"
            " WHERE id = 2"
        ),
        "",
    ),
    "token": (
        (
            "UPDATE card SET token = (SELECT subject FROM audit_entry WHERE"
            " subject LIKE 'card_%' AND subject NOT IN (SELECT token FROM card))"
            " WHERE id = 2"
        ),
        "",
    ),
    "deleted": ("DELETE FROM card WHERE id = 2", "its row is missing"),
    "key's state": (
        (
            "UPDATE data_key SET state = 'retired', retired_at = 1"
            " WHERE state = 'live' AND ops_mac IS NULL"
        ),
        "is retired, the trail says live",
    ),
    "key's generation": (
        "UPDATE data_key SET generation = 9 WHERE state = 'live' AND ops_mac IS NULL",
        "data key",
    ),
    "mark": (f"INSERT INTO purged VALUES ('card_x', 1, {MAC}, NULL)", "purge mark"),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_row_that_cannot_be_proven_stays_unsigned(full: Shell, how: str) -> None:
    """It is named, exit 1, and verify names it afterwards: no edit is hidden by the
    new key."""
    statement, said = FORGED[how]
    full.edit(statement)
    ran = recover(full)
    assert ran.code == 1
    assert said in ran.out
    named = ran.out.splitlines()[0].split("  ")[0]
    after = full("verify")
    assert after.code == 1
    assert named in after.out


def test_a_row_that_was_put_right_is_proven_by_the_next(full: Shell) -> None:
    """With the key file moved away, everything is proven once more."""
    full.edit("UPDATE card SET rev = rev + 1 WHERE id = 2")
    assert recover(full).code == 1
    full.edit("UPDATE card SET rev = rev - 1 WHERE id = 2")
    assert full("verify").code == 1
    assert recover(full).code == 0
    assert full("verify").code == 0


def test_a_copy_of_the_lost_key_is_not_taken_for_a_new_one(full: Shell) -> None:
    """Laid where a killed run leaves its file, by somebody who kept one: after a first
    recovery, too, whose key was lost again."""
    for _ in range(2):
        lose(full)
        lost = LOST.read_bytes()
        part_of(WEB_KEY).write_bytes(lost)
        part_of(WEB_KEY).chmod(0o600)
        assert full("web-key", "recover").code == 0
        assert WEB_KEY.read_bytes() != lost
        assert full("verify").code == 0
        assert full("status", VAULT_WEB_KEY=str(LOST)).code == 1


def test_a_backup_under_the_lost_key_is_unpacked_and_recovered(full: Shell) -> None:
    """Restore refuses it; its two files are whole databases all the same."""
    assert full("verify").code == 0
    sqlite3.connect("instance/site.db").close()
    Path("instance/site.db").touch()
    assert full("backup", "one.backup").code == 0
    lose(full)
    with tarfile.open("one.backup") as packed:
        packed.extractall("again", filter="data")
    place = {
        "VAULT_DATABASE_URL": "sqlite:///again/vault.db",
        "VAULT_WEB_KEY": "again/web.key",
    }
    assert full("web-key", "recover", **place).code == 0
    assert full("verify", **place).code == 0


# What only the root makes: it bears the root's MAC, which nobody else can make.
ROOTS = {
    "generation": "UPDATE vault SET generation = 1",
    "genesis": "UPDATE vault SET sealed_genesis = zeroblob(60)",
    "another root": "UPDATE vault SET next_root_id = 'theirs'",
    "a rotation": "UPDATE rotation SET state = 'running', finished_at = NULL",
    "a key of the ops side": "UPDATE data_key SET wrapped = zeroblob(60)"
    " WHERE ops_mac IS NOT NULL AND state != 'destroyed'",
    "a destroyed key": "UPDATE data_key SET ops_mac = NULL WHERE state = 'destroyed'",
    "a quarantined card": "INSERT INTO quarantine SELECT id, token, 1, 'x', 1,"
    f" {MAC}, {MAC} FROM card WHERE id = 2",
    "a trigger": "CREATE TRIGGER t AFTER UPDATE ON card BEGIN SELECT 1; END",
}


@pytest.mark.parametrize("what", ROOTS)
def test_what_only_the_root_makes_ends_it(full: Shell, what: str) -> None:
    """Exit 5, and no byte of a table or a file is changed."""
    full.edit(ROOTS[what])
    lose(full)
    before = full.but_the_trail()
    trail = full.trail()
    ran = full("web-key", "recover")
    assert (ran.code, "not made by this vault's root" in ran.err) == (5, True), ran
    assert not WEB_KEY.exists()
    assert not part_of(WEB_KEY).exists()
    assert full.but_the_trail() == before
    assert full.trail() == trail


NEWEST = "(SELECT max(seq) FROM audit_entry)"
BROKEN = {
    "edited": "UPDATE audit_entry SET detail = '{}' WHERE seq = 2",
    "missing": "DELETE FROM audit_entry WHERE seq = 3",
    "shortened": f"DELETE FROM audit_entry WHERE seq = {NEWEST}",
    "added": "INSERT INTO audit_entry SELECT seq + 1, at, actor, event, outcome, origin,"
    f" subject, detail, mac FROM audit_entry WHERE seq = {NEWEST}",
    "headless": "DELETE FROM audit_head",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_trail_ends_it(full: Shell, how: str) -> None:
    """No row can be held against it, so nothing is signed (exit 1)."""
    full.edit(BROKEN[how])
    lose(full)
    before = full.but_the_trail()
    ran = full("web-key", "recover")
    assert (ran.code, "audit" in ran.err) == (1, True)
    assert full.but_the_trail() == before
    assert not WEB_KEY.exists()


def test_an_anchor_finds_a_trail_cut_with_its_head(full: Shell) -> None:
    """Without the sealing key nothing else can: it is said that it was not proven."""
    Path("anchor").write_text(full("audit", "anchor").out)
    full.edit(f"DELETE FROM audit_entry WHERE seq = {NEWEST}")
    full.edit("UPDATE audit_head SET seq = seq - 1")
    ran = recover(full, "--anchor", "anchor")
    assert (ran.code, "was anchored and is missing" in ran.err) == (1, True)
    assert not WEB_KEY.exists()
    ran = full("web-key", "recover")
    assert "no --anchor" in ran.out


def test_an_anchor_that_holds_is_not_asked_for_again(full: Shell) -> None:
    """The end of the trail is proven with it."""
    Path("anchor").write_text(full("audit", "anchor").out)
    ran = recover(full, "--anchor", "anchor")
    assert (ran.code, "--anchor" in ran.out) == (0, False)


def test_a_wrong_root_writes_nothing(full: Shell) -> None:
    """Another vault's root, and shares of one."""
    full(
        "init",
        "--no-passphrase",
        VAULT_ROOT_KEY="r",
        VAULT_WEB_KEY="w",
        VAULT_DATABASE_URL="sqlite:///o.db",
    )
    lose(full)
    before = full.but_the_trail()
    assert full("web-key", "recover", VAULT_ROOT_KEY="r").code == 5
    foreign = split(RootKey("any", b"f" * 32), 2, 2)
    given = "\n".join(foreign) + "\n\n"
    assert full("web-key", "recover", given=given, VAULT_ROOT_KEY="").code == 5
    assert full.but_the_trail() == before
    assert not part_of(WEB_KEY).exists()
    assert not WEB_KEY.exists()


def test_shares_are_enough(full: Shell) -> None:
    """The vault's id is in its row, which the root signed."""
    shares = split(full.open_vault().root_key, 3, 2)[:2]
    lose(full)
    given = "\n".join(shares) + "\n\n"
    assert full("web-key", "recover", given=given, VAULT_ROOT_KEY="").code == 0
    assert full("verify").code == 0


def test_a_file_in_its_place_is_not_written_over(full: Shell) -> None:
    """Another vault's, or an older one of this vault: it is moved away first."""
    old = WEB_KEY.read_bytes()
    assert full("web-key", "rotate").code == 0
    new = Path("instance/web.key.new")
    ran = full("web-key", "recover")
    assert (ran.code, "not under it" in ran.err) == (2, True)
    assert WEB_KEY.read_bytes() == old
    WEB_KEY.unlink()
    ran = full("web-key", "recover")
    assert (ran.code, f"mv {new} {WEB_KEY}" in ran.err) == (2, True)
    new.unlink()
    assert full("web-key", "recover").code == 0
    assert full("verify").code == 0


def test_a_root_that_is_being_prepared_goes_on(full: Shell) -> None:
    """Both key files with the sealing key are lost; the new root is made to the end."""
    assert full("root", "rotate").code == 0
    Path("instance/web.key.new").unlink()
    assert recover(full).code == 0
    assert full("root", "rotate").code == 0
    assert full("root", "rotate", "--finalize").code == 0
    new = {
        "VAULT_WEB_KEY": "instance/web.key.new",
        "VAULT_ROOT_KEY": "instance/root.key.new",
    }
    assert full("verify", **new).code == 0


def test_without_a_vault_it_says_so(empty: Shell) -> None:
    """No file is made, which the next init would find in its way."""
    Path("instance").mkdir()
    ran = empty("web-key", "recover")
    assert (ran.code, "instance/vault.db is not there" in ran.err) == (2, True)
    assert not list(Path("instance").iterdir())
    assert empty("init", "--no-passphrase").code == 0


@pytest.mark.rights("root")
def test_new_key_files_belong_to_who_has_the_old_ones(full: Shell) -> None:
    """Moved into place they are read by the same account, in the same mode."""
    nobody = 65534
    for name in ("web.key", "root.key"):
        path = Path("instance") / name
        path.chmod(0o400)
        os.chown(path, nobody, nobody)
    assert full("web-key", "rotate").code == 0
    Path("instance/web.key.new").replace(WEB_KEY)
    assert full("root", "rotate").code == 0
    for name in ("web.key", "web.key.new", "root.key.new"):
        found = (Path("instance") / name).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (nobody, 0o400), name
    assert full("root", "rotate", "--abandon").code == 0
    os.chown("instance", nobody, nobody)
    assert recover(full).code == 0
    assert WEB_KEY.stat().st_uid == nobody


@pytest.mark.parametrize("words", [("web-key", "rotate"), ("root", "rotate")])
def test_the_step_that_stops_the_site_says_so(
    full: Shell, words: tuple[str, ...]
) -> None:
    """503 from here, on each host."""
    ran = full(*words)
    if words[0] == "root":
        assert "503" not in ran.out
        ran = full("root", "rotate", "--finalize")
    assert "answers 503 from here, until on each host" in ran.out
