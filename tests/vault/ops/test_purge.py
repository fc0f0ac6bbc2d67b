"""Cards past retention go, exactly those, and leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import Executable, delete, insert, select, text, update

from tests.places.vault import VaultPlace
from vault import Actor, Expiry, Pan, Token, errors
from vault.clock import DAY_SECONDS
from vault.ops.purge import BATCH, Purge, first_kept
from vault.store.database import reading
from vault.store.schema import CARD, PURGED, QUARANTINE, ROTATION
from vault.store.sqlite import checkpoint

Register = Callable[..., Token]
OPS = Actor("ops", "command")
JAPAN = timezone(timedelta(hours=9))
# 2026-12-01 00:00:00 in Japan: 11/2026 is over.
DECEMBER = int(datetime(2026, 12, 1, tzinfo=JAPAN).timestamp())


def purge(place: VaultPlace, days: int) -> Purge:
    """Run a purge to its end."""
    run = Purge(place.vault(), days)
    for _ in run.run(OPS):
        pass
    return run


def tokens(place: VaultPlace) -> set[str]:
    """What the card table holds."""
    with place.engine.connect() as db:
        return set(db.execute(select(CARD.c.token)).scalars())


@pytest.mark.parametrize(
    ("days", "at", "kept"),
    [
        (0, "2026-11-30 23:59:59", 202611),
        (0, "2026-12-01 00:00:00", 202611),
        (0, "2026-12-01 00:00:01", 202612),
        (90, "2027-03-01 00:00:00", 202611),
        (90, "2027-03-01 00:00:01", 202612),
        (365, "2027-03-01 00:00:01", 202603),
        (1, "2027-01-02 00:00:00", 202612),
        (1, "2027-01-02 00:00:01", 202701),
    ],
)
def test_the_months_edge_is_midnight_in_japan(days: int, at: str, kept: int) -> None:
    """A month is past retention more than ``days`` whole days after that midnight,
    not at the very second; a new year makes no difference."""
    second = int(datetime.fromisoformat(at).replace(tzinfo=JAPAN).timestamp())
    assert first_kept(days, second) == kept


def test_the_edge_holds_for_the_cards_themselves(
    place: VaultPlace, register: Register
) -> None:
    """At the thirtieth midnight the card stays, a second later it goes, and the
    next month's stays."""
    november, december = (
        register(expiry=Expiry(2026, 11)),
        register(expiry=Expiry(2026, 12)),
    )
    place.clock.now = DECEMBER + 30 * DAY_SECONDS
    assert purge(place, 30).purged == 0
    assert tokens(place) == {november, december}
    place.clock.advance(1)
    assert purge(place, 30).purged == 1
    assert tokens(place) == {december}


def test_a_purge_is_one_entry_a_batch_and_verify_knows(
    place: VaultPlace, register: Register
) -> None:
    """Tokens with their revs and the days are in the trail; nothing is found; who
    asks about one of the cards gets that entry."""
    gone = [register(expiry=Expiry(2026, 1)) for _ in range(3)]
    left = register()
    vault = place.vault()
    with vault.engine.begin() as db:
        vault.set_expiry(db, gone[0], Expiry(2026, 2), OPS)
    place.clock.advance(5)
    purge(place, 90)
    query = text("SELECT subject, detail FROM audit_entry WHERE event = 'card.purged'")
    with place.engine.connect() as db:
        ((subject, detail),) = db.execute(query).all()
        assert [vault.purged_at(db, t) for t in (gone[0], left)] == [
            place.clock(),
            None,
        ]
        assert vault.missing(db, [*gone, left]) == dict.fromkeys(gone, "purged")
        latest = vault.history(db, gone[1])[0]
    told = {gone[0]: 2, gone[1]: 1, gone[2]: 1}
    assert json.loads(detail) == {"cards": told, "expired_for": 90}
    assert subject == f"purge {place.clock()}"
    assert latest.event == "card.purged"
    assert place.findings() == {}


def test_more_than_a_batch_goes_in_several(place: VaultPlace) -> None:
    """Each of at most a thousand, each with its entry."""
    vault = place.vault()
    cards = [(Pan.parse("4810000000020000"), Expiry(2026, 1))] * (BATCH + 1)
    with vault.engine.begin() as db:
        vault.tokenize_many(db, cards, OPS)
    steps = [step.done for step in Purge(vault, 0).run(OPS)]
    assert steps == [BATCH, BATCH + 1]
    query = text("SELECT count(*) FROM audit_entry WHERE event = 'card.purged'")
    with place.engine.connect() as db:
        assert db.execute(query).scalar_one() == 2
    assert (tokens(place), place.findings()) == (set(), {})


def test_deleted_ciphertext_is_in_no_file(
    place: VaultPlace, register: Register
) -> None:
    """Neither in the database nor in its log (PAN-04)."""
    register(expiry=Expiry(2026, 1))
    with place.engine.connect() as db:
        envelope = db.execute(select(CARD.c.envelope)).scalar_one()

    def holding() -> list[str]:
        return [p.name for p in place.folder.iterdir() if envelope in p.read_bytes()]

    assert holding()
    purge(place, 90)
    assert checkpoint(place.engine)
    assert holding() == []


def test_a_reader_in_the_way_of_the_log_is_told(
    place: VaultPlace, register: Register
) -> None:
    """checkpoint says whether the log is empty."""
    register(expiry=Expiry(2026, 1))
    with reading(place.engine) as reader:
        reader.execute(select(CARD)).all()
        purge(place, 90)
        assert not checkpoint(place.engine)
    assert checkpoint(place.engine)


