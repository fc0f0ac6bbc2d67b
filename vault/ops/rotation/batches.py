"""Re-encrypts one batch: the card rows first, then the data key and the trail's head,
which other writers lock too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from ...crypto import OPS_SUITE
from ...errors import NotMadeByRoot
from ...kill_points import kill_point
from ...store.database import reading
from ...store.schema import DATA_KEY
from ...trail import Actor
from ..open_vault import OpenVault
from . import quarantine
from .reencrypt import END, Batch, Reencryptor


class Batches:
    """Re-encrypts cards for one rotation (its row) and records every batch in the trail
    as ``by``'s.  Raises NotMadeByRoot unless the ops side minted the rotation's key."""

    def __init__(
        self, vault: OpenVault, rotation: Mapping[str, Any], by: Actor
    ) -> None:
        self._vault = vault
        self._rotation_id = rotation["id"]
        self._key_id = rotation["data_key_id"]
        self._by = by
        generation = rotation["generation"]
        with reading(vault.engine) as db:
            cipher = vault.rotation_cipher(db, self._key_id, generation)
        self._reencryptor = Reencryptor(vault, generation, self._key_id, cipher)

    def run(self, db: Connection, after: int, size: int, last: int = END) -> Batch:
        """Re-encrypt up to ``size`` cards numbered above ``after``, up to ``last``,
        in ``db``."""
        batch = self._reencryptor.run(db, after, size, last)
        kill_point("batch-written")
        if batch.last is not None:
            quarantine.put_in(self._vault, db, self._rotation_id, batch.bad)
            self._record(db, batch)
        return batch

    def _record(self, db: Connection, batch: Batch) -> None:
        """Count the seals and record every token and rev in the trail.

        Lock order: cards, data key, trail head, as in a web process, so that two
        writers cannot deadlock.  Workers re-encrypt in parallel and queue only for the
        last two.
        """
        if not batch.revs:
            return
        # FOR NO KEY UPDATE, because every card under the key shares a lock on its
        # number.
        query = select(DATA_KEY).where(DATA_KEY.c.id == self._key_id)
        key = db.execute(query.with_for_update(key_share=True)).one()
        self._vault.signer.check(DATA_KEY, key, f"data key {key.id}")
        if key.suite != OPS_SUITE:
            # Somebody replaced the key: ours would be lost when this process ends.
            raise NotMadeByRoot(f"data key {key.id}")
        self._vault.set_key(db, key, seals=key.seals + len(batch.revs))
        self._vault.record(
            db,
            "card.re-encrypted",
            self._by,
            subject=f"rotation {self._rotation_id}",
            detail={"cards": batch.revs},
        )
