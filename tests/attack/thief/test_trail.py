"""The trail rewritten, begun anew, cut, and told what no program says."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

from vault.clock import system_clock
from vault.errors import IntegrityFault
from vault.ops.open_vault import genesis_info
from vault.store.schema import AUDIT_ENTRY, AUDIT_HEAD, DATA_KEY, PURGED, VAULT
from vault.trail import entry_mac, next_chain_key
from vault.web.vault import purge_subject

from .case import Case, all_of, refused, robbed
from .house import House
from .thief import Thief

NEVER = "says what this program never writes"
WRITTEN = "is not as it was written"
COMMANDS = ("audit verify", "rotate", "rotate --dry-run", "root rotate", "export")


def forge_the_past(db: Connection) -> None:
    """Another person in an entry of long ago."""
    first = AUDIT_ENTRY.c.seq == 3
    db.execute(update(AUDIT_ENTRY).where(first).values(actor="jiro"))


def begin_the_trail_anew(thief: Thief) -> None:
    """A first key of their own, sealed to the root's public half, and every entry
    made again from it."""
    with thief.at_work() as db:
        genesis = thief.new_secret()
        sealed = thief.web.root.wrap(genesis, genesis_info(thief.web.vault_id))
        thief.write(db, VAULT, db.execute(select(VAULT)).one(), sealed_genesis=sealed)
        forge_the_past(db)
        thief.rewrite_trail(db, genesis)


def rewrite_it_from_another_first_key(thief: Thief) -> None:
    """The same with the vault's row as it is."""
    with thief.at_work() as db:
        forge_the_past(db)
        thief.rewrite_trail(db, thief.new_secret())


def edit_an_entry(thief: Thief) -> None:
    """One entry's actor, nothing else."""
    with thief.at_work() as db:
        forge_the_past(db)


def delete_an_entry(thief: Thief) -> None:
    """The entry of a card's deletion."""
    with thief.at_work() as db:
        db.execute(delete(AUDIT_ENTRY).where(AUDIT_ENTRY.c.event == "card.deleted"))


def cut_the_end_off(thief: Thief) -> None:
    """The last entries, with the head they had before sealed anew."""
    with thief.at_work() as db:
        db.execute(delete(AUDIT_ENTRY).where(AUDIT_ENTRY.c.seq > 20))
        thief.vault(db.engine).trail.write_head(db, 20, thief.chain_key(db)[1])


def go_on_from_an_older_head(thief: Thief) -> None:
    """An entry between a copy they made, whose head gave them the key of all that
    came after, and the anchor."""
    (head,) = thief.earlier("recent.db", AUDIT_HEAD)
    with thief.at_work() as db:
        trail = thief.vault(db.engine).trail
        key = trail.open_chain_key(head.seq, head.sealed_chain_key)
        since = AUDIT_ENTRY.c.event == "card.deleted"
        db.execute(update(AUDIT_ENTRY).where(since).values(actor="jiro"))
        thief.rewrite_trail(db, key, after=head.seq)


def put_an_older_database_back(thief: Thief) -> None:
    """Everything as it was when they copied it."""
    shutil.copy(
        thief.house.folder / "loot/recent.db", thief.house.folder / "instance/vault.db"
    )


def put_an_older_database_and_key_back(thief: Thief) -> None:
    """From before the web key was changed, with the web key of then."""
    folder = thief.house.folder
    shutil.copy(folder / "loot/first.db", folder / "instance/vault.db")
    shutil.copy(folder / "loot/first.key", folder / "instance/web.key")


@all_of(
    refused("vault row", *COMMANDS)(begin_the_trail_anew),
    Case(rewrite_it_from_another_first_key, {"audit verify": (1, "audit entry 1 ")}),
    Case(edit_an_entry, {"audit verify": (1, f"audit entry 3  {WRITTEN}")}),
    Case(delete_an_entry, {"audit verify": (1, "audit entry 29  is missing")}),
    Case(cut_the_end_off, {"audit verify": (1, "audit entry 21 ")}),
)
def test_the_past_is_not_rewritten_unseen(house: House, case: Case) -> None:
    """What was entered before the thief came stays as it was, or is named."""
    robbed(house, case)


def test_a_head_that_goes_before_its_entries_is_named(house: House) -> None:
    """Before anything is appended to what was cut, too."""
    cut_the_end_off(Thief(house))
    with (
        house.ops() as vault,
        vault.engine.connect() as db,
        pytest.raises(IntegrityFault, match="audit head: does not follow"),
    ):
        list(vault.trail_entries(db))


def test_a_rotation_destroys_no_key_on_the_word_of_a_broken_trail(
    house: House,
) -> None:
    """The entry that is gone may have told of a card that was put back."""
    delete_an_entry(Thief(house))
    assert house.run("rotate").code == 4
    with house.engine() as engine, engine.connect() as db:
        states = db.execute(select(DATA_KEY.c.state)).scalars().all()
    assert states.count("destroyed") == 2


