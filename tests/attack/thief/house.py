"""The vault that is robbed: founded, used and kept by the real commands."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from vault import Actor, Expiry, Pan, Token, Vault, WebKey
from vault.clock import system_clock
from vault.commands import main
from vault.ops import OpenVault, RootKey
from vault.ops.rotation.start import take_up
from vault.store import postgresql, sqlite
from vault.store.database import connect
from vault.store.sqlite import checkpoint

VISA, AMEX, MASTER = "4810000000020000", "378282246310005", "5555555555554444"
NUMBERS = (VISA, AMEX, MASTER)
KEPT = Expiry(2035, 1)
LONG_GONE = Expiry(2020, 1)
OPERATOR = Actor("taro", "192.0.2.1")
OPS = Actor("ops", "command")
ROTATIONS_KEY, NEXT_KEY = 3, 8
"""The data key that rotation 1 sealed under, and the number the next key gets."""

ROOT = "safe/root.key"
PASSPHRASE = "correct horse battery"
"""In ``safe/word``, for the files that are sealed during a day."""
SQLITE = "sqlite:///instance/vault.db"


@dataclass
class Ran:
    """What a command came to."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it printed."""
        return self.out + self.err


@dataclass
class House:
    """A folder: ``instance/`` is the web host's, ``safe/`` is where ops keep the root
    key, anchors and backups, ``loot/`` is what a thief copied earlier."""

    folder: Path
    url: str = SQLITE

    @property
    def web_path(self) -> Path:
        """The web key file."""
        return self.folder / "instance/web.key"

    @property
    def root_path(self) -> Path:
        """The root key file, on a medium of its own."""
        return self.folder / ROOT

    def run(self, *words: str, given: str = "", **environ: str) -> Ran:
        """Type ``cardvault WORDS`` with the root key at hand."""
        out, err = io.StringIO(), io.StringIO()
        engines: list[Engine] = []

        def made(*words: Any, **options: Any) -> Engine:
            engines.append(create_engine(*words, **options))
            return engines[-1]

        with (
            pytest.MonkeyPatch.context() as here,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            for name in [name for name in os.environ if name.startswith("VAULT_")]:
                here.delenv(name)
            given_names = {"VAULT_ROOT_KEY": ROOT, "VAULT_DATABASE_URL": self.url}
            given_names |= {"DATABASE_URL": "sqlite:///instance/site.db", **environ}
            for name, value in given_names.items():
                here.setenv(name, value)
            here.chdir(self.folder)
            # A process lets go of its database when it ends; here it goes on.
            here.setattr(sqlite, "create_engine", made)
            here.setattr(postgresql, "create_engine", made)
            here.setattr(resource, "setrlimit", lambda *_: None)
            here.setattr(sys, "argv", ["cardvault", *words])
            here.setattr(sys, "stdin", io.StringIO(given))
            with pytest.raises(SystemExit) as ended:
                main()
        for engine in engines:
            engine.dispose()
        code = ended.value.code
        return Ran(
            words, code if isinstance(code, int) else 0, out.getvalue(), err.getvalue()
        )

    def must(self, *words: str, given: str = "", **environ: str) -> Ran:
        """Type it and see that nothing is wrong."""
        ran = self.run(*words, given=given, **environ)
        assert ran.code == 0, (words, ran.said)
        return ran

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """The vault's database, let go of afterwards."""
        engine = connect(
            self.url.replace("sqlite:///instance", f"sqlite:///{self.folder}/instance")
        )
        try:
            yield engine
        finally:
            checkpoint(engine)
            engine.dispose()

    @contextmanager
    def web(self) -> Iterator[Vault]:
        """A web process, as one that has just started."""
        with self.engine() as engine:
            yield Vault(WebKey.read(self.web_path), engine, system_clock)

    @contextmanager
    def ops(self) -> Iterator[OpenVault]:
        """The ops role, for what no command stops in the middle of."""
        text = self.root_path.read_text()
        root = RootKey.parse(text, self.root_path, None)
        with self.engine() as engine:
            yield OpenVault(WebKey.read(self.web_path), root, engine, system_clock)

    def seal(self, digits: str, expiry: Expiry = KEPT) -> Token:
        """Register a card as the site does."""
        with self.web() as vault, vault.engine.begin() as db:
            return vault.tokenize(db, Pan.parse(digits), expiry, OPERATOR)

    def stop_midway(self) -> None:
        """Begin a rotation and stop it after its first card, as Ctrl-C does."""
        with self.ops() as vault:
            rotation = take_up(vault, OPS, "yearly")
            steps = rotation.reencrypt(1)
            next(steps)
            steps.close()
            rotation.release()

    @property
    def is_restored(self) -> bool:
        """Say whether a backup was restored beside the vault."""
        return (self.folder / "elsewhere/vault.db").exists()

    def put_in_place(self, said: str) -> None:
        """Move the new key files as a command ``said``."""
        for new, old in re.findall(r"mv (\S+) ([^\s,]+)", said):
            (self.folder / new).replace(self.folder / old)

    def loot(self, name: str) -> None:
        """Keep a copy of the database as it is now."""
        place, copy = self.folder / "instance/vault.db", self.folder / "loot" / name
        with (
            closing(sqlite3.connect(place)) as db,
            closing(sqlite3.connect(copy)) as target,
        ):
            db.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")

    def copy(self, folder: Path) -> House:
        """The same house somewhere else."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return House(folder)

    def tokens(self) -> dict[str, Token]:
        """The cards by the names ``build`` gave them."""
        text = (self.folder / "loot/tokens.json").read_text()
        return {name: Token(token) for name, token in json.loads(text).items()}

    def shares(self) -> str:
        """Shares of the root key, a line each."""
        return (self.folder / "safe/shares").read_text()


def build(folder: Path) -> House:
    """A vault with a past: a rotation, a new sealing key, a new root given up, cards
    changed, deleted and purged; of each moment the thief kept what the web host has.

    Cards: ``kept`` and ``edited`` are there, the latter at rev 2; ``old`` is from
    before the rotation and at rev 3; ``deleted`` and ``purged`` are gone.
    """
    house = _found(House(folder))
    tokens = {"old": house.seal(VISA)}
    house.loot("first.db")
    _rotate(house, tokens["old"])
    shutil.copy(house.web_path, folder / "loot/first.key")
    house.put_in_place(house.must("web-key", "rotate").out)
    _give_a_root_up(house)
    tokens |= _use(house)
    house.must("backup", "safe/kept.backup")
    return _leave(house, tokens)


def build_on(url: str, folder: Path) -> House:
    """A vault on the database ``url`` with three cards and no past."""
    house = _found(House(folder, url))
    names = ("old", "kept", "edited")
    return _leave(house, dict(zip(names, map(house.seal, NUMBERS), strict=True)))


def _found(house: House) -> House:
    for name in ("instance", "safe", "loot"):
        (house.folder / name).mkdir()
    with closing(sqlite3.connect(house.folder / "instance/site.db")) as db, db:
        db.execute("CREATE TABLE customer (token TEXT)")
    house.must("init", "--no-passphrase")
    return house


def _leave(house: House, tokens: dict[str, Token]) -> House:
    """Write down what ops keep and what the tests go by."""
    words = ("root", "split", "--shares", "3", "--threshold", "2")
    (house.folder / "safe/shares").write_text(house.must(*words).out)
    (house.folder / "safe/word").touch(mode=0o600)
    (house.folder / "safe/word").write_text(PASSPHRASE)
    (house.folder / "safe/anchor").write_text(house.must("audit", "anchor").out)
    (house.folder / "loot/tokens.json").write_text(json.dumps(tokens))
    return house


def _rotate(house: House, token: Token) -> None:
    """A rotation that was stopped once, and whose key the thief saw half-way."""
    house.seal(AMEX)
    house.stop_midway()
    house.loot("midway.db")
    house.must("rotate")
    house.must("report", "rotation")
    with house.web() as vault, vault.engine.begin() as db:
        vault.set_expiry(db, token, Expiry(2036, 1), OPERATOR)


def _give_a_root_up(house: House) -> None:
    """A new root that was prepared and abandoned; its files and rows were copied."""
    house.must("root", "rotate")
    house.loot("prepared.db")
    for path in (house.web_path, house.root_path):
        new = path.with_name(path.name + ".new")
        shutil.copy(new, house.folder / f"loot/abandoned.{path.name}")
    house.must("root", "rotate", "--abandon")


def _use(house: House) -> dict[str, Token]:
    """What operators and the calendar do to some cards after the rotation."""
    names = ("kept", "edited", "deleted")
    tokens = dict(zip(names, map(house.seal, (AMEX, MASTER, VISA)), strict=True))
    tokens["purged"] = house.seal(VISA, LONG_GONE)
    house.loot("recent.db")
    with house.web() as vault, vault.engine.begin() as db:
        vault.set_expiry(db, tokens["edited"], Expiry(2036, 1), OPERATOR)
        vault.delete(db, tokens["deleted"], OPERATOR)
    house.must("purge", "--expired-for", "90")
    return tokens
