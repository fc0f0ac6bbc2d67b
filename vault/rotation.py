"""Rotation: a new generation, every older card re-encrypted, proof, old keys gone.

A rotation is a row that carries its cursor and its lease.  Killed at any instant
it goes on where it stood when started again.  Each step below is one short
transaction:

1. begin: raise the generation, mint its data key, retire the older ones.
2. batches: re-encrypt, move the cursor.  An operator's edit always wins.
3. read back: open every card on a fresh connection.
4. finish: destroy the older data keys, unless a card could not be opened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from . import lease
from .audit import Actor
from .census import take_census
from .database import checkpoint, reading
from .errors import IntegrityFault, LeaseHeld
from .faults import instant
from .open_vault import OpenVault, card_page
from .reseal import Batch, Resealer
from .schema import CARD, DATA_KEY, QUARANTINE, ROTATION, VAULT
from .scrub import one_line, scrub
from .vault import next_id

READ_BACK_PAGE = 1000
# Between two batches: a writer that waits looks for the lock every half
# millisecond, and where several do, each needs its turn.
PAUSE_SECONDS = 0.001
CROWDED_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Step:
    """How far a phase ("re-encrypt" or "read back") has come: cards ``done`` of
    ``total``."""

    phase: str
    done: int
    total: int


class Rotation:
    """One rotation, new or taken up again.  ``row`` is its row as last written."""

    def __init__(self, vault: OpenVault, row: Row[Any]) -> None:
        self._vault = vault
        self._lease = row.lease
        self._pause = PAUSE_SECONDS
        self.row: dict[str, Any] = dict(row._mapping)

    @property
    def left(self) -> int:
        """Cards of an older generation that are left, quarantined ones too."""
        with reading(self._vault.engine) as db:
            return older_cards(db, self.row["generation"])

    @property
    def id(self) -> int:
        """The rotation's number, as ``report rotation`` takes it."""
        number: int = self.row["id"]
        return number

    def reencrypt(self, batch_size: int) -> Iterator[Step]:
        """Re-encrypt batch by batch; stop between two steps and nothing is lost.

        Raises LeaseHeld when another process has taken the rotation over.
        """
        resealer = self._resealer()
        with reading(self._vault.engine) as db:
            total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
        done = self.row["reencrypted"] + self.row["newer"] + self.row["quarantined"]
        while True:
            batch = self._batch(resealer, batch_size)
            if batch.last is None:
                return
            done += len(batch.revs) + batch.newer + len(batch.bad)
            time.sleep(self._pause)
            yield Step("re-encrypt", done, max(total, done))

    def read_back(self) -> Iterator[Step]:
        """Open every card on a fresh connection; what fails is quarantined."""
        after = read = 0
        while True:
            with reading(self._vault.engine) as db:
                total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
                rows = card_page(db, after, READ_BACK_PAGE)
                bad = self._unreadable(db, rows)
            with self._vault.engine.begin() as db:
                self._quarantine(db, bad)
                self._write(db, read_back=read + len(rows) - len(bad))
            instant("read-back")
            if not rows:
                return
            after, read = rows[-1].id, read + len(rows)
            yield Step("read back", read, max(total, read))

    def finish(self, by: Actor) -> None:
        """Destroy the older keys when every card opened, and close the record."""
        with self._vault.engine.begin() as db:
            self._forget_mended(db)
            left = older_cards(db, self.row["generation"])
            bad = db.execute(select(func.count()).select_from(QUARANTINE)).scalar_one()
            destroyed = 0 if left or bad else self._destroy_keys(db, by)
            instant("destroy")
            self._retire_key(db, by)
            census = take_census(self._vault, db)
            changes = {
                "state": "finished",
                "finished_at": self._vault.clock(),
                "quarantined": bad,
                "keys_destroyed": destroyed,
                "census_after": _json(census.generations),
                "audit_seq": census.audit_seq + 1,
                "lease": "",
            }
            detail = {name: changes[name] for name in ("quarantined", "keys_destroyed")}
            self._vault.record(
                db,
                "rotation.finished",
                by,
                outcome="failure" if bad or left else "success",
                subject=f"rotation {self.id}",
                detail={**detail, "left": left},
            )
            self._write(db, **changes)
        instant("finished")
        checkpoint(self._vault.engine)

    def hold(self, db: Connection) -> None:
        """Take the lease over for this process."""
        self._write(db, lease=lease.own_name(), lease_at=self._vault.clock())
        self._lease = self.row["lease"]

    def release(self) -> None:
        """Give the lease back, so that the same command goes on at once."""
        with self._vault.engine.begin() as db:
            self._write(db, lease="")

    def _resealer(self) -> Resealer:
        key_id = self.row["data_key_id"]
        with reading(self._vault.engine) as db:
            cipher = self._vault.cipher(db, key_id)
        return Resealer(self._vault, self.row["generation"], key_id, cipher)

    def _batch(self, resealer: Resealer, size: int) -> Batch:
        asked = time.monotonic()
        with self._vault.engine.begin() as db:
            crowded = time.monotonic() - asked > PAUSE_SECONDS
            self._pause = CROWDED_PAUSE_SECONDS if crowded else PAUSE_SECONDS
            batch = resealer.run(db, self.row["card_cursor"], size)
            instant("batch-written")
            if batch.last is not None:
                self._quarantine(db, batch.bad)
                self._record(db, batch)
            self._write(
                db,
                card_cursor=batch.last or self.row["card_cursor"],
                reencrypted=self.row["reencrypted"] + len(batch.revs),
                newer=self.row["newer"] + batch.newer,
            )
            instant("batch-ready")
        instant("batch-committed")
        return batch

    def _record(self, db: Connection, batch: Batch) -> None:
        """Count the seals and enter every token and rev in the trail."""
        if not batch.revs:
            return
        key = db.execute(
            select(DATA_KEY).where(DATA_KEY.c.id == self.row["data_key_id"])
        ).one()
        self._vault.signer.check(DATA_KEY, key, f"data key {key.id}")
        self._vault.set_key(db, key, seals=key.seals + len(batch.revs))
        self._vault.record(
            db,
            "card.re-encrypted",
            Actor(self.row["actor"], "command"),
            subject=f"rotation {self.id}",
            detail={"cards": batch.revs},
        )

    def _quarantine(self, db: Connection, bad: dict[tuple[int, str], str]) -> None:
        for (card_id, token), problem in bad.items():
            db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == card_id))
            row = {
                "card_id": card_id,
                "token": token,
                "rotation_id": self.id,
                "problem": problem,
                "found_at": self._vault.clock(),
            }
            db.execute(insert(QUARANTINE), self._vault.signer.signed(QUARANTINE, row))

    def _unreadable(
        self, db: Connection, rows: Sequence[Row[Any]]
    ) -> dict[tuple[int, str], str]:
        bad = {}
        for row in rows:
            try:
                self._vault.digits(db, row)
            except IntegrityFault as fault:
                bad[row.id, str(row.token)] = fault.problem
        return bad

    def _forget_mended(self, db: Connection) -> None:
        """Take out of quarantine what is gone or opens again."""
        quarantined = select(QUARANTINE.c.card_id)
        rows = db.execute(select(CARD).where(CARD.c.id.in_(quarantined))).all()
        still = {card_id for card_id, _ in self._unreadable(db, rows)}
        for card_id in db.execute(quarantined).scalars().all():
            if card_id not in still:
                db.execute(delete(QUARANTINE).where(QUARANTINE.c.card_id == card_id))

    def _destroy_keys(self, db: Connection, by: Actor) -> int:
        query = select(DATA_KEY).where(
            DATA_KEY.c.generation < self.row["generation"],
            DATA_KEY.c.state != "destroyed",
        )
        keys = db.execute(query).all()
        whole = [key for key in keys if self._vault.is_whole(key)]
        for key in whole:
            self._vault.destroy_key(db, key, by)
        return len(whole)

    def _retire_key(self, db: Connection, by: Actor) -> None:
        """The rotation's own key seals no more once the rotation is over."""
        query = select(DATA_KEY).where(DATA_KEY.c.id == self.row["data_key_id"])
        key = db.execute(query).one()
        if key.state == "live" and self._vault.is_whole(key):
            self._vault.retire_key(db, key, by)

    def _write(self, db: Connection, **changes: Any) -> None:
        """Write the rotation's row anew, if this process still holds it."""
        after = {**self.row, **changes}
        if "lease" not in changes:
            after["lease_at"] = self._vault.clock()
        after.pop("mac")
        signed = self._vault.signer.signed(ROTATION, after)
        mine = (ROTATION.c.id == self.id) & (ROTATION.c.lease == self._lease)
        written = db.execute(update(ROTATION).where(mine), signed)
        if written.rowcount != 1:
            raise LeaseHeld(
                f"rotation {self.id} was taken over by another process",
                hint="nothing is lost; see it with: cardvault status",
            )
        self.row = signed


