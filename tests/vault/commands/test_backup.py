"""cardvault backup and restore."""

from __future__ import annotations

import gc
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .shell import Shell

# A place beside the first: the same keys, nothing else.
ELSEWHERE = {
    "VAULT_DATABASE_URL": "sqlite:///elsewhere/vault.db",
    "DATABASE_URL": "sqlite:///elsewhere/site.db",
}
POSTGRES = {
    "VAULT_DATABASE_URL": "postgresql+psycopg://ops:hidden@db:5432/vault",
    "DATABASE_URL": "postgresql+psycopg://web:hidden@db/site",
}


@pytest.fixture
def site(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder with a vault of two cards and a site's database."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    shell.seal(2)
    with closing(sqlite3.connect("instance/site.db")) as db, db:
        db.execute("CREATE TABLE customer (token TEXT)")
        db.execute("INSERT INTO customer VALUES ('one')")
    return shell


@pytest.fixture
def kept(site: Shell) -> Shell:
    """The same with a backup in the file ``kept``."""
    assert site("backup", "kept").code == 0
    return site


def test_a_backup_says_what_it_holds_and_what_comes_next(site: Shell) -> None:
    """Cards, rows, and that the keys are not in it."""
    ran = site("backup", "kept", VAULT_ROOT_KEY="")
    assert ran.code == 0
    assert "cards   2 " in ran.out
    assert "rows    customer 1" in ran.out
    assert "keep the web key and the root key elsewhere" in ran.out
    assert ran.out.endswith("next    cardvault restore kept --drill\n")
    assert "backup.made" in site("audit", "list").out


def test_a_backup_as_json_is_its_manifest(site: Shell) -> None:
    """One object; its anchor is the one audit verify takes."""
    told = json.loads(site("backup", "kept", "--json").out)
    assert (told["cards"], told["site"], told["generation"]) == (2, {"customer": 1}, 1)
    assert told["bytes"] == Path("kept").stat().st_size
    Path("anchor").write_text(json.dumps(told["anchor"]))
    assert site("audit", "verify", "--anchor", "anchor").code == 0


def test_a_backup_is_never_written_over(kept: Shell) -> None:
    """Exit 2 names the file, which stays as it was."""
    before = Path("kept").read_bytes()
    ran = kept("backup", "kept")
    assert (ran.code, "kept is in the way" in ran.err) == (2, True)
    assert Path("kept").read_bytes() == before


@pytest.mark.parametrize("name", ["DATABASE_URL", "VAULT_DATABASE_URL"])
def test_a_database_that_is_not_there_is_named(site: Shell, name: str) -> None:
    """An ops shell without the site's settings backs up nothing, and makes no
    empty database."""
    ran = site("backup", "kept", **{name: "sqlite:///wrong.db"})
    assert (ran.code, "wrong.db is not there" in ran.err) == (2, True)
    assert not Path("wrong.db").exists()


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["backup", "new"], "pg_dump --format=custom --file=site.pgdump "),
        (["restore", "kept"], "pg_restore --exit-on-error --single-transaction "),
    ],
)
def test_on_postgresql_its_own_commands_are_named(
    kept: Shell, words: list[str], typed: str
) -> None:
    """Exit 2 with what to type, for both databases, without a password."""
    ran = kept(*words, **POSTGRES)
    assert ran.code == 2
    assert f"hint: {typed}" in ran.err
    assert "'postgresql://ops@db:5432/vault'" in ran.err
    assert "'postgresql://web@db/site'" in ran.err
    assert "hidden" not in ran.err


def test_one_database_on_postgresql_is_named_alone(kept: Shell) -> None:
    """The SQLite file beside it is nothing for pg_dump."""
    ran = kept("backup", "new", DATABASE_URL=POSTGRES["DATABASE_URL"])
    assert (ran.code, "vault.pgdump" in ran.err) == (2, False)
    assert "site.pgdump" in ran.err


def test_a_restored_place_is_whole(kept: Shell) -> None:
    """The disk died: the keys, the backup, and then what restore says to type."""
    kept.seal()
    ran = kept("restore", "kept", VAULT_ROOT_KEY="", **ELSEWHERE)
    assert ran.code == 0
    steps = ran.out.partition("next    ")[2].splitlines()
    assert [step.strip() for step in steps] == [
        "flask --app wsgi migrate --check",
        "cardvault verify",
        "cardvault audit verify --anchor FILE",
        "flask --app wsgi cards reconcile",
    ]
    verified = kept("verify", "--json", **ELSEWHERE)
    assert json.loads(verified.out) == {"ok": True, "cards": 2, "findings": []}


def test_restoring_as_json_prints_one_object(kept: Shell) -> None:
    """The manifest and the next steps."""
    told = json.loads(kept("restore", "kept", "--json", **ELSEWHERE).out)
    assert (told["cards"], told["next"][1]) == (2, "cardvault verify")


def test_a_place_in_use_is_not_restored_into(kept: Shell) -> None:
    """Exit 2 names the file; not a byte changes."""
    gc.collect()
    before = kept.files()
    ran = kept("restore", "kept")
    assert (ran.code, "vault.db is in the way" in ran.err) == (2, True)
    assert kept.files() == before


def test_a_damaged_backup_is_one_line_and_a_hint(kept: Shell) -> None:
    """Exit 1, and nothing is there afterwards."""
    Path("kept").write_bytes(Path("kept").read_bytes()[:-1])
    ran = kept("restore", "kept", **ELSEWHERE)
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "cardvault: error: kept: is damaged or cut short",
        "cardvault: hint: nothing was restored; take another backup",
    ]
    assert list(Path("elsewhere").iterdir()) == []


