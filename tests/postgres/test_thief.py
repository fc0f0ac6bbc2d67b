"""The thief of tests/attack/thief on PostgreSQL: ranges, helpers, the server's code."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, text

from tests.attack.thief.case import MIDWAY, PREPARED, Case, all_of, refused, robbed
from tests.attack.thief.house import OPERATOR, House, build_on
from tests.attack.thief.moves import (
    ANY_MAC,
    SIGNED,
    go_on_from_further_on,
    overwrite_a_next_wrapping,
    plant_a_rotation,
    point_to_a_key_of_theirs,
    running,
    swap_the_fresh_key,
)
from tests.attack.thief.thief import Thief
from tests.places.postgres_cluster import Cluster
from vault.clock import system_clock
from vault.store.schema import ROTATION_RANGE

from .many import until

pytestmark = pytest.mark.postgres

ROTATE = ("rotate", "rotate --dry-run")
JOIN = "rotate --join"


@pytest.fixture
def house(server: Cluster, tmp_path: Path) -> Iterator[House]:
    """A vault on a database of its own."""
    with server.database("robbed") as url:
        yield build_on(url, tmp_path)


def skip_a_range(thief: Thief) -> None:
    """The running rotation's range looks done."""
    with thief.at_work() as db:
        row = db.execute(select(ROTATION_RANGE)).one()
        thief.write(db, ROTATION_RANGE, row, card_cursor=row.last_card)


def add_a_range(thief: Thief) -> None:
    """One more range of the running rotation."""
    with thief.at_work() as db:
        row = {
            "id": 9,
            "rotation_id": running(db).id,
            "last_card": 9,
            "card_cursor": 0,
            "reencrypted": 0,
            "newer": 0,
            "lease": "",
            "lease_at": system_clock(),
            "ops_mac": ANY_MAC,
        }
        thief.add(db, ROTATION_RANGE, row)


def plant_a_trigger(thief: Thief) -> None:
    """A function of theirs that runs with the rights of whoever writes a key."""
    with thief.at_work() as db:
        db.execute(
            text(
                "CREATE FUNCTION fresh() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN NEW.suite := 'theirs'; RETURN NEW; END $$"
            )
        )
        db.execute(
            text(
                "CREATE TRIGGER fresh BEFORE INSERT ON data_key "
                "FOR EACH ROW EXECUTE FUNCTION fresh()"
            )
        )


def plant_a_rule(thief: Thief) -> None:
    """A rule that lets no quarantine row be written."""
    with thief.at_work() as db:
        db.execute(
            text("CREATE RULE fresh AS ON INSERT TO quarantine DO INSTEAD NOTHING")
        )


@all_of(
    refused("vault row", *ROTATE, JOIN, *SIGNED)(plant_a_rotation),
    refused("data key 4", *ROTATE, JOIN, moment=MIDWAY)(swap_the_fresh_key),
    refused("rotation 1", *ROTATE, JOIN, moment=MIDWAY)(point_to_a_key_of_theirs),
    refused("rotation 1", *ROTATE, JOIN, moment=MIDWAY)(go_on_from_further_on),
    refused("rotation range 1", *ROTATE, JOIN, moment=MIDWAY)(skip_a_range),
    refused("rotation range 9", *ROTATE, JOIN, moment=MIDWAY)(add_a_range),
    refused("trigger fresh", *ROTATE, JOIN, *SIGNED)(plant_a_trigger),
    refused("rule fresh", *ROTATE, JOIN, *SIGNED)(plant_a_rule),
    refused("data key 1", "root rotate --finalize", moment=PREPARED)(
        overwrite_a_next_wrapping
    ),
)
def test_the_thief_gets_nothing_on_postgresql(house: House, case: Case) -> None:
    """Nothing opens, and each command that meets the attack names it."""
    robbed(house, case)


def test_two_writers_of_the_trail_make_one_chain(house: House, server: Cluster) -> None:
    """One waits for the other's entry and goes on from it, not from the one before."""

    def enter() -> None:
        with house.web() as vault, vault.engine.begin() as db:
            vault.record(db, "card.viewed", OPERATOR)

    def is_waiting() -> bool:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(server.say(query)[0][0])

    with ThreadPoolExecutor(1) as other:
        with house.web() as vault, vault.engine.begin() as db:
            vault.record(db, "card.viewed", OPERATOR)
            vault.enter(db)
            second = other.submit(enter)
            until(is_waiting)
        second.result()
    house.must("audit", "verify")
