"""Somebody who has the web key and the vault's database, and lays things ready."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update

from tests.web_keys import changed
from vault import Actor, Vault, WebKey, crypto
from vault.card.envelope import envelope_aad
from vault.crypto import OPS_SUITE, SUITE, Cipher, RootSecret
from vault.errors import IntegrityFault
from vault.ops import OpenVault, root_rotation
from vault.ops.open_vault import genesis_info
from vault.ops.root_key import RootKey
from vault.store.schema import AUDIT_ENTRY, CARD, DATA_KEY, QUARANTINE, ROTATION, VAULT
from vault.trail import entry_mac, next_chain_key
from vault.web.data_keys import wrap_info
from vault.web.vault_database import next_id

from .shell import Shell

MALLORY = Actor("ops", "command")
NOBODYS_MAC = bytes(32)


@dataclass
class Thief:
    """What they know, and what they do with it; ``keys`` are data keys."""

    shell: Shell
    keys: list[bytes] = field(default_factory=list)
    roots: list[RootSecret] = field(default_factory=list)
    sealing_keys: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the web key along."""
        self.web = WebKey.read(self.shell.folder / "instance" / "web.key")
        self.sealing_keys.append(self.web.sealing_key)

    def opened(self) -> set[str]:
        """The tokens of the cards they can open now."""
        vault = self.shell.vault()
        with vault.engine.connect() as db:
            cards = db.execute(select(CARD)).all()
            keys = db.execute(select(DATA_KEY)).all()
        vault.engine.dispose()
        known = [Cipher(key) for key in (*self.keys, *self._unwrapped(keys))]
        return {
            card.token for card in cards if any(self._opens(c, card) for c in known)
        }

    def _opens(self, cipher: Cipher, card: Any) -> bool:
        aad = envelope_aad(self.web.vault_id, card.token, card.data_key_id)
        with suppress(IntegrityFault):
            return bool(cipher.open(card.envelope, aad, "card"))
        return False

    def _unwrapped(self, rows: Any) -> Iterator[bytes]:
        """What their roots get out of every wrapping there is."""
        for row in rows:
            info = wrap_info(self.web.vault_id, row.id, row.generation)
            for root in self.roots:
                for held in (row.wrapped, row.next_wrapped):
                    for unwrap in (root.unwrap, root.ops.unwrap):
                        with suppress(IntegrityFault):
                            yield unwrap(held or b"", info, "key")

    def learn(self, root: RootSecret) -> None:
        """Have a root, and with it what every data key of now is."""
        self.roots.append(root)
        vault = self.shell.vault()
        with vault.engine.connect() as db:
            self.keys += self._unwrapped(db.execute(select(DATA_KEY)).all())
        vault.engine.dispose()


def plant_rotation(thief: Thief) -> None:
    """A rotation under way to a key they know, with the trail that goes with it."""
    vault = thief.shell.vault()
    with vault.engine.begin() as db:
        vault.trail.lock(db)
        state = vault.state(db)
        raised = {**state._mapping, "generation": state.generation + 1}
        db.execute(update(VAULT), vault.signer.signed(VAULT, raised))
        _begin_rotation(thief, vault, db, SUITE, state.generation + 1)
    vault.engine.dispose()


