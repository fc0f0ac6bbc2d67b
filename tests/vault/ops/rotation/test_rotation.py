"""Rotation: what opens what, what is counted, what stops it and what doesn't."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select, text, update

from tests.places.vault import VISA, VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault, crypto, errors
from vault.card.scrub import CUT
from vault.ops.census import take_census
from vault.ops.rotation.rotation import Rotation
from vault.ops.rotation.start import take_up
from vault.ops.web_key_rotation import sign_all_rows
from vault.store.schema import CARD, DATA_KEY, QUARANTINE, ROTATION

Register = Callable[..., Token]
OPS = Actor("ops", "command")


def rotate(place: VaultPlace, batch: int = 1000) -> Rotation:
    """A whole rotation, as the command runs it."""
    rotation = take_up(place.open_vault(), OPS, "yearly")
    for steps in (rotation.reencrypt(batch), rotation.read_back()):
        for _ in steps:
            pass
    rotation.finish(OPS)
    return rotation


def numbers(place: VaultPlace) -> dict[str, bytes]:
    """Every card as the ops role opens it, by token."""
    ops = place.open_vault()
    with place.engine.connect() as db:
        rows = db.execute(select(CARD)).all()
        return {row.token: ops.digits(db, row) for row in rows}


def generations(place: VaultPlace) -> dict[int, int]:
    """The census."""
    with place.engine.connect() as db:
        return take_census(place.vault(), db).generations


def spoil(place: VaultPlace, token: str, **columns: Any) -> None:
    """Edit a card's row behind the vault's back."""
    changes = columns or {"mac": b"x" * 32}
    with place.engine.begin() as db:
        db.execute(update(CARD).where(CARD.c.token == token).values(**changes))


def test_the_four_moments(place: VaultPlace, register: Register) -> None:
    """Sealed before; a new generation made; new seals everywhere; the old gone:
    at each, every card opens, and only then the old key doesn't exist."""
    before = register()
    assert generations(place) == {1: 1}

    rotation = take_up(place.open_vault(), OPS, "")
    during = register("378282246310005")
    assert generations(place) == {1: 1, 2: 1}
    assert set(numbers(place)) == {before, during}

    for _ in rotation.reencrypt(10):
        pass
    assert generations(place) == {2: 2}
    with place.engine.connect() as db:
        assert (
            db.execute(select(DATA_KEY.c.opens).where(DATA_KEY.c.id == 1)).scalar() == 1
        )

    for _ in rotation.read_back():
        pass
    rotation.finish(OPS)
    with place.engine.connect() as db:
        key = db.execute(select(DATA_KEY).where(DATA_KEY.c.id == 1)).one()
    assert (key.state, key.opens, key.wrapped) == ("destroyed", None, b"")
    assert numbers(place) == {before: VISA.encode(), during: b"378282246310005"}
    assert place.findings() == {}


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_every_card_is_reencrypted_and_counted(
    place: VaultPlace, register: Register, batch: int
) -> None:
    """Whatever the batch, numbers stay, envelopes change, and the record counts."""
    tokens = [register() for _ in range(7)]
    with place.engine.connect() as db:
        old = set(db.execute(select(CARD.c.envelope)).scalars())
    row = rotate(place, batch).row
    with place.engine.connect() as db:
        assert not old & set(db.execute(select(CARD.c.envelope)).scalars())
    assert numbers(place) == dict.fromkeys(tokens, VISA.encode())
    assert (row["reencrypted"], row["read_back"], row["keys_destroyed"]) == (7, 7, 1)
    assert json.loads(row["census_before"]) == {"1": 7}
    assert json.loads(row["census_after"]) == {"2": 7}
    assert place.findings() == {}


def test_a_vault_without_cards_rotates(place: VaultPlace) -> None:
    """An empty vault still gets its new generation, and says nothing was there."""
    row = rotate(place).row
    assert (row["state"], row["reencrypted"], row["generation"]) == ("finished", 0, 2)


def test_generations_follow_one_another(place: VaultPlace, register: Register) -> None:
    """Three rotations leave one generation and three destroyed keys."""
    register()
    for _ in range(3):
        rotate(place)
    assert generations(place) == {4: 1}
    assert place.findings() == {}


