"""What a thief writes in more than one file of tests."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from vault.clock import system_clock
from vault.crypto import SUITE
from vault.store.schema import DATA_KEY, ROTATION, VAULT
from vault.web.data_keys import wrap_info
from vault.web.web_key import WebKey

from .thief import Thief

ANY_MAC = bytes(32)
WEB_NEW = "instance/web.key.new"
# The commands that sign every row anew.
SIGNED = ("root rotate", "web-key rotate")


def rotation_row(key: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A rotation's row that nobody holds, under the data key ``key``."""
    return {
        "id": 2,
        "state": "running",
        "actor": "ops",
        "reason": "yearly rotation",
        "generation": key["generation"],
        "data_key_id": key["id"],
        "started_at": system_clock(),
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
        "lease_at": system_clock(),
        "ops_mac": ANY_MAC,
        **more,
    }


def running(db: Connection) -> Any:
    """The rotation that is under way."""
    return db.execute(select(ROTATION).where(ROTATION.c.state == "running")).one()


def key_of(db: Connection, number: int) -> Any:
    """A data key's row."""
    return db.execute(select(DATA_KEY).where(DATA_KEY.c.id == number)).one()


def plant_a_rotation(thief: Thief) -> None:
    """A running rotation to a key of theirs: older keys retired, the generation
    raised, the trail telling of all of it."""
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        generation = state.generation + 1
        thief.write(db, VAULT, state, generation=generation)
        live = select(DATA_KEY).where(DATA_KEY.c.state == "live")
        for row in db.execute(live).all():
            thief.write(db, DATA_KEY, row, state="retired", retired_at=system_clock())
            thief.tell(db, "key.retired", f"data key {row.id}")
        key = thief.own_key(db, generation)
        told = {"generation": generation, "reason": "yearly rotation"}
        thief.tell(db, "rotation.started", "rotation 2", **told)
        thief.add(db, ROTATION, rotation_row(key))


def plant_a_rotation_row_alone(thief: Thief) -> None:
    """The same with the vault's row as it is."""
    with thief.at_work() as db:
        generation = db.execute(select(VAULT.c.generation)).scalar_one() + 1
        key = thief.own_key(db, generation)
        thief.tell(db, "rotation.started", "rotation 2", generation=generation)
        thief.add(db, ROTATION, rotation_row(key))


def swap_the_fresh_key(thief: Thief) -> None:
    """Between two batches: the rotation's key is theirs now, wrapped to the root."""
    with thief.at_work() as db:
        key = key_of(db, running(db).data_key_id)
        wrapped = thief.wrapped(key.id, key.generation)
        thief.write(db, DATA_KEY, key, suite=SUITE, wrapped=wrapped, ops_mac=None)


def point_to_a_key_of_theirs(thief: Thief) -> None:
    """The running rotation's row names a key of theirs."""
    with thief.at_work() as db:
        row = running(db)
        key = thief.own_key(db, row.generation)
        thief.write(db, ROTATION, row, data_key_id=key["id"])


def go_on_from_further_on(thief: Thief) -> None:
    """The running rotation's cursor behind the last card."""
    with thief.at_work() as db:
        thief.write(db, ROTATION, running(db), card_cursor=2**40)


def coming(thief: Thief) -> WebKey:
    """The web key file of the root that ops prepared."""
    return WebKey.read(thief.house.folder / WEB_NEW)


def overwrite_a_next_wrapping(thief: Thief) -> None:
    """A web process's key: its new wrapping holds a key of theirs."""
    with thief.at_work() as db:
        web = select(DATA_KEY).where(DATA_KEY.c.suite == SUITE)
        row = db.execute(web.where(DATA_KEY.c.state == "live")).first()
        assert row is not None
        info = wrap_info(thief.web.vault_id, row.id, row.generation)
        wrapped = coming(thief).root.wrap(thief.new_secret(), info)
        thief.write(db, DATA_KEY, row, next_wrapped=wrapped)
