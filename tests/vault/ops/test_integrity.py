"""What someone who can write to the database can't do unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Row, Table, select, text, update

from tests.places.vault import VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault, WebKey, crypto, errors
from vault.ops import RootKey
from vault.ops.open_vault import OpenVault
from vault.ops.rotation.start import take_up
from vault.ops.verify import verify
from vault.store.database import connect
from vault.store.row_macs import canonical
from vault.store.schema import CARD, DATA_KEY, QUARANTINE, VAULT, CardRow

Register = Callable[..., Token]


def flips(value: object) -> list[object]:
    """``value`` with one bit turned: every bit of bytes up to 64, the first and
    last of longer ones, each bit of the last letter of text, two of a number."""
    if isinstance(value, bytes):
        bits = range(len(value) * 8) if len(value) <= 64 else (0, len(value) * 8 - 1)
        return [_turned(value, bit) for bit in bits]
    if isinstance(value, int):
        return [value ^ 1, value ^ 2]
    if isinstance(value, str):
        last = [value[:-1] + chr(ord(value[-1]) ^ 1 << bit) for bit in range(7)]
        return [*last, "", value + "x"]
    return [1]


def _turned(value: bytes, bit: int) -> bytes:
    turned = bytearray(value)
    turned[bit // 8] ^= 1 << bit % 8
    return bytes(turned)


def write_row(db: Connection, table: Table, row: Row[Any], **changes: object) -> None:
    """Edit a row behind the vault's back, constraints off."""
    db.execute(update(table).where(table.c.id == row.id).values(**changes))


@pytest.fixture
def loose(place: VaultPlace) -> Iterator[Connection]:
    """A connection that checks no constraint, as a thief's editor wouldn't, and that
    stands in no queue: nobody waits for it."""
    engine = connect(place.url, alone=True)
    db = engine.connect()
    db.exec_driver_sql("ROLLBACK")
    db.exec_driver_sql("PRAGMA foreign_keys = OFF")
    db.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    db.exec_driver_sql("BEGIN")
    yield db
    engine.dispose()


@pytest.mark.parametrize("column", [c.name for c in CARD.columns])
def test_any_bit_of_a_card_row_turned_names_its_token(
    place: VaultPlace, register: Register, loose: Connection, column: str
) -> None:
    """Every column, bit by bit: the ops role says which card and gives no number."""
    token = register()
    ops = place.open_vault()
    good = loose.execute(select(CARD)).one()
    for value in flips(good._mapping[column]):
        write_row(loose, CARD, good, **{column: value})
        row = loose.execute(select(CARD)).one()
        with pytest.raises(errors.IntegrityFault) as fault:
            ops.digits(loose, row)
        assert fault.value.subject == (value if column == "token" else token)
        loose.execute(update(CARD).values(**good._mapping))
    loose.rollback()
    loose.close()


@pytest.mark.parametrize("column", [c.name for c in DATA_KEY.columns if c.name != "id"])
def test_any_bit_of_a_key_row_turned_names_the_key(
    place: VaultPlace, register: Register, loose: Connection, column: str
) -> None:
    """Every column of a data key; the cards under it as well when it opens no more."""
    token = register()
    good = loose.execute(select(DATA_KEY)).one()
    blob = column in ("next_wrapped", "ops_mac")
    named = {"data key 1"}
    if column in ("generation", "suite", "root_id", "wrapped"):
        named |= {token}
    for value in [b"x"] if blob else flips(good._mapping[column]):
        write_row(loose, DATA_KEY, good, **{column: value})
        found = {f.subject for f in verify(place.open_vault(), loose)}
        assert found == named
        write_row(loose, DATA_KEY, good, **good._mapping)
    loose.rollback()
    loose.close()


@pytest.mark.parametrize(
    "columns",
    [("token",), ("envelope",), ("envelope", "mac"), ("token", "mac"), ("mac",)],
)
def test_rows_cannot_be_swapped(
    place: VaultPlace, register: Register, loose: Connection, columns: tuple[str, ...]
) -> None:
    """Two cards that trade columns are both named."""
    tokens = {register(), register("378282246310005")}
    one, two = loose.execute(select(CARD).order_by(CARD.c.id)).all()
    write_row(loose, CARD, one, token="aside")
    write_row(loose, CARD, two, **{name: one._mapping[name] for name in columns})
    given = {name: two._mapping[name] for name in columns}
    write_row(loose, CARD, one, **({"token": one.token} | given))
    assert tokens <= {f.subject for f in verify(place.open_vault(), loose)}
    loose.rollback()
    loose.close()