ANCHORED = "audit verify --anchor safe/anchor"


@all_of(
    Case(go_on_from_an_older_head, {ANCHORED: (1, "another one than was anchored")}),
    # What the commands before it entered may have brought it to the anchor's number.
    Case(put_an_older_database_back, {ANCHORED: (1, "was anchored")}),
    Case(put_an_older_database_and_key_back, {ANCHORED: (1, "an older database")}),
)
def test_an_anchor_finds_what_only_an_anchor_can(house: House, case: Case) -> None:
    """Who kept an older head or database goes on from there; the anchor was kept
    elsewhere."""
    robbed(house, case)


def say(event: str, subject: str = "", **detail: Any) -> Case:
    """A case in which the thief appends an entry that no program writes."""

    def attack(thief: Thief) -> None:
        with thief.at_work() as db:
            thief.tell(db, event, subject.format(token=thief.token), **detail)

    kinds = "_".join(type(value).__name__ for value in detail.values())
    attack.__name__ = f"{event}_{kinds or 'nothing'}"
    return Case(attack)


SEPTILLION = 2**80


@all_of(
    say("card.purged", purge_subject(1), cards=["x"]),
    say("card.purged", purge_subject(1), cards=1),
    say("card.imported", "", cards=["x"]),
    say("card.imported", "", cards="x"),
    say("card.re-encrypted", "rotation 1", cards={"x": "y"}),
    say("card.re-encrypted", "rotation 1", cards={"x": None}),
    say("card.expiry_changed", "{token}", rev="x"),
    say("card.expiry_changed", "{token}", rev=[1]),
    say("card.expiry_changed", "{token}", rev=SEPTILLION),
    say("card.registered", "{token}"),
    say("rotation.started", "rotation 2", generation=2**62),
    say("rotation.started", "rotation 2", generation="x"),
    say("rotation.finished", "rotation 2"),
    say("key.destroyed", "data key 4"),
    say("key.minted", "data key 99", generation=1),
    say("root.abandoned", "root 0123456789abcdef"),
)
def test_an_entry_that_no_program_writes_is_named(house: House, case: Case) -> None:
    """A list for cards, a text for a rev, a generation without end: every command
    ends as it should, and verify or the rotation says what is wrong."""
    _, day = robbed(house, case)
    harmless = case.attack.__name__ == "root.abandoned_nothing"
    assert day.ran["verify"].code == (0 if harmless else 1)


def append_raw(thief: Thief, **columns: Any) -> None:
    """Append an entry with any values at all, its MAC right."""
    with thief.at_work() as db:
        seq, key = thief.chain_key(db)
        entry = {
            "seq": seq + 1,
            "at": system_clock(),
            "actor": "ops",
            "event": "login.failed",
            "outcome": "failure",
            "origin": "command",
            "subject": "",
            "detail": "{}",
            **columns,
        }
        last = select(AUDIT_ENTRY.c.mac).where(AUDIT_ENTRY.c.seq == seq)
        before = db.execute(last).scalar_one()
        mac = entry_mac(thief.web.vault_id, key, tuple(entry.values()), before)
        db.execute(AUDIT_ENTRY.insert().values(**entry, mac=mac))
        thief.vault(db.engine).trail.write_head(db, seq + 1, next_chain_key(key))


def enter_what_is_no_json(thief: Thief) -> None:
    """An entry about a card whose detail nobody can read."""
    append_raw(thief, event="card.expiry_changed", detail="{", subject=thief.token)


def enter_what_is_no_object(thief: Thief) -> None:
    """An entry about a card whose detail is a list."""
    append_raw(thief, event="card.expiry_changed", detail="[]", subject=thief.token)


def enter_what_is_deep(thief: Thief) -> None:
    """An entry whose detail is a list in a list, a hundred thousand times."""
    append_raw(thief, event="card.imported", detail="[" * 100_000)


def forge_a_purge_without_cards(thief: Thief) -> None:
    """A mark and an entry of a purge that names no card."""
    with thief.at_work() as db:
        thief.add(db, PURGED, {"token": thief.token, "at": 1, "ops_mac": None})
        thief.tell(db, "card.purged", purge_subject(1), cards=None)


@all_of(
    Case(enter_what_is_no_json),
    Case(enter_what_is_no_object),
    Case(enter_what_is_deep),
    Case(forge_a_purge_without_cards, {"verify": (1, "the trail says nothing")}),
)
def test_an_entry_of_any_content_is_listed(house: House, case: Case) -> None:
    """The trail is listed to its end, all of it and what is about the card."""
    thief, day = robbed(house, case)
    day.names("audit list", 0, "backup.made")
    assert house.run("audit", "list", "--token", thief.token).code == 0
