"""The life of a data key: minted, sealed with, retired; and the numbers of new rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    insert,
    select,
    update,
)

from .. import crypto
from ..clock import Clock
from ..crypto import Cipher
from ..errors import KeyWornOut
from ..store.row_macs import canonical
from ..store.schema import DATA_KEY
from ..trail import Actor
from .live_key import DATA_KEY_SECONDS, KeyMemory, LiveKey
from .vault_database import VaultDatabase, next_id
from .web_key import WebKey

DATA_KEY_SEALS = 2**20
MAX_SEALS = 2**31


class DataKeys(VaultDatabase):
    """The data keys of a vault.  A process mints its own at its first seal and seals
    under no other; one forked from it mints again."""

    def __init__(self, web_key: WebKey, engine: Engine, clock: Clock) -> None:
        super().__init__(web_key, engine, clock)
        self._memory = KeyMemory()

    def _sealing_key(self, db: Connection, by: Actor, count: int) -> LiveKey:
        """This process's live key, after counting ``count`` more seals in ``db``."""
        generation = self.state(db, lock=True).generation
        live, row = self._live, self._live_row(db)
        if live is not None and row is not None:
            age = self.clock() - live.created_at
            if (
                row.state == "live"
                and row.generation == generation
                and row.seals < DATA_KEY_SEALS
                and 0 <= age < DATA_KEY_SECONDS
            ):
                self.set_key(db, row, seals=row.seals + count)
                return live
        # Drop the old key first, so that it is gone even if minting fails.
        self._memory.drop()
        self._retire_stale(db, row, by)
        live = self.mint_key(db, generation, by, seals=count)
        self._memory.keep(live)
        return live

    @property
    def _live(self) -> LiveKey | None:
        return self._memory.key

    def _live_row(self, db: Connection) -> Row[Any] | None:
        """The live key's row, or None when it is not as this process wrote it."""
        live = self._live
        if live is None:
            return None
        query = select(DATA_KEY).where(DATA_KEY.c.id == live.id).with_for_update()
        row = db.execute(query).first()
        # A key whose minting was rolled back may have left its number to
        # another process's key: the wrapped bytes tell them apart.
        if row is None or row.wrapped != live.wrapped or not self.is_whole(row):
            return None
        return row

    def _retire_stale(self, db: Connection, own: Row[Any] | None, by: Actor) -> None:
        """Retire this process's old key and those that ended processes left."""
        oldest = self.clock() - DATA_KEY_SECONDS
        query = select(DATA_KEY).where(
            DATA_KEY.c.state == "live",
            # A key that the ops side minted is retired by its rotation.
            DATA_KEY.c.suite == crypto.SUITE,
            (DATA_KEY.c.created_at < oldest)
            | (DATA_KEY.c.id == (own.id if own else 0)),
        )
        # FOR NO KEY UPDATE, because every card under a key shares a lock on its number.
        query = query.order_by(DATA_KEY.c.id).with_for_update(key_share=True)
        for row in db.execute(query).all():
            # Signing an edited row again would hide the edit; verify names it.
            if self.is_whole(row):
                self.retire_key(db, row, by)

    def is_whole(self, key: Row[Any]) -> bool:
        """Say whether a data key's row has a right MAC."""
        return self.is_signed(DATA_KEY, key)

    def mint_key(
        self, db: Connection, generation: int, by: Actor, *, seals: int
    ) -> LiveKey:
        """Make a data key, wrap it to the root and write its row in ``db``, so that it
        is committed together with the first card under it, or not at all."""
        key_id, now, secret = next_id(db, DATA_KEY), self.clock(), crypto.new_key()
        info = wrap_info(self.web_key.vault_id, key_id, generation)
        wrapping = self._wrap(secret, info)
        row = {
            "id": key_id,
            "opens": key_id,
            "generation": generation,
            "state": "live",
            **wrapping,
            "next_root_id": None,
            "next_wrapped": None,
            "seals": seals,
            "created_at": now,
            "retired_at": None,
            "destroyed_at": None,
        }
        db.execute(insert(DATA_KEY), self.signer.signed(DATA_KEY, row))
        self.record(
            db,
            "key.minted",
            by,
            subject=f"data key {key_id}",
            detail={"generation": generation},
        )
        return LiveKey(key_id, Cipher(secret), wrapping["wrapped"], now)

    def _wrap(self, secret: bytes, info: bytes) -> dict[str, Any]:
        """The columns that hold a data key: suite, root and wrapped bytes."""
        root = self.web_key.root
        wrapped = root.wrap(secret, info)
        return {"suite": crypto.SUITE, "root_id": root.id, "wrapped": wrapped}

    def retire_key(self, db: Connection, row: Row[Any], by: Actor) -> None:
        """Mark a data key as retired: it opens cards and seals none."""
        self.set_key(db, row, state="retired", retired_at=self.clock())
        detail = self._maker
        self.record(db, "key.retired", by, subject=f"data key {row.id}", detail=detail)

    def set_key(self, db: Connection, row: Row[Any], **changes: Any) -> None:
        """Write ``changes`` and a new MAC to a data key's row.

        Raises KeyWornOut when its seals would pass 2^31."""
        after = {**row._mapping, **changes}
        if after["seals"] > MAX_SEALS:
            raise KeyWornOut(f"data key {row.id} has sealed {row.seals} times")
        changes |= self.signer.macs(DATA_KEY, after)
        # Update the changed columns only: writing ``opens`` makes SQLite check the
        # foreign key against every card.
        db.execute(update(DATA_KEY).where(DATA_KEY.c.id == row.id), changes)

    @property
    def _maker(self) -> dict[str, str]:
        """What the trail's entry says about who retired a key: nothing for a web
        process."""
        return {}


def wrap_info(vault_id: str, key_id: int, generation: int) -> bytes:
    """What a wrapped data key is bound to (RFC 9180's info, or AES-GCM's AAD)."""
    return canonical(("cardvault data key", vault_id, key_id, generation))
