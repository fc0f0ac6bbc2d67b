"""The thief: they have the web key, both databases and time, and no root.

What they do is in modules of its own; here is what they have, and how they try
everything they know on every card.
"""

from __future__ import annotations

import gzip
import io
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, delete, insert, select, update

from tests.web_keys import changed
from vault import Vault, WebKey, crypto
from vault.card.envelope import envelope_aad
from vault.clock import system_clock
from vault.crypto import SUITE, Cipher, OpsKeys, RootSecret
from vault.errors import IntegrityFault
from vault.store.database import connect
from vault.store.row_macs import RowSigner
from vault.store.schema import AUDIT_ENTRY, AUDIT_HEAD, DATA_KEY
from vault.trail import entry_mac, next_chain_key
from vault.web.data_keys import wrap_info
from vault.web.vault_database import next_id

from .house import NUMBERS, OPS, House

Secrets = list[bytes]
RAW_CARDS = "SELECT token, data_key_id, envelope FROM card"
RAW_KEYS = "SELECT id, generation, wrapped, next_wrapped FROM data_key"


class Thief:
    """One who reads and writes what the web host can: its key file and databases."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.web = WebKey.read(house.web_path)
        self.secrets: Secrets = [self.web.sealing_key]
        self.seed = crypto.new_key()
        self.root = RootSecret(self.seed)
        self.roots = [self.root]

    @contextmanager
    def at_work(self) -> Iterator[Connection]:
        """A transaction on the vault's database, with the trail's lock held."""
        with self.house.engine() as engine, engine.begin() as db:
            self.vault(engine).trail.lock(db)
            yield db

    def vault(self, engine: Engine) -> Vault:
        """The web role, as anybody with the web key has it."""
        return Vault(self.web, engine, system_clock)

    @property
    def token(self) -> str:
        """The token of a card from before the rotation."""
        return str(self.house.tokens()["old"])

    # What the web key makes.

    def signed(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        """A row with the web key's MAC; the root's is whatever it was."""
        bare = {name: value for name, value in values.items() if name != "mac"}
        return RowSigner(self.web.vault_id, self.web.sealing_key).signed(table, bare)

    def write(self, db: Connection, table: Table, row: Row[Any], **more: Any) -> None:
        """Write a row anew with changes and a fitting MAC."""
        key = next(iter(table.primary_key.columns))
        values = self.signed(table, {**row._mapping, **more})
        db.execute(update(table).where(key == row[0]).values(**values))

    def add(self, db: Connection, table: Table, values: Mapping[str, Any]) -> None:
        """Write a new row, in the place of one that is there."""
        key = next(iter(table.primary_key.columns))
        db.execute(delete(table).where(key == values[key.name]))
        db.execute(insert(table).values(**self.signed(table, values)))

    def tell(
        self, db: Connection, event: str, subject: str = "", **detail: Any
    ) -> None:
        """Append to the trail, as the web key allows."""
        vault = self.vault(db.engine)
        vault.record(db, event, OPS, subject=subject, detail=detail)

    def new_secret(self) -> bytes:
        """A key of their own."""
        self.secrets.append(crypto.new_key())
        return self.secrets[-1]

    def wrapped(self, key_id: int, generation: int) -> bytes:
        """A key of their own, wrapped to the root's public half for this number."""
        info = wrap_info(self.web.vault_id, key_id, generation)
        return self.web.root.wrap(self.new_secret(), info)

    def own_key(self, db: Connection, generation: int, **more: Any) -> dict[str, Any]:
        """A data key of their own, minted as a web process mints it; its row."""
        number = next_id(db, DATA_KEY)
        row = {
            "id": number,
            "opens": number,
            "generation": generation,
            "state": "live",
            "suite": SUITE,
            "root_id": self.web.root.id,
            "wrapped": self.wrapped(number, generation),
            "next_root_id": None,
            "next_wrapped": None,
            "seals": 0,
            "created_at": system_clock(),
            "retired_at": None,
            "destroyed_at": None,
            "ops_mac": None,
            **more,
        }
        self.add(db, DATA_KEY, row)
        self.tell(db, "key.minted", f"data key {number}", generation=generation)
        return row

    def own_web_key(self, **changes: Any) -> WebKey:
        """A web key file's content of their own making, with every MAC they can make
        under every name that could be asked for."""
        file = changed(self.web, replaces=self.web.name, **changes)
        mine = OpsKeys(self.seed, self.web.root.id)
        return file.signed(mine, self.root.ops)

    def earlier(self, name: str, table: Table) -> list[Any]:
        """A table's rows as they were when the copy ``name`` was made."""
        engine = connect(f"sqlite:///{self.house.folder}/loot/{name}")
        try:
            with engine.connect() as db:
                return list(db.execute(select(table)).all())
        finally:
            engine.dispose()

    def rewrite_trail(self, db: Connection, genesis: bytes, after: int = 0) -> None:
        """Make every entry's MAC anew from entry ``after`` + 1 on, which is made with
        the key ``genesis``, and a fitting head."""
        key, seq = genesis, after
        last = select(AUDIT_ENTRY.c.mac).where(AUDIT_ENTRY.c.seq == after)
        mac = db.execute(last).scalar()
        query = select(AUDIT_ENTRY).where(AUDIT_ENTRY.c.seq > after)
        for row in db.execute(query.order_by(AUDIT_ENTRY.c.seq)).all():
            mac = entry_mac(self.web.vault_id, key, tuple(row), mac)
            mine = AUDIT_ENTRY.c.seq == row.seq
            db.execute(update(AUDIT_ENTRY).where(mine).values(mac=mac))
            key, seq = next_chain_key(key), row.seq
        self.vault(db.engine).trail.write_head(db, seq, key)

    def chain_key(self, db: Connection) -> tuple[int, bytes]:
        """How many entries there are and the next one's key: the web key opens it."""
        head = db.execute(select(AUDIT_HEAD)).one()
        trail = self.vault(db.engine).trail
        return head.seq, trail.open_chain_key(head.seq, head.sealed_chain_key)

    # What they try on the cards.

    def opened(self) -> list[str]:
        """The tokens of the cards that open to a real number with anything known."""
        with self.house.engine() as engine, engine.connect() as db:
            cards = [tuple(row) for row in db.exec_driver_sql(RAW_CARDS)]
            keys = [tuple(row) for row in db.exec_driver_sql(RAW_KEYS)]
        return self.tried(cards, keys)

    def opened_anywhere(self) -> list[str]:
        """The same in every database and backup that lies about, and every file that
        holds a number in clear."""
        found = self.opened()
        for place in self._databases():
            with closing(sqlite3.connect(place)) as db:
                cards = db.execute(RAW_CARDS).fetchall()
                found += self.tried(cards, db.execute(RAW_KEYS).fetchall())
        for path in self.house.folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                found += [path.name for number in NUMBERS if number.encode() in data]
        return found

    def _databases(self) -> Iterator[Path]:
        elsewhere = self.house.folder / "elsewhere/vault.db"
        if elsewhere.exists():
            yield elsewhere
        for number, backup in enumerate(
            sorted(self.house.folder.glob("safe/*.backup"))
        ):
            copy = self.house.folder / f"loot/{number}.backup.db"
            with tarfile.open(
                fileobj=io.BytesIO(gzip.decompress(backup.read_bytes()))
            ) as tar:
                member = tar.extractfile("vault.db")
                assert member is not None
                copy.write_bytes(member.read())
            yield copy

    def tried(self, cards: list[Any], keys: list[Any]) -> list[str]:
        """The tokens of ``cards`` that open to a real number under any secret known,
        those that the wrappings of ``keys`` give to a root of theirs among them."""
        secrets = [*self.secrets, *self._unwrapped(keys)]
        ciphers = [Cipher(secret) for secret in dict.fromkeys(secrets)]
        found = []
        for token, key_id, envelope in cards:
            aad = envelope_aad(self.web.vault_id, token, key_id)
            plain = (_plain(cipher, envelope, aad) for cipher in ciphers)
            if any(_number(text) in NUMBERS for text in plain):
                found.append(token)
        return found

    def _unwrapped(self, keys: list[Any]) -> Iterator[bytes]:
        for key_id, generation, *wrappings in keys:
            info = wrap_info(self.web.vault_id, key_id, generation)
            for wrapped in filter(None, wrappings):
                for root in self.roots:
                    for unwrap in (root.unwrap, root.ops.unwrap):
                        with suppress(IntegrityFault):
                            secret = unwrap(wrapped, info, "key")
                            if len(secret) == crypto.KEY_BYTES:
                                yield secret


def _plain(cipher: Cipher, envelope: bytes, aad: bytes) -> bytes:
    try:
        return cipher.open(envelope, aad, "card")
    except IntegrityFault:
        return b"\0"


def _number(plain: bytes) -> str:
    return plain[1 : plain[0] + 1].decode("latin-1")