def test_an_edit_between_two_batches_wins(
    place: VaultPlace, vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """Expiry changed, card replaced, card deleted meanwhile: all as the operator
    left them, counted as newer or gone."""
    tokens = [register() for _ in range(6)]
    rotation = take_up(place.open_vault(), OPS, "")
    steps = rotation.reencrypt(2)
    next(steps)
    with vault.engine.begin() as db:
        vault.set_expiry(db, tokens[3], Expiry(2040, 12), operator_actor)
        amex = Pan.parse("378282246310005")
        new = vault.replace(db, tokens[4], amex, Expiry(2031, 1), operator_actor)
        vault.delete(db, tokens[4], operator_actor)
        vault.delete(db, tokens[5], operator_actor)
    for _ in (*steps, *rotation.read_back()):
        pass
    rotation.finish(OPS)
    assert set(numbers(place)) == {*tokens[:4], new}
    assert (rotation.row["reencrypted"], rotation.row["newer"]) == (4, 1)
    with place.engine.connect() as db:
        assert vault.describe(db, tokens[3]).expiry == Expiry(2040, 12)
    assert place.findings() == {}


def test_a_live_process_goes_over_at_its_next_seal(
    place: VaultPlace, register: Register
) -> None:
    """A web process that minted before the rotation mints anew after it began."""
    register()
    take_up(place.open_vault(), OPS, "")
    register()
    with place.engine.connect() as db:
        keys = db.execute(select(DATA_KEY.c.generation, DATA_KEY.c.state)).all()
    assert [tuple(key) for key in keys] == [(1, "retired"), (2, "live"), (2, "live")]


def test_a_number_in_a_reason_is_not_kept(
    place: VaultPlace, register: Register
) -> None:
    """The record is printed for assessors and kept for years (PAN-01)."""
    register()
    kept = take_up(place.open_vault(), OPS, f"for the card {VISA}\n").row["reason"]
    assert kept == f"for the card {CUT}\ufffd"


def test_a_stopped_rotation_is_taken_up_where_it_stood(
    place: VaultPlace, register: Register
) -> None:
    """The same rotation, the same key, the cursor where it was."""
    for _ in range(5):
        register()
    first = take_up(place.open_vault(), OPS, "why")
    next(first.reencrypt(2))
    first.release()
    again = take_up(place.open_vault(), OPS, "another reason")
    assert (again.id, again.row["card_cursor"], again.row["reason"]) == (1, 2, "why")
    for _ in (*again.reencrypt(2), *again.read_back()):
        pass
    again.finish(OPS)
    assert again.row["reencrypted"] == 5
    assert place.findings() == {}


@pytest.mark.parametrize("bad", [(0,), (2,), (4,), (0, 4), (0, 1, 2, 3, 4)])
def test_bad_rows_are_stepped_over_and_keep_the_old_keys(
    place: VaultPlace, register: Register, bad: tuple[int, ...]
) -> None:
    """First, middle, last or all: the rest is done, each bad token is named, and
    no key is destroyed."""
    tokens = [register() for _ in range(5)]
    for index in bad:
        spoil(place, tokens[index])
    rotation = rotate(place, 2)
    assert rotation.row["reencrypted"] == 5 - len(bad)
    assert (rotation.row["quarantined"], rotation.row["keys_destroyed"]) == (
        len(bad),
        0,
    )
    assert rotation.left == len(bad)
    with place.engine.connect() as db:
        quarantined = set(db.execute(select(QUARANTINE.c.token)).scalars())
    assert quarantined == {tokens[index] for index in bad}


@pytest.mark.parametrize(
    "columns",
    [
        {"envelope": b"x" * 48},
        {"last4": "9999"},
        {"data_key_id": 2},
        {"rev": 9},
        {"length": "16x"},
        {"expiry": 1.5},
    ],
)
def test_each_kind_of_damage_is_quarantined(
    place: VaultPlace, register: Register, columns: dict[str, Any]
) -> None:
    """An edited column of any kind, even of another type, never wedges the run."""
    good, bad = register(), register()
    with place.engine.begin() as db:
        other = place.vault()
        other.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), OPS)
    names = ", ".join(f"{name} = :{name}" for name in columns)
    with place.engine.begin() as db:
        db.execute(text(f"UPDATE card SET {names} WHERE token = '{bad}'"), columns)
    row = rotate(place).row
    assert (row["reencrypted"], row["quarantined"]) == (2, 1)
    assert good in numbers_of_good(place)