def test_a_row_put_back_to_its_older_version_is_named(
    place: VaultPlace, vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """Its MAC is good, but the trail knows a later rev."""
    token = register()
    with place.engine.begin() as db:
        older = db.execute(select(CARD)).one()
        vault.set_expiry(db, token, Expiry(2031, 1), operator_actor)
    with place.engine.begin() as db:
        db.execute(update(CARD).values(**older._mapping))
    assert place.findings() == {token: "is at rev 1, the trail at rev 2"}


def test_a_deleted_row_and_an_added_row_are_named(
    place: VaultPlace, register: Register
) -> None:
    """A trail without its card, and a card without its trail."""
    token = register()
    with place.engine.begin() as db:
        row = db.execute(select(CARD)).one()
        db.execute(text("DELETE FROM card"))
    assert place.findings() == {token: "is in the trail, but its row is missing"}
    with place.engine.begin() as db:
        db.execute(CARD.insert().values(**row._mapping))
        forged = {**row._mapping, "id": 2, "token": str(Token.new())}
        signed = place.vault().signer.signed(
            CARD, {k: v for k, v in forged.items() if k != "mac"}
        )
        db.execute(CARD.insert().values(**signed))
    assert place.findings()[forged["token"]] == "can't be opened"


def test_a_card_without_a_trail_is_named(
    place: VaultPlace, vault: Vault, operator_actor: Actor
) -> None:
    """A well-sealed, well-signed row that nobody registered."""
    with place.engine.begin() as db:
        vault.record = lambda *_, **__: None  # type: ignore[method-assign]
        token = vault.tokenize(
            db, Pan.parse("378282246310005"), Expiry(2030, 1), operator_actor
        )
    assert place.findings()[token] == "has no entry in the trail"


def test_a_key_without_its_row_is_named(place: VaultPlace, register: Register) -> None:
    """A data key the trail knows and the table has lost."""
    register()
    with place.engine.connect() as db:
        db.exec_driver_sql("ROLLBACK")
        db.exec_driver_sql("PRAGMA foreign_keys = OFF")
        db.exec_driver_sql("DELETE FROM data_key")
    found = place.findings()
    assert found["data key 1"] == "is in the trail, but its row is missing"


def test_the_vaults_own_row_cannot_be_edited(
    place: VaultPlace, register: Register
) -> None:
    """Turning the generation back stops sealing and verify says why."""
    register()
    with place.engine.begin() as db:
        db.execute(update(VAULT).values(generation=7))
    assert list(place.findings()) == ["vault row"]
    with pytest.raises(errors.IntegrityFault, match="vault row"):
        register()


def test_a_row_whose_token_is_no_token_is_named(
    place: VaultPlace, vault: Vault, register: Register
) -> None:
    """Even signed with the web key, a malformed token is found."""
    register()
    with place.engine.begin() as db:
        row = dict(db.execute(select(CARD)).one()._mapping, token="nonsense")
        row.pop("mac")
        db.execute(update(CARD).values(**vault.signer.signed(CARD, row)))
    assert place.findings()["card 1"] == "has a token that is none"


def test_a_number_that_is_not_its_rows_is_named(
    place: VaultPlace, vault: Vault, register: Register
) -> None:
    """The web key alone can sign a lie about last4; opening finds it."""
    token = register()
    with place.engine.begin() as db:
        row = dict(db.execute(select(CARD)).one()._mapping, last4="1111")
        row.pop("mac")
        db.execute(update(CARD).values(**vault.signer.signed(CARD, row)))
    assert "another number" in place.findings()[token]


def test_another_root_is_refused_before_anything(place: VaultPlace) -> None:
    """A root key of another vault, or another root of this one, is named as wrong."""
    seed, vault_id = place.root_key.seed, place.web_key.vault_id
    with pytest.raises(errors.WrongRootKey, match="of vault another"):
        OpenVault(place.web_key, RootKey("another", seed), place.engine, place.clock)
    stranger = RootKey(vault_id, bytes(32))
    with pytest.raises(errors.WrongRootKey, match=place.web_key.root.id):
        OpenVault(place.web_key, stranger, place.engine, place.clock).require_ready()


def test_without_the_root_key_nothing_opens_a_card(
    place: VaultPlace, register: Register
) -> None:
    """The promise: web key file, database and a restarted web process hold no
    method, key or attribute that opens a card sealed before the restart."""
    register()
    web_key = WebKey.read(_written(place))
    vault = Vault(web_key, place.engine, place.clock)
    guess = RootKey(web_key.vault_id, web_key.sealing_key)
    with pytest.raises(errors.WrongRootKey):
        OpenVault(web_key, guess, place.engine, place.clock).require_ready()
    with place.engine.connect() as db:
        card = db.execute(select(CARD)).one()
        key = db.execute(select(DATA_KEY)).one()
        for secret in (
            web_key.sealing_key,
            web_key.root.encoded[:32],
            key.wrapped[:32],
        ):
            with pytest.raises(errors.IntegrityFault):
                crypto.Cipher(secret).open(card.envelope, b"", "card")
        told = [
            vault.describe(db, Token(card.token)),
            vault.history(db, Token(card.token)),
        ]
    assert "4810000000020000" not in repr(told) + repr(vars(vault))
    openers = {"open", "digits", "unwrap", "reveal", "decrypt", "expose_digits"}
    assert not {n for n in openers - {"open"} if hasattr(vault, n)}
    assert not hasattr(web_key.root, "unwrap")


def _written(place: VaultPlace) -> Any:
    path = place.folder / "web.key"
    place.web_key.write(path)
    return path


def test_no_two_rows_encode_alike() -> None:
    """Values that print alike differ in type or length, and so in their MAC."""
    rows: list[tuple[object, ...]] = [
        (1, "a"),
        ("1", "a"),
        (1.0, "a"),
        (b"1", "a"),
        (None, "a"),
        ("1a", ""),
        ("", "1a"),
        ("s1:1", "a"),
        (1,),
    ]
    assert len({canonical(row) for row in rows}) == len(rows)


def test_a_row_is_taken_apart_in_the_order_of_its_columns() -> None:
    """The loops over many cards do it by place."""
    assert CardRow._fields == tuple(column.name for column in CARD.columns)


def test_a_rev_that_can_go_no_further_is_set_aside(
    place: VaultPlace, vault: Vault, register: Register
) -> None:
    """The web key alone can sign it; a rotation names the card and goes on."""
    token = register()
    with place.engine.begin() as db:
        row = dict(db.execute(select(CARD)).one()._mapping, rev=2**63 - 1)
        db.execute(update(CARD).values(**vault.signer.signed(CARD, row)))
    rotation = take_up(place.open_vault(), Actor("ops", "command"), "")
    for _ in rotation.reencrypt(10):
        pass
    with place.engine.connect() as db:
        assert db.execute(select(QUARANTINE.c.token)).scalars().all() == [token]