def _begin_rotation(
    thief: Thief, vault: Vault, db: Any, suite: str, generation: int
) -> None:
    secret, key_id, now = crypto.new_key(), next_id(db, DATA_KEY), vault.clock()
    thief.keys.append(secret)
    info = wrap_info(vault.web_key.vault_id, key_id, generation)
    by_ops = isinstance(vault, OpenVault) and suite == OPS_SUITE
    wrapped = (
        vault.ops.wrap(secret, info)  # type: ignore[attr-defined]
        if by_ops
        else vault.web_key.root.wrap(secret, info)
    )
    key = {
        "id": key_id,
        "opens": key_id,
        "generation": generation,
        "state": "live",
        "suite": suite,
        "root_id": vault.web_key.root.id,
        "wrapped": wrapped,
        "next_root_id": None,
        "next_wrapped": None,
        "seals": 0,
        "created_at": now,
        "retired_at": None,
        "destroyed_at": None,
        "ops_mac": None,
    }
    db.execute(insert(DATA_KEY), vault.signer.signed(DATA_KEY, key))
    told = {"generation": generation}
    vault.record(db, "key.minted", MALLORY, subject=f"data key {key_id}", detail=told)
    number = next_id(db, ROTATION)
    vault.record(
        db, "rotation.started", MALLORY, subject=f"rotation {number}", detail=told
    )
    row = {
        "id": number,
        "state": "running",
        "actor": "ops",
        "reason": "yearly rotation",
        "generation": generation,
        "data_key_id": key_id,
        "started_at": now,
        "finished_at": None,
        "card_cursor": 0,
        "reencrypted": 0,
        "newer": 0,
        "quarantined": 0,
        "read_back": 0,
        "keys_destroyed": 0,
        "census_before": "{}",
        "census_after": None,
        "audit_seq": None,
        "lease": "",
        "lease_at": now,
        "ops_mac": NOBODYS_MAC,
    }
    db.execute(insert(ROTATION), vault.signer.signed(ROTATION, row))


def lay_a_root_ready(thief: Thief) -> None:
    """A new web key file of a root of theirs, for ``root rotate``."""
    evil = RootSecret(crypto.new_key())
    thief.roots.append(evil)
    file = changed(thief.web, root=evil.public, replaces=thief.web.name)
    _lay_ready(thief, file.signed(evil.ops))


def lay_a_sealing_key_ready(thief: Thief) -> None:
    """A new web key file with a sealing key of theirs, for ``web-key rotate``."""
    key = crypto.new_key()
    thief.sealing_keys.append(key)
    file = changed(thief.web, sealing_key=key, replaces=thief.web.name)
    _lay_ready(thief, file)


def _lay_ready(thief: Thief, file: WebKey) -> None:
    file.write(thief.shell.folder / "instance" / "web.key.new")


def quarantine_a_good_card(thief: Thief) -> None:
    """A card that opens, as one to be given up."""
    vault = thief.shell.vault()
    with vault.engine.begin() as db:
        card = db.execute(select(CARD)).first()
        assert card is not None
        row = {
            "card_id": card.id,
            "token": card.token,
            "rotation_id": 1,
            "problem": "can't be opened",
            "found_at": vault.clock(),
            "ops_mac": NOBODYS_MAC,
        }
        db.execute(insert(QUARANTINE), vault.signer.signed(QUARANTINE, row))
    vault.engine.dispose()


def put_a_key_into_a_key(thief: Thief, **more: object) -> None:
    """The key that ops minted last, with another one in it."""
    vault, secret = thief.shell.vault(), crypto.new_key()
    thief.keys.append(secret)
    with vault.engine.begin() as db:
        rows = select(DATA_KEY).where(DATA_KEY.c.suite == OPS_SUITE)
        key = db.execute(rows.order_by(DATA_KEY.c.id.desc())).first()
        assert key is not None
        info = wrap_info(vault.web_key.vault_id, key.id, key.generation)
        row = {**key._mapping, "wrapped": vault.web_key.root.wrap(secret, info)}
        row = vault.signer.signed(DATA_KEY, {**row, "suite": SUITE, **more})
        db.execute(update(DATA_KEY).where(DATA_KEY.c.id == key.id), row)
    vault.engine.dispose()


def take_the_mark_off_it_too(thief: Thief) -> None:
    """The same, as if a web process had minted the key."""
    put_a_key_into_a_key(thief, ops_mac=None)


def put_an_older_vault_row_back(thief: Thief) -> None:
    """The row of before the last rotation, which bears the root's mark."""
    with closing(sqlite3.connect(thief.shell.folder / "instance" / "vault.db")) as db:
        db.execute("ATTACH ? AS older", (str(thief.shell.folder / "older.db"),))
        db.executescript(
            "DELETE FROM vault; INSERT INTO vault SELECT * FROM older.vault"
        )


