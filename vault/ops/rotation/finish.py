"""Finishes a rotation: reads every card back, destroys the older data keys and closes
the record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ...errors import IntegrityFault
from ...kill_points import kill_point
from ...store.database import reading
from ...store.row_macs import canonical
from ...store.schema import CARD, DATA_KEY, QUARANTINE
from ...store.sqlite import checkpoint
from ...trail import Actor, read_entries
from ...web.vault_database import lock_numbers
from ..census import census_text, take_census
from ..open_vault import OpenVault, card_page
from ..progress import Step
from ..verify import TrailReading
from . import quarantine
from .lease import LeasedRow

READ_BACK_PAGE = 1000
FINISHED = "rotation.finished"


def read_back(rotation: LeasedRow, trail: TrailReading) -> Iterator[Step]:
    """Open every card on a fresh connection and compare it with the trail; a card that
    fails is quarantined.

    When the trail is broken, cards can't be compared with it; then ``trail.expected``
    names the bad entry.
    """
    vault, after, read = rotation.vault, 0, 0
    while True:
        with reading(vault.engine) as db:
            total = db.execute(select(func.count()).select_from(CARD)).scalar_one()
            trail.read_on(db)
            rows = card_page(db, after, READ_BACK_PAGE)
            bad = quarantine.unreadable(vault, db, rows, trail.expected)
        with vault.engine.begin() as db:
            quarantine.put_in(vault, db, rotation.id, bad)
            rotation.write(db, read_back=read + len(rows) - len(bad))
        kill_point("read-back")
        if not rows:
            return
        after, read = rows[-1].id, read + len(rows)
        yield Step("read back", read, max(total, read))


def finish(rotation: LeasedRow, trail: TrailReading, by: Actor) -> None:
    """Destroy the older data keys when every card opened and the trail is whole, and
    close the record."""
    vault = rotation.vault
    with reading(vault.engine) as db:
        trail.read_on(db)
        still = quarantine.still_bad(vault, db, trail.expected)
    with vault.engine.begin() as db:
        # No process seals meanwhile, so none holds one of the keys.
        lock_numbers(db)
        quarantine.forget_mended(db, still)
        generation = rotation.row["generation"]
        left = older_cards(db, generation)
        bad = db.execute(select(func.count()).select_from(QUARANTINE)).scalar_one()
        failed = bool(left or bad or trail.expected.fault)
        destroyed = 0 if failed else _destroy_keys(vault, db, generation, by)
        kill_point("destroy")
        _retire_key(vault, db, rotation.row["data_key_id"], by)
        result = {"quarantined": bad, "keys_destroyed": destroyed}
        outcome = "failure" if failed else "success"
        _close(rotation, db, by, outcome, result, left)
    kill_point("finished")
    checkpoint(vault.engine)


def _close(
    rotation: LeasedRow,
    db: Connection,
    by: Actor,
    outcome: str,
    result: dict[str, int],
    left: int,
) -> None:
    """Write the rotation's end into its row and into the trail."""
    vault, generation = rotation.vault, rotation.row["generation"]
    # Lock order: our own row, then the trail, so that its next entry is ours.
    rotation.write(db)
    vault.enter(db)
    census = take_census(vault, db)
    mark = _end_mark(vault, rotation.id, generation)
    vault.record(
        db,
        FINISHED,
        by,
        outcome=outcome,
        subject=f"rotation {rotation.id}",
        detail={**result, "left": left, "mark": mark},
    )
    rotation.write(
        db,
        state="finished",
        finished_at=vault.clock(),
        **result,
        census_after=census_text(census.generations),
        audit_seq=census.audit_seq + 1,
        lease="",
    )


def require_unfinished(vault: OpenVault, db: Connection, row: Row[Any]) -> None:
    """Raise IntegrityFault when the trail has the end of this rotation.  Its row from
    before that has a right MAC, so somebody could put it back; the entry of the end has
    a mark that only the root can make."""
    subject = f"rotation {row.id}"
    mark = _end_mark(vault, row.id, row.generation)
    ends = read_entries(db, subject=subject)
    if any(e.event == FINISHED and e.detail.get("mark") == mark for e in ends):
        raise IntegrityFault(subject, "is running, the trail says it was finished")


def _end_mark(vault: OpenVault, number: int, generation: int) -> str:
    """The mark in the trail's entry of a rotation's end; only the root can make it."""
    facts = ("rotation finished", vault.web_key.vault_id, number, generation)
    return vault.ops.mac.sign(canonical(facts)).hex()


def older_cards(db: Connection, generation: int) -> int:
    """How many cards belong to a generation before ``generation``."""
    older = select(DATA_KEY.c.id).where(DATA_KEY.c.generation < generation)
    query = select(func.count()).select_from(CARD).where(CARD.c.data_key_id.in_(older))
    count: int = db.execute(query).scalar_one()
    return count


def _destroy_keys(vault: OpenVault, db: Connection, generation: int, by: Actor) -> int:
    """Destroy every data key of a generation before ``generation``, except those whose
    row was edited; returns how many."""
    query = select(DATA_KEY).where(
        DATA_KEY.c.generation < generation, DATA_KEY.c.state != "destroyed"
    )
    query = query.order_by(DATA_KEY.c.id).with_for_update()
    whole = [key for key in db.execute(query).all() if vault.is_whole(key)]
    for key in whole:
        vault.destroy_key(db, key, by)
    return len(whole)


def _retire_key(vault: OpenVault, db: Connection, key_id: int, by: Actor) -> None:
    """Retire the rotation's own key, which seals nothing after the rotation."""
    query = select(DATA_KEY).where(DATA_KEY.c.id == key_id)
    key = db.execute(query.with_for_update(key_share=True)).one()
    if key.state == "live" and vault.is_whole(key):
        vault.retire_key(db, key, by)