def test_without_the_web_key_nothing_is_restored(kept: Shell) -> None:
    """Exit 2 says to put it back first."""
    ran = kept("restore", "kept", VAULT_WEB_KEY="gone.key", **ELSEWHERE)
    assert (ran.code, "put the web key file back first" in ran.err) == (2, True)


def test_a_drill_opens_every_card_and_touches_nothing(kept: Shell) -> None:
    """It says how many and how long it took; the trail alone tells of it."""
    gc.collect()  # the commands before ran in this process: close their databases
    before = kept.but_the_trail()
    ran = kept("restore", "kept", "--drill")
    assert ran.code == 0
    assert ran.out.startswith("2 cards opened, every row and audit entry as written\n")
    assert "the drill took " in ran.out
    told = json.loads(kept("restore", "kept", "--drill", "--json").out)
    assert (told["ok"], told["cards"], told["findings"]) == (True, 2, [])
    assert kept.but_the_trail() == before
    used = ("root.used", "success", {"command": "restore --drill"})
    found = ("check.done", "success", {"opened": 2, "found": 0})
    assert kept.trail()[-4:] == [used, found, used, found]
    assert kept("restore", "kept", "--drill", **ELSEWHERE).code == 0
    assert not Path("elsewhere").exists()


def test_a_drill_names_each_bad_token(site: Shell) -> None:
    """Exit 1, on paper and as JSON."""
    token = site.seal()[0]
    site.edit(f"UPDATE card SET prefix = '99' WHERE token = '{token}'")
    assert site("backup", "kept").code == 0
    ran = site("restore", "kept", "--drill")
    assert (ran.code, ran.out.startswith(f"{token}  ")) == (1, True)
    assert "1 found in kept" in ran.out
    ran = site("restore", "kept", "--drill", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["findings"][0]["subject"] == token


def test_a_drill_with_a_wrong_root_is_exit_5(kept: Shell) -> None:
    """Another vault's root key; and no root key at all is exit 2."""
    other = {"VAULT_WEB_KEY": "other/web.key", "VAULT_ROOT_KEY": "other/root.key"}
    made = kept("init", "--no-passphrase", **other, **ELSEWHERE)
    assert made.code == 0
    wrong = kept("restore", "kept", "--drill", VAULT_ROOT_KEY="other/root.key")
    assert (wrong.code, "hint: nothing was restored" in wrong.err) == (5, True)
    assert kept("restore", "kept", "--drill", VAULT_ROOT_KEY="").code == 2
    foreign = kept("restore", "kept", **{**ELSEWHERE, **other})
    assert (foreign.code, "kept is of vault" in foreign.err) == (2, True)


def test_a_backup_outlives_a_rotation_and_opens_with_the_root_of_its_time(
    kept: Shell,
) -> None:
    """Data keys are in it; a new root or sealing key needs the old key files."""
    shutil.copytree("instance", "old")
    old = {"VAULT_WEB_KEY": "old/web.key", "VAULT_ROOT_KEY": "old/root.key"}
    assert kept("rotate").code == 0
    assert kept("restore", "kept", "--drill").code == 0
    assert kept("root", "rotate").code == 0
    assert kept("root", "rotate", "--finalize").code == 0
    for name in ("web.key", "root.key"):
        Path("instance", f"{name}.new").replace(Path("instance", name))
    assert kept("restore", "kept", "--drill").code == 5
    ran = kept("restore", "kept", **ELSEWHERE)
    assert (ran.code, "the web key file of that time" in ran.err) == (2, True)
    assert kept("restore", "kept", "--drill", **old).code == 0
    assert kept("web-key", "rotate").code == 0
    Path("instance/web.key.new").replace("instance/web.key")
    ran = kept("restore", "kept", "--drill")
    assert (ran.code, "another sealing key" in ran.err) == (2, True)
    assert kept("restore", "kept", **ELSEWHERE, **old).code == 0


def test_a_backup_older_than_the_anchor_is_refused(kept: Shell) -> None:
    """Exit 1 unless it is accepted; later the anchor still finds it."""
    kept.seal()
    Path("anchor").write_text(kept("audit", "anchor").out)
    for verb in (["restore", "kept"], ["restore", "kept", "--drill"]):
        ran = kept(*verb, "--anchor", "anchor", **ELSEWHERE)
        assert (ran.code, "is older than the anchor" in ran.err) == (1, True)
        assert "--accept-older" in ran.err
        assert not Path("elsewhere").exists()
    words = ("restore", "kept", "--anchor", "anchor", "--accept-older")
    assert kept(*words, **ELSEWHERE).code == 0
    ran = kept("audit", "verify", "--anchor", "anchor", **ELSEWHERE)
    assert (ran.code, "an older database" in ran.out) == (1, True)


def test_a_backup_that_holds_the_anchor_is_restored(kept: Shell) -> None:
    """An anchor from before it, or of the very backup."""
    Path("anchor").write_text(kept("audit", "anchor").out)
    ran = kept("restore", "kept", "--drill", "--anchor", "anchor")
    assert ran.code == 0
    ran = kept("restore", "kept", "--anchor", "anchor", **ELSEWHERE)
    assert ran.code == 0


def test_accepting_an_older_one_takes_an_anchor(kept: Shell) -> None:
    """Alone the option says nothing."""
    assert kept("restore", "kept", "--accept-older", **ELSEWHERE).code == 2
