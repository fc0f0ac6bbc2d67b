"""What PostgreSQL's files keep of what was deleted or written anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from tests.places.postgres_cluster import Cluster
from tests.places.site import Place
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect
from vault.store.schema import AUDIT_HEAD, DATA_KEY, VAULT

pytestmark = pytest.mark.postgres

TARO = Actor("taro", "192.0.2.1")


@dataclass(frozen=True)
class Files:
    """A place on PostgreSQL and its server's files."""

    place: Place
    server: Cluster
    vault: Vault

    def __post_init__(self) -> None:
        """Seal three cards that are past retention, each with a head of its own."""
        pan = Pan.parse("4810000000020000")
        for _ in range(3):
            with self.vault.engine.begin() as db:
                self.vault.tokenize(db, pan, Expiry(2020, 1), TARO)

    def secrets(self) -> dict[str, set[bytes]]:
        """What the small tables hold now that may open something, by table."""
        with self.vault.engine.connect() as db:
            keys = db.execute(select(DATA_KEY.c.wrapped)).scalars().all()
            head = db.execute(select(AUDIT_HEAD.c.sealed_chain_key)).scalars().all()
            genesis = db.execute(select(VAULT.c.sealed_genesis)).scalars().all()
        return {
            "data_key": {key[-400:] for key in keys if key},
            "audit_head": set(head),
            "vault": set(genesis),
        }

    def kept(self, secrets: dict[str, set[bytes]]) -> set[str]:
        """The tables whose files hold any of them."""
        return {name for name, some in secrets.items() if self._held(name, some)}

    def _held(self, table: str, some: set[bytes]) -> bool:
        ((path,),) = self.say(f"SELECT pg_relation_filepath('{table}')")
        self.say("CHECKPOINT")
        held = (self.server.data / str(path)).read_bytes()
        return any(secret in held for secret in some)

    def say(self, statement: str) -> list[tuple[object, ...]]:
        """Execute a statement as the owner."""
        name = make_url(self.place.more["VAULT_DATABASE_URL"]).database
        return self.server.say(statement, database=str(name))


@pytest.fixture
def files(
    tmp_path: Path, server: Cluster, databases: tuple[str, str]
) -> Iterator[Files]:
    """A vault on PostgreSQL whose old heads and wrappings are in its files."""
    place = Place(tmp_path, more={"VAULT_DATABASE_URL": databases[1]})
    assert place.ops("init", "--no-passphrase").returncode == 0
    vault = Vault(
        WebKey.read(tmp_path / "web.key"), connect(databases[1]), system_clock
    )
    yield Files(place, server, vault)
    vault.engine.dispose()


def test_a_destroyed_key_and_old_heads_leave_the_files(files: Files) -> None:
    """After a rotation neither the wrapped key nor an older head of the trail is in
    their tables' files, and the card table was vacuumed (PAN-04)."""
    before = files.secrets()
    del before["vault"]
    assert files.kept(before) == {"data_key", "audit_head"}
    ran = files.place.ops("rotate")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert files.kept(before) == set()
    query = "SELECT last_vacuum FROM pg_stat_user_tables WHERE relname = 'card'"
    assert files.say(query) != [(None,)]


def test_what_an_old_root_and_web_key_open_leaves_the_files(files: Files) -> None:
    """After --finalize and after a new web key; each when typed again too."""
    before, folder = files.secrets(), files.place.folder
    for words in (("root", "rotate"), ("root", "rotate", "--finalize")):
        assert files.place.ops(*words).returncode == 0
    assert files.kept(before) == set()
    for name in ("web.key", "root.key"):
        (folder / f"{name}.new").replace(folder / name)
    before = {"audit_head": files.secrets()["audit_head"]}
    assert files.place.ops("web-key", "rotate").returncode == 0
    assert files.kept(before) == set()


@pytest.fixture
def stranger(files: Files) -> str:
    """The vault's URL for a role that may write its tables and owns none."""
    for statement in (
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk",
    ):
        files.say(statement)
    url = make_url(files.place.more["VAULT_DATABASE_URL"]).set(username="clerk")
    return url.render_as_string(hide_password=False)


def test_a_role_that_may_not_is_a_warning(files: Files, stranger: str) -> None:
    """The purge is done, exit 0; the warning says what the owner types."""
    words = ("purge", "--expired-for", "90", "--json")
    ran = files.place.run("cardvault", *words, VAULT_DATABASE_URL=stranger)
    assert (ran.returncode, '"cards": 3' in ran.stdout) == (0, True)
    assert ran.stderr.count("what was deleted is in PostgreSQL's files still") == 1
    hint = ran.stderr.partition("as the tables' owner: ")[2].strip()
    for statement in hint.split("; "):
        files.say(statement)
    files.say("DROP OWNED BY clerk")


def test_a_table_that_is_in_use_is_a_warning(files: Files) -> None:
    """Somebody's open transaction is waited for no longer than a page waits."""
    with files.vault.engine.connect() as db:
        db.execute(select(VAULT)).all()
        ran = files.place.run("cardvault", "purge", "--expired-for", "90")
    assert (ran.returncode, ran.stdout) == (0, "purged 3 cards\n")
    assert "as the tables' owner: VACUUM FULL vault\n" in ran.stderr