def test_a_row_that_is_not_as_written_stays_and_is_named(
    place: VaultPlace, register: Register
) -> None:
    """Somebody may have edited its expiry so that we destroy it."""
    edited, due = register(), register(expiry=Expiry(2026, 1))
    with place.engine.begin() as db:
        db.execute(text(f"UPDATE card SET expiry = 202001 WHERE token = '{edited}'"))
    run = purge(place, 90)
    assert (run.purged, run.damaged) == (1, [edited])
    assert tokens(place) == {edited}
    assert due not in place.findings()


def test_a_card_renewed_between_looking_and_deleting_stays(
    place: VaultPlace, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is looked at again under the lock."""
    renewed, due = (register(expiry=Expiry(2026, 1)) for _ in range(2))
    vault, delete = place.vault(), Purge._delete

    def renew_first(run: Purge, page: list[int], by: Actor) -> None:
        with vault.engine.begin() as db:
            vault.set_expiry(db, renewed, Expiry(2031, 1), OPS)
        delete(run, page, by)

    monkeypatch.setattr(Purge, "_delete", renew_first)
    assert purge(place, 90).purged == 1
    assert tokens(place) == {renewed}
    assert due not in tokens(place)


def test_a_purged_card_leaves_quarantine(place: VaultPlace, register: Register) -> None:
    """There is nothing left to mend, and the next rotation is not held up."""
    token = register(expiry=Expiry(2026, 1))
    row = {
        "card_id": 1,
        "token": token,
        "rotation_id": 1,
        "problem": "can't be opened",
        "found_at": place.clock(),
    }
    with place.engine.begin() as db:
        db.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        signer = place.open_vault().signer
        db.execute(insert(QUARANTINE), signer.signed(QUARANTINE, row))
        db.execute(insert(ROTATION), _a_rotation(place))
    purge(place, 90)
    with place.engine.connect() as db:
        assert db.execute(select(QUARANTINE)).all() == []


def _a_rotation(place: VaultPlace) -> dict[str, object]:
    zero = ("card_cursor", "reencrypted", "newer", "quarantined", "read_back")
    row = {
        "id": 1,
        "state": "finished",
        "actor": "ops",
        "reason": "",
        "generation": 1,
        "data_key_id": 1,
        "started_at": place.clock(),
        "finished_at": place.clock(),
        "keys_destroyed": 0,
        "census_before": "{}",
        "census_after": "{}",
        "audit_seq": 1,
        "lease": "",
        "lease_at": place.clock(),
        **dict.fromkeys(zero, 0),
    }
    return place.open_vault().signer.signed(ROTATION, row)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (delete(PURGED), "was purged, but is not marked so"),
        (insert(PURGED).values(token="card_x", at=1, mac=b""), "not as it was written"),
        (update(PURGED).values(at=1), "not as it was written"),
        (update(PURGED).values(ops_mac=b"x"), "not made by this vault's root"),
    ],
)
def test_verify_holds_the_marks_against_the_trail(
    place: VaultPlace, register: Register, harm: Executable, problem: str
) -> None:
    """A mark taken away, added or edited behind the vault's back is found."""
    register(expiry=Expiry(2026, 1))
    purge(place, 90)
    with place.engine.begin() as db:
        db.execute(harm)
    ((_, found),) = place.findings().items()
    assert problem in found


def test_a_mark_made_with_the_web_key_alone_is_held_against_the_trail(
    place: VaultPlace,
) -> None:
    """Nothing was purged: the mark is right in itself and named all the same."""
    mark = place.vault().signer.signed(PURGED, {"token": "card_x", "at": 1})
    with place.engine.begin() as db:
        db.execute(insert(PURGED), mark)
    assert place.findings() == {
        "purge mark of card_x": "is marked as purged, the trail says nothing"
    }


def test_a_purge_with_the_root_at_hand_leaves_its_mark(
    place: VaultPlace, register: Register
) -> None:
    """The root signs what it purged, and verify asks for no more than there is."""
    register(expiry=Expiry(2026, 1))
    for _ in Purge(place.open_vault(), 90).run(OPS):
        pass
    with place.engine.connect() as db:
        assert db.execute(select(PURGED.c.ops_mac)).scalar_one() is not None
    assert place.findings() == {}


def test_a_row_put_back_after_its_purge_is_found_and_purged_again(
    place: VaultPlace, register: Register
) -> None:
    """The trail knows that it should be gone; the next purge is not stopped by its
    mark."""
    token = register(expiry=Expiry(2026, 1))
    with place.engine.connect() as db:
        row = dict(db.execute(select(CARD)).one()._mapping)
    purge(place, 90)
    with place.engine.begin() as db:
        db.execute(insert(CARD), row)
    assert place.findings() == {token: "has no entry in the trail"}
    assert purge(place, 90).purged == 1
    assert place.findings() == {}


def test_nothing_is_deleted_when_the_trail_cannot_be_written(
    place: VaultPlace, register: Register
) -> None:
    """The entry and the deletion are one transaction (AUD-03)."""
    token = register(expiry=Expiry(2026, 1))
    with place.engine.begin() as db:
        db.execute(text("UPDATE audit_head SET sealed_chain_key = x'00'"))
    with pytest.raises(errors.IntegrityFault):
        purge(place, 90)
    with place.engine.connect() as db:
        assert db.execute(select(PURGED)).all() == []
    assert tokens(place) == {token}
