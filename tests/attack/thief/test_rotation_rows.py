"""Rotations that ops did not begin, and keys laid ready for those they did."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select

from vault.clock import system_clock
from vault.crypto import OPS_SUITE, SUITE, OpsKeys
from vault.errors import NotMadeByRoot
from vault.ops.rotation.start import MAX_GENERATION, take_up
from vault.store.schema import (
    AUDIT_ENTRY,
    CARD,
    DATA_KEY,
    QUARANTINE,
    ROTATION,
    ROTATION_RANGE,
    VAULT,
)
from vault.web.data_keys import wrap_info

from .case import MIDWAY, Case, all_of, found, refused, robbed
from .house import NEXT_KEY, OPS, ROTATIONS_KEY, House
from .moves import (
    ANY_MAC,
    SIGNED,
    go_on_from_further_on,
    key_of,
    plant_a_rotation,
    plant_a_rotation_row_alone,
    point_to_a_key_of_theirs,
    rotation_row,
    running,
    swap_the_fresh_key,
)
from .thief import Thief

MISSING = "is in the trail, but its row is missing"
AHEAD = "is of generation"
RECORD = "report rotation"
DROP = "quarantine drop"


def mint_as_ops_do(thief: Thief) -> None:
    """A data key of theirs under the suite of the ops side."""
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        mine = OpsKeys(thief.seed, thief.web.root.id)
        number = db.execute(select(DATA_KEY.c.id)).scalars().all()[-1] + 1
        info = wrap_info(thief.web.vault_id, number, state.generation)
        wrapped = mine.wrap(thief.new_secret(), info)
        thief.own_key(
            db, state.generation, suite=OPS_SUITE, wrapped=wrapped, ops_mac=ANY_MAC
        )


def swap_the_fresh_keys_bytes(thief: Thief) -> None:
    """The same with the suite and the mark left as ops wrote them."""
    with thief.at_work() as db:
        key = key_of(db, running(db).data_key_id)
        info = wrap_info(thief.web.vault_id, key.id, key.generation)
        wrapped = thief.root.ops.wrap(thief.new_secret(), info)
        thief.write(db, DATA_KEY, key, wrapped=wrapped)


def forge_a_range(thief: Thief) -> None:
    """A range that hides cards from the running rotation."""
    with thief.at_work() as db:
        row = {
            "id": 1,
            "rotation_id": running(db).id,
            "last_card": 2**40,
            "card_cursor": 2**40,
            "reencrypted": 0,
            "newer": 0,
            "lease": "",
            "lease_at": system_clock(),
            "ops_mac": ANY_MAC,
        }
        thief.add(db, ROTATION_RANGE, row)


def open_a_finished_rotation_again(thief: Thief) -> None:
    """The row of rotation 1 as ops left it half-way: the root's mark is genuine."""
    with thief.at_work() as db:
        (row,) = thief.earlier("midway.db", ROTATION)
        thief.write(db, ROTATION, row)


def open_it_again_and_hide_its_end(thief: Thief) -> None:
    """The same, with the entry that tells of its end deleted."""
    open_a_finished_rotation_again(thief)
    with thief.at_work() as db:
        db.execute(
            delete(AUDIT_ENTRY).where(AUDIT_ENTRY.c.event == "rotation.finished")
        )


def mend_the_record(thief: Thief) -> None:
    """Another reason in the record of rotation 1."""
    with thief.at_work() as db:
        row = db.execute(select(ROTATION)).one()
        thief.write(db, ROTATION, row, reason="after the breach", quarantined=0)


def remove_the_record(thief: Thief) -> None:
    """Rotation 1 never was."""
    with thief.at_work() as db:
        db.execute(delete(ROTATION))


def forge_a_record(thief: Thief) -> None:
    """A finished rotation for the assessor, its trail with it."""
    with thief.at_work() as db:
        key = key_of(db, ROTATIONS_KEY)
        more = {"state": "finished", "finished_at": system_clock(), "audit_seq": 1}
        thief.add(db, ROTATION, rotation_row(dict(key._mapping), **more))
        told = {"generation": key.generation, "reason": "yearly rotation"}
        thief.tell(db, "rotation.started", "rotation 2", **told)
        thief.tell(db, "rotation.finished", "rotation 2", quarantined=0, left=0)