def numbers_of_good(place: VaultPlace) -> set[str]:
    """The tokens that open."""
    return {
        token
        for token in _tokens(place)
        if token not in place.findings() and token.startswith("card_")
    }


def _tokens(place: VaultPlace) -> list[str]:
    with place.engine.connect() as db:
        return list(db.execute(select(CARD.c.token)).scalars())


def test_text_that_is_no_utf8_is_stepped_over(
    place: VaultPlace, register: Register
) -> None:
    """SQLite can't hand such a row to a function; the batch's other cards go over."""
    tokens = [register() for _ in range(3)]
    with place.engine.begin() as db:
        bad = text("UPDATE card SET brand = CAST(x'ff41' AS TEXT) WHERE token = :token")
        db.execute(bad, {"token": tokens[1]})
    row = rotate(place).row
    assert (row["reencrypted"], row["quarantined"]) == (2, 1)
    assert generations(place) == {1: 1, 2: 2}
    with place.engine.connect() as db:
        assert db.execute(select(QUARANTINE.c.token)).scalars().all() == [tokens[1]]


@pytest.mark.parametrize("generation", [2, 99, "x"])
def test_an_edited_generation_keeps_no_card_out(
    place: VaultPlace, register: Register, generation: object
) -> None:
    """A key's row that says it is newer is not believed; its cards are quarantined."""
    register()
    with place.engine.begin() as db:
        edit = text("UPDATE data_key SET generation = :generation WHERE id = 1")
        db.execute(edit, {"generation": generation})
    rotation = rotate(place)
    assert rotation.row["generation"] == 2
    assert (rotation.row["newer"], rotation.row["quarantined"]) == (0, 1)


def test_a_lost_data_key_quarantines_its_cards_alone(
    place: VaultPlace, register: Register, operator_actor: Actor
) -> None:
    """An edited key row can't be unwrapped: its cards stay, the others move."""
    lost = register()
    other = place.vault()
    with other.engine.begin() as db:
        kept = other.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
        db.execute(update(DATA_KEY).where(DATA_KEY.c.id == 1).values(wrapped=b"x"))
    row = rotate(place).row
    assert (row["reencrypted"], row["quarantined"], row["keys_destroyed"]) == (1, 1, 0)
    with place.engine.connect() as db:
        problem = db.execute(select(QUARANTINE.c.problem)).scalar()
        kept_key = select(CARD.c.data_key_id).where(CARD.c.token == kept)
        assert db.execute(kept_key).scalar() == row["data_key_id"]
    assert "data key 1" in str(problem)
    assert lost in place.findings()


def test_a_mended_row_is_taken_along_by_the_next_rotation(
    place: VaultPlace, register: Register
) -> None:
    """Put back from a backup, it leaves the quarantine and the old keys go."""
    token = register()
    with place.engine.connect() as db:
        mac = db.execute(select(CARD.c.mac)).scalar_one()
    spoil(place, token)
    assert rotate(place).row["quarantined"] == 1
    spoil(place, token, mac=mac)
    row = rotate(place).row
    assert (row["reencrypted"], row["quarantined"], row["keys_destroyed"]) == (1, 0, 2)
    assert place.findings() == {}


def test_two_rotations_never_run_at_once(place: VaultPlace, register: Register) -> None:
    """The second is told who holds it; nothing of the first is disturbed."""
    register()
    first = take_up(place.open_vault(), OPS, "")
    with pytest.raises(errors.LeaseHeld, match="is being run by"):
        take_up(place.open_vault(), OPS, "")
    for _ in first.reencrypt(10):
        pass
    assert generations(place) == {2: 1}