def begin_another_trail(thief: Thief) -> None:
    """Another first key, and every entry made anew with what follows from it."""
    vault, key = thief.shell.vault(), crypto.new_key()
    with vault.engine.begin() as db:
        state, info = vault.state(db), genesis_info(thief.web.vault_id)
        genesis = {"sealed_genesis": thief.web.root.wrap(key, info)}
        row = vault.signer.signed(VAULT, {**state._mapping, **genesis})
        db.execute(update(VAULT), row)
        entries = db.execute(select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq)).all()
        mac = None
        for entry in entries:
            mine = AUDIT_ENTRY.c.seq == entry.seq
            forged = tuple({**entry._mapping, "actor": "mallory"}.values())
            mac = entry_mac(thief.web.vault_id, key, forged, mac)
            changes = {"actor": "mallory", "mac": mac}
            db.execute(update(AUDIT_ENTRY).where(mine), changes)
            key = next_chain_key(key)
        vault.trail.write_head(db, entries[-1].seq, key)
    vault.engine.dispose()


WEB_KEY_NEW = "instance/web.key.new"
ATTACKS: dict[Callable[[Thief], None], list[str]] = {
    plant_rotation: ["vault row", "rotation 2"],
    lay_a_root_ready: [WEB_KEY_NEW],
    lay_a_sealing_key_ready: [WEB_KEY_NEW],
    quarantine_a_good_card: ["quarantine 1"],
    put_a_key_into_a_key: ["data key 2"],
    take_the_mark_off_it_too: ["data key 2"],
    put_an_older_vault_row_back: [],
}
"""What a thief does with the web key, and what the commands name of it."""


def steal_the_root(thief: Thief) -> OpenVault:
    """Have the root, and act as ops."""
    vault = thief.shell.open_vault()
    thief.learn(vault.root_key.secret())
    return vault


def plant_with_the_root(thief: Thief) -> None:
    """Two rotations to keys they know, with the root's own mark."""
    vault = steal_the_root(thief)
    with vault.engine.begin() as db:
        vault.trail.lock(db)
        state = vault.state(db)
        raised = {**state._mapping, "generation": state.generation + 2}
        db.execute(update(VAULT), vault.signer.signed(VAULT, raised))
        for further in (1, 2):
            _begin_rotation(thief, vault, db, OPS_SUITE, state.generation + further)
    vault.engine.dispose()


def prepare_a_root_with_the_root(thief: Thief) -> None:
    """A root of theirs, prepared, with both its files, and a rotation."""
    plant_with_the_root(thief)
    vault, evil = (
        thief.shell.open_vault(),
        RootKey(thief.web.vault_id, crypto.new_key()),
    )
    thief.roots.append(evil.secret())
    evil.write(thief.shell.folder / "instance" / "root.key.new", None, vault.ops)
    _lay_ready(
        thief,
        thief.web.successor(
            vault.ops,
            evil.secret().ops,
            root=evil.secret().public,
            sealing_key=thief.web.sealing_key,
        ),
    )
    root_rotation.prepare(vault, evil.secret(), MALLORY)
    vault.engine.dispose()


def lay_a_sealing_key_ready_with_the_root(thief: Thief) -> None:
    """A new web key file with a sealing key of theirs and the root's mark."""
    vault, key = steal_the_root(thief), crypto.new_key()
    thief.sealing_keys.append(key)
    _lay_ready(
        thief, thief.web.successor(vault.ops, root=thief.web.root, sealing_key=key)
    )
    vault.engine.dispose()


ATTACKS_WITH_THE_ROOT: list[Callable[[Thief], None]] = [
    plant_with_the_root,
    prepare_a_root_with_the_root,
    lay_a_sealing_key_ready_with_the_root,
]