def forge_a_quarantine(thief: Thief) -> None:
    """A row that names one card by its token and another by its number."""
    with thief.at_work() as db:
        cards = db.execute(select(CARD).order_by(CARD.c.id)).all()
        row = {
            "card_id": cards[-1].id,
            "token": thief.token,
            "rotation_id": 1,
            "problem": "can't be opened",
            "found_at": system_clock(),
            "ops_mac": ANY_MAC,
        }
        thief.add(db, QUARANTINE, row)


def mint_far_ahead(thief: Thief) -> None:
    """A key of the last generation there can be, so that none can come after."""
    with thief.at_work() as db:
        thief.own_key(db, MAX_GENERATION)


def mint_for_the_next_generation(thief: Thief) -> None:
    """A key of the generation that the next rotation would have."""
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        thief.own_key(db, state.generation + 1)


def put_the_vaults_row_back(thief: Thief) -> None:
    """The row from before the rotation, to make the next one a rotation of nothing."""
    with thief.at_work() as db:
        (row,) = thief.earlier("first.db", VAULT)
        thief.write(db, VAULT, row)


def raise_the_generation(thief: Thief) -> None:
    """The vault at a generation to come."""
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        thief.write(db, VAULT, state, generation=state.generation + 5)


def revive_an_ops_key(thief: Thief) -> None:
    """The finished rotation's key is live again."""
    with thief.at_work() as db:
        thief.write(
            db, DATA_KEY, key_of(db, ROTATIONS_KEY), state="live", retired_at=None
        )


def take_the_mark_off_an_ops_key(thief: Thief) -> None:
    """The finished rotation's key looks like one a web process minted."""
    with thief.at_work() as db:
        key = key_of(db, ROTATIONS_KEY)
        wrapped = thief.wrapped(key.id, key.generation)
        thief.write(db, DATA_KEY, key, suite=SUITE, wrapped=wrapped, ops_mac=None)


def put_a_destroyed_key_back(thief: Thief) -> None:
    """Key 1 from a copy made before the rotation."""
    with thief.at_work() as db:
        row = next(row for row in thief.earlier("first.db", DATA_KEY) if row.id == 1)
        thief.write(db, DATA_KEY, row)


def trade_two_wrappings(thief: Thief) -> None:
    """Two web processes' keys with each other's wrapped bytes."""
    with thief.at_work() as db:
        web = select(DATA_KEY).where(DATA_KEY.c.suite == SUITE)
        one, two = db.execute(web.where(DATA_KEY.c.state == "live")).all()[:2]
        thief.write(db, DATA_KEY, one, wrapped=two.wrapped)
        thief.write(db, DATA_KEY, two, wrapped=one.wrapped)


def put_their_key_under_our_cards(thief: Thief) -> None:
    """A web process's key is replaced by one of theirs: the cards under it are lost,
    not open."""
    with thief.at_work() as db:
        web = select(DATA_KEY).where(DATA_KEY.c.suite == SUITE)
        key = db.execute(web.where(DATA_KEY.c.state == "live")).first()
        assert key is not None
        wrapped = thief.wrapped(key.id, key.generation)
        thief.write(db, DATA_KEY, key, wrapped=wrapped)


ROTATE = ("rotate --dry-run", "rotate", "rotate --reason breach elsewhere")
FRESH = f"data key {NEXT_KEY}"


@all_of(
    refused("vault row", *ROTATE, *SIGNED, "report rotation")(plant_a_rotation),
    refused("rotation 2", *ROTATE, *SIGNED, RECORD)(plant_a_rotation_row_alone),
    refused(FRESH, *ROTATE, *SIGNED)(mint_as_ops_do),
    refused("vault row", *ROTATE, *SIGNED)(raise_the_generation),
)
def test_a_planted_rotation_is_refused(house: House, case: Case) -> None:
    """A rotation the root did not begin is carried out by no command."""
    robbed(house, case)