def older_cards(db: Connection, generation: int) -> int:
    """How many cards belong to a generation before ``generation``."""
    older = select(DATA_KEY.c.id).where(DATA_KEY.c.generation < generation)
    query = select(func.count()).select_from(CARD).where(CARD.c.data_key_id.in_(older))
    count: int = db.execute(query).scalar_one()
    return count


def unfinished(vault: OpenVault, db: Connection) -> Row[Any] | None:
    """The rotation that was begun and not finished, checked; or None."""
    query = select(ROTATION).where(ROTATION.c.state == "running")
    row = db.execute(query.with_for_update()).first()
    if row is not None:
        vault.signer.check(ROTATION, row, f"rotation {row.id}")
    return row


def take_up(vault: OpenVault, by: Actor, reason: str) -> Rotation:
    """Begin a rotation, or take up the unfinished one.

    Raises LeaseHeld when another process is at it.
    """
    with vault.engine.begin() as db:
        vault.trail.lock(db)
        row = unfinished(vault, db)
        rotation = Rotation(vault, row) if row else _begin(vault, db, by, reason)
        if row is not None:
            _take_over(vault, db, rotation, row)
        instant("begin")
    instant("begun")
    return rotation


def _take_over(
    vault: OpenVault, db: Connection, rotation: Rotation, row: Row[Any]
) -> None:
    if not lease.is_over(row.lease, row.lease_at, vault.clock()):
        raise LeaseHeld(
            f"rotation {row.id} is being run by {lease.describe(row.lease)}",
            hint="wait for it, or watch it with: cardvault status",
        )
    rotation.hold(db)