@pytest.mark.parametrize(
    ("lease", "silent", "held"),
    [
        ("elsewhere/boot 17 99", 59, True),
        ("elsewhere/boot 17 99", 61, False),
        ("dead", 0, False),
        ("", 0, False),
    ],
)
def test_a_lease_ends_with_its_process_or_after_a_minute_of_silence(
    place: VaultPlace, register: Register, lease: str, silent: int, held: bool
) -> None:
    """Dead on this host: at once; silent elsewhere: after 60 seconds."""
    register()
    first = take_up(place.open_vault(), OPS, "")
    if lease == "dead":
        host, pid, started = first.row["lease"].rsplit(" ", 2)
        lease = f"{host} {pid} {int(started) - 1}"
    with place.engine.begin() as db:
        first.write(db, lease=lease, lease_at=place.clock())
    place.clock.advance(silent)
    if held:
        with pytest.raises(errors.LeaseHeld):
            take_up(place.open_vault(), OPS, "")
    else:
        assert take_up(place.open_vault(), OPS, "").id == first.id


def test_a_holder_who_lost_his_lease_writes_nothing_more(
    place: VaultPlace, register: Register
) -> None:
    """The slow one is told at his next batch, and the batch is undone."""
    for _ in range(4):
        register()
    slow = take_up(place.open_vault(), OPS, "")
    steps = slow.reencrypt(2)
    next(steps)
    with place.engine.begin() as db:
        row = db.execute(select(ROTATION)).one()
        taker = Rotation(place.open_vault(), row, resumed=True)
        taker.write(db, lease="elsewhere/boot 17 99", lease_at=place.clock())
    with pytest.raises(errors.LeaseHeld, match="taken over"):
        next(steps)
    assert generations(place) == {1: 2, 2: 2}


def test_a_new_sealing_key_meanwhile_stops_it_and_nothing_is_lost(
    place: VaultPlace, register: Register
) -> None:
    """Under the old one every row looks edited: the batch is undone, no card is
    quarantined, and the next run, under the new one, goes on."""
    for _ in range(4):
        register()
    steps = take_up(place.open_vault(), OPS, "").reencrypt(2)
    next(steps)
    ops = place.open_vault()
    new = place.web_key.successor(
        ops.ops, root=place.web_key.root, sealing_key=crypto.new_key()
    )
    sign_all_rows(ops, new, OPS)
    with pytest.raises(errors.LeaseHeld, match="signed anew"):
        next(steps)
    after = dataclasses.replace(place, web_key=new)
    with place.engine.connect() as db:
        row = db.execute(select(ROTATION)).one()
    Rotation(after.open_vault(), row, resumed=True).release()
    assert rotate(after).row["quarantined"] == 0
    assert after.findings() == {}


def test_an_edited_rotation_row_is_refused(
    place: VaultPlace, register: Register
) -> None:
    """A cursor moved by hand would leave cards behind: it is found first."""
    register()
    take_up(place.open_vault(), OPS, "").release()
    with place.engine.begin() as db:
        db.execute(update(ROTATION).values(card_cursor=99))
    with pytest.raises(errors.IntegrityFault, match="rotation 1"):
        take_up(place.open_vault(), OPS, "")


class Worn:
    """A cipher on a machine that has begun to miscount."""

    def __init__(self, key: bytes, wrong: bytes) -> None:
        self._real = AESGCM(key)
        self._wrong = wrong
        self.decrypt = self._real.decrypt

    def encrypt(self, nonce: bytes, _data: bytes, aad: bytes | None) -> bytes:
        """Seals something else, or something that doesn't open at all."""
        return self._real.encrypt(nonce, self._wrong, aad) if self._wrong else bytes(36)


@pytest.mark.parametrize("wrong", [b"another", b""])
def test_a_key_that_seals_something_else_is_caught_before_writing(
    place: VaultPlace,
    register: Register,
    monkeypatch: pytest.MonkeyPatch,
    wrong: bytes,
) -> None:
    """What doesn't open again as it was is not written."""
    token = register()
    rotation = take_up(place.open_vault(), OPS, "")
    monkeypatch.setattr("vault.crypto.AESGCM", lambda key: Worn(key, wrong))
    for _ in rotation.reencrypt(10):
        pass
    monkeypatch.undo()
    assert rotation.row["reencrypted"] == 0
    assert set(numbers(place)) == {token}