@all_of(
    refused(FRESH, *ROTATE, moment=MIDWAY)(swap_the_fresh_key),
    refused(FRESH, *ROTATE, *SIGNED, moment=MIDWAY)(swap_the_fresh_keys_bytes),
    refused("rotation 2", *ROTATE, *SIGNED, moment=MIDWAY)(point_to_a_key_of_theirs),
    refused("rotation range 1", *ROTATE, *SIGNED, moment=MIDWAY)(forge_a_range),
    refused("rotation 2", *ROTATE, *SIGNED, moment=MIDWAY)(go_on_from_further_on),
)
def test_an_interrupted_rotation_goes_on_under_its_own_key_alone(
    house: House, case: Case
) -> None:
    """What was changed between two batches is met before the next."""
    robbed(house, case)


def test_a_key_swapped_while_the_rotation_runs_ends_the_batch(house: House) -> None:
    """The batch that meets it is not written: its key would be lost with the run."""
    thief = Thief(house)
    with house.ops() as vault:
        rotation = take_up(vault, OPS, "yearly")
        steps = rotation.reencrypt(1)
        next(steps)
        revs = _revs(house)
        swap_the_fresh_key(thief)
        with pytest.raises(NotMadeByRoot, match=FRESH):
            next(steps)
    assert _revs(house) == revs
    assert thief.opened() == []


def _revs(house: House) -> dict[str, int]:
    with house.engine() as engine, engine.connect() as db:
        rows = db.execute(select(CARD.c.token, CARD.c.rev)).all()
    return {row.token: row.rev for row in rows}


@all_of(
    refused("rotation 1", *ROTATE, *SIGNED, RECORD)(mend_the_record),
    refused("rotation 2", *ROTATE, *SIGNED, RECORD)(forge_a_record),
    refused("quarantine 4", *ROTATE, *SIGNED, DROP)(forge_a_quarantine),
    Case(remove_the_record, found(verify=f"rotation 1  {MISSING}")),
    Case(
        open_a_finished_rotation_again,
        found(
            verify="rotation 1  is running, the trail says finished",
            rotate="rotation 1: is running, the trail says it was finished",
        ),
    ),
    Case(
        open_it_again_and_hide_its_end,
        {"audit verify": (1, "audit entry 15"), "rotate": (4, "no key is destroyed")},
    ),
)
def test_the_records_are_the_roots_own(house: House, case: Case) -> None:
    """A record edited, forged, removed or opened again deceives nobody who has the
    root at hand."""
    robbed(house, case)


def test_a_forged_quarantine_deletes_no_card(house: House) -> None:
    """Neither the card it names by its number nor the one it names by its token."""
    before = set(_revs(house))
    robbed(house, Case(forge_a_quarantine))
    assert set(_revs(house)) == before


@all_of(
    refused("data key 3", *ROTATE, *SIGNED)(revive_an_ops_key),
    Case(take_the_mark_off_an_ops_key, found(verify="data key 3  lacks the mark")),
    Case(
        put_a_destroyed_key_back,
        found(verify="data key 1  is live, the trail says destroyed"),
    ),
    Case(trade_two_wrappings, found(verify="data key 4  can't be unwrapped")),
    Case(
        put_their_key_under_our_cards,
        {"verify": (1, "can't be opened"), "rotate": (4, "1 card could not be opened")},
    ),
    Case(
        mint_far_ahead,
        found(verify=f"{FRESH}  {AHEAD}", rotate=f"{FRESH}: is of generation"),
    ),
    Case(mint_for_the_next_generation, found(verify=f"{FRESH}  {AHEAD}")),
)
def test_a_key_that_was_touched_is_named(house: House, case: Case) -> None:
    """Put back, traded, replaced or made ahead of its time."""
    robbed(house, case)


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (put_the_vaults_row_back, "vault row  is at generation 1, not 2"),
        (mint_for_the_next_generation, f"{FRESH}  {AHEAD} 3, the vault at 2"),
    ],
)
def test_no_older_row_keeps_cards_out_of_a_rotation(
    house: House, attack: Callable[[Thief], None], said: str
) -> None:
    """Every card is re-encrypted, to a generation above every key's."""
    robbed(house, Case(attack, found(verify=said)))
    with house.engine() as engine, engine.connect() as db:
        under = select(DATA_KEY.c.suite).join(CARD, CARD.c.data_key_id == DATA_KEY.c.id)
        assert set(db.execute(under).scalars()) == {OPS_SUITE}