def _begin(vault: OpenVault, db: Connection, by: Actor, reason: str) -> Rotation:
    before = take_census(vault, db)
    state = vault.state(db)
    generation = state.generation + 1
    values = {k: v for k, v in state._mapping.items() if k != "mac"}
    raised = vault.signer.signed(VAULT, {**values, "generation": generation})
    db.execute(update(VAULT), raised)
    for key in db.execute(select(DATA_KEY).where(DATA_KEY.c.state == "live")).all():
        if vault.is_whole(key):
            vault.retire_key(db, key, by)
    row = {
        "id": next_id(db, ROTATION),
        "state": "running",
        "actor": by.name,
        "reason": scrub(one_line(reason)),
        "generation": generation,
        "data_key_id": vault.mint_key(db, generation, by, seals=0).id,
        "started_at": vault.clock(),
        "finished_at": None,
        "card_cursor": 0,
        "reencrypted": 0,
        "newer": 0,
        "quarantined": 0,
        "read_back": 0,
        "keys_destroyed": 0,
        "census_before": _json(before.generations),
        "census_after": None,
        "audit_seq": None,
        "lease": lease.own_name(),
        "lease_at": vault.clock(),
    }
    vault.record(
        db,
        "rotation.started",
        by,
        subject=f"rotation {row['id']}",
        detail={"generation": generation, "reason": reason},
    )
    db.execute(insert(ROTATION), vault.signer.signed(ROTATION, row))
    written = db.execute(select(ROTATION).where(ROTATION.c.id == row["id"])).one()
    return Rotation(vault, written)


def _json(census: dict[int, int]) -> str:
    return json.dumps({str(number): cards for number, cards in census.items()})
