"""A folder in which cardvault is typed."""

from __future__ import annotations

import gc
import io
import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import text

from vault import Actor, Expiry, Pan, Token, Vault, VaultSettings, WebKey
from vault.clock import system_clock
from vault.commands import main
from vault.ops import OpenVault, RootKey
from vault.ops.root_shares import split

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
            if name.startswith(("VAULT_", "AUDIT_")):
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

    def files(self) -> dict[str, bytes]:
        """What every file holds now, but SQLite's shared memory."""
        # The log goes into the file when the last connection is collected.
        gc.collect()
        folder = self.folder / "instance"
        kept = {p.name: p.read_bytes() for p in folder.iterdir()}
        return {n: data for n, data in kept.items() if data and ".db-shm" not in n}

    def but_the_trail(self) -> tuple[dict[str, bytes], dict[str, list[Any]]]:
        """What every file holds but the database's, and every table but the trail's."""
        others = {n: d for n, d in self.files().items() if not n.startswith("vault.db")}
        with closing(sqlite3.connect(self.folder / "instance" / "vault.db")) as db:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            names = [name for (name,) in db.execute(query)]
            rows = {
                name: db.execute(f"SELECT * FROM {name}").fetchall()
                for name in names
                if not name.startswith("audit_")
            }
        return others, rows

    def trail(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Event, outcome and detail of every entry, in order."""
        with closing(sqlite3.connect(self.folder / "instance" / "vault.db")) as db:
            query = "SELECT event, outcome, detail FROM audit_entry ORDER BY seq"
            found = db.execute(query).fetchall()
        return [
            (event, outcome, json.loads(detail)) for event, outcome, detail in found
        ]

    def open_vault(self) -> OpenVault:
        """The ops role on this folder's vault."""
        web_key = WebKey.read(self.folder / "instance" / "web.key")
        root_text = (self.folder / self.root).read_text()
        root_key = RootKey.parse(root_text, "root.key", None)
        return OpenVault(web_key, root_key, self.vault().engine, system_clock)


def foreign_share() -> str:
    """A share of another vault's root."""
    return split(RootKey("another", b"f" * 32), 2, 2)[0]


def all_commands(
    group: click.Group, words: str = "cardvault"
) -> list[tuple[str, click.Command]]:
    """Every verb with the words it is typed as."""
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += all_commands(command, f"{words} {name}")
        else:
            found.append((f"{words} {name}", command))
    return found
